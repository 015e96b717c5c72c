import { HALF, colourTable, onDark, watchTheme } from "./colours.js";
import { colourRaster, countBeyond, percentileOf, readImage, readRaster, stretch } from "./raster.js";
import { isShortcut, make, makeRoot, nextFrame, setText, stepTo, watch } from "./dom.js";
import { formatter, single } from "./numbers.js";

/**
 * @typedef {{
 *   data: DataView, shape: number[], image: DataView, image_shape: number[], sequence: number, scale: number | null,
 *   stamp: string, description: string, stale: boolean, colormap: string, arrangement: string, opacity: number,
 *   percentile: number, pixelated: boolean, size: number, clicked: {x?: number, y?: number, count?: number},
 * }} Traits
 * @typedef {{x: number, y: number}} Pixel
 * @typedef {{frame: HTMLElement, canvas: HTMLCanvasElement, mark: HTMLElement, cursor: HTMLElement}} Picture
 */

/** @type {(keyof Traits & string)[]} */
const LOOK = ["colormap", "arrangement", "opacity", "percentile", "pixelated", "size"];
const HINT = "Point at a pixel to read it";

/** @returns {Picture} */
function makePicture() {
  const canvas = make("canvas", "", { role: "img" });
  const mark = make("div", "lrp-heatmap-spot", { hidden: "" });
  const cursor = make("div", "lrp-heatmap-spot lrp-heatmap-cursor", { hidden: "" });
  return { frame: make("div", "lrp-heatmap-frame", {}, canvas, mark, cursor), canvas, mark, cursor };
}

/** @param {import("./anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-heatmap");
  const input = makePicture();
  const map = makePicture();
  const both = [input, map];
  const badge = make("div", "lrp-heatmap-badge", {}, "out of date");
  const pictures = make("div", "lrp-heatmap-pictures", { tabindex: "0", role: "application" }, input.frame, map.frame, badge);
  const bar = make("canvas", "lrp-heatmap-bar", { width: String(2 * HALF + 1), height: "1", "aria-hidden": "true" });
  const ends = [make("span", ""), make("span", "", {}, "0"), make("span", "")];
  const note = make("div", "lrp-heatmap-note lrp-cut lrp-muted");
  const legend = make("div", "lrp-heatmap-legend", {}, bar, make("div", "lrp-heatmap-ends", {}, ...ends), note);
  const stamp = make("div", "lrp-heatmap-stamp");
  const readout = make("div", "lrp-heatmap-readout lrp-cut lrp-muted", { "aria-live": "polite" }, HINT);
  root.append(pictures, legend, stamp, readout);

  /** @type {import("./raster.js").Raster | null} */
  let raster = null;
  let loaded = -1;
  let told = false;
  /** @type {Pixel | null} */
  let cursor = null;

  /**
   * Where the keyboard's cursor starts: on the picked pixel, or in the middle.
   * @returns {Pixel}
   */
  function start() {
    const { x, y } = model.get("clicked");
    if (x !== undefined && y !== undefined) return { x, y };
    return { x: (raster?.width ?? 0) >> 1, y: (raster?.height ?? 0) >> 1 };
  }

  /** The number where the colours end. A percentile of a map of many zeros may be 0: then it is the largest. */
  const limitOf = () =>
    raster ? model.get("scale") || percentileOf(raster, model.get("percentile")) || raster.largest : 0;

  function paint() {
    const sequence = model.get("sequence");
    if (sequence !== loaded) raster = readRaster(model.get("data"), model.get("shape"));
    loaded = sequence;
    const hasImage = model.get("image").byteLength > 0;
    const arrangement = hasImage ? model.get("arrangement") : "heatmap";
    arrange(arrangement);
    if (!raster) return;
    const limit = limitOf();
    const dark = onDark(root);
    const veiled = arrangement === "overlay";
    const table = colourTable(model.get("colormap"), dark, veiled);
    if (!input.frame.hidden) draw(input, false, null, limit);
    if (!map.frame.hidden) draw(map, veiled, table, limit);
    paintLegend(limit, table, veiled);
    root.dataset.sequence = String(sequence);
    root.dataset.max = String(raster.largest);
    root.dataset.sum = String(raster.sum);
    placeSpots();
    if (!told) model.send({ painted: true }); // somebody looks: what is slow to load may follow now
    told = true;
  }

  /** @param {string} arrangement */
  function arrange(arrangement) {
    const [height, width] = model.get("shape");
    root.style.setProperty("--lrp-size", `${model.get("size")}px`);
    root.style.setProperty("--lrp-ratio", String(width && height ? width / height : 1));
    root.dataset.arrangement = arrangement;
    root.toggleAttribute("data-stale", model.get("stale"));
    root.toggleAttribute("data-empty", !raster);
    input.frame.hidden = arrangement === "overlay" || arrangement === "heatmap";
    map.frame.hidden = arrangement === "image";
    const words = model.get("description") || (raster ? `Heatmap, ${height} by ${width} pixels` : "No heatmap yet");
    pictures.setAttribute("aria-label", `${words}. Arrow keys move over the pixels, Enter picks one.`);
    map.canvas.setAttribute("aria-label", words);
    input.canvas.setAttribute("aria-label", "The input");
    setText(stamp, model.get("stamp"));
  }

  /**
   * @param {Picture} picture
   * @param {boolean} veiled
   * @param {Uint32Array | null} table null draws the input alone
   * @param {number} limit
   */
  function draw({ frame, canvas }, veiled, table, limit) {
    const width = Math.round(frame.clientWidth * devicePixelRatio);
    const height = Math.round(frame.clientHeight * devicePixelRatio);
    const context = canvas.getContext("2d");
    if (!width || !height || !context || !raster) return;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    context.clearRect(0, 0, width, height);
    const pixelated = model.get("pixelated");
    const image = table && !veiled ? null : readImage(model.get("image"), model.get("image_shape"), veiled);
    if (image) stretch(context, image, pixelated);
    if (table) stretch(context, colourRaster(raster, limit, table), pixelated, veiled ? model.get("opacity") : 1);
  }

  /**
   * @param {number} limit
   * @param {Uint32Array} table
   * @param {boolean} veiled
   */
  function paintLegend(limit, table, veiled) {
    const context = bar.getContext("2d");
    if (!context || !raster) return;
    context.fillStyle = "#808080"; // in an overlay the input shows through: here a grey one
    context.fillRect(0, 0, bar.width, 1);
    const ramp = Float32Array.from(table, (_, i) => i - HALF);
    const ruler = { ...raster, values: ramp, width: table.length, height: 1 };
    stretch(context, colourRaster(ruler, HALF, table), false, veiled ? model.get("opacity") : 1);
    const write = formatter(limit, { digits: 3, plus: true });
    setText(ends[0], write(-limit));
    setText(ends[2], write(limit));
    setText(note, noteOf(limit));
    note.title = note.textContent ?? "";
  }

  /**
   * How the scale came about, and what it hides.
   * @param {number} limit
   */
  function noteOf(limit) {
    if (!raster) return "";
    const { largest, broken } = raster;
    const beyond = countBeyond(raster, limit);
    const percent = model.get("percentile");
    let text = "scale: largest |R|";
    if (model.get("scale")) text = "scale set";
    else if (limit !== largest) text = `percentile ${percent} of |R|`;
    if (beyond) text += ` · ${beyond} clipped`;
    if (limit !== largest) text += ` · largest ${single(largest)}`;
    return broken ? `${text} · ${broken} not finite` : text;
  }

  /** Puts the marks on the picked pixel and under the keyboard's cursor. */
  function placeSpots() {
    const { x, y } = model.get("clicked");
    for (const picture of both) {
      place(picture.mark, x === undefined || y === undefined ? null : { x, y });
      place(picture.cursor, cursor);
    }
  }

  /**
   * @param {HTMLElement} spot
   * @param {Pixel | null} pixel
   */
  function place(spot, pixel) {
    spot.hidden = !pixel || !raster || pixel.x >= raster.width || pixel.y >= raster.height;
    if (!pixel || !raster) return;
    const { width, height } = raster;
    spot.style.cssText = `left: ${((pixel.x + 0.5) / width) * 100}%; top: ${((pixel.y + 0.5) / height) * 100}%;
      width: max(${100 / width}%, 9px); height: max(${100 / height}%, 9px)`;
  }

  /** @param {Pixel | null} pixel */
  function read(pixel) {
    readout.classList.toggle("lrp-muted", !pixel);
    if (!pixel || !raster) return setText(readout, HINT);
    const value = formatter(raster.largest, { plus: true })(raster.values[pixel.y * raster.width + pixel.x]);
    const pad = (/** @type {number} */ index, /** @type {number} */ end) =>
      String(index).padStart(String(end - 1).length, " "); // figure spaces: the line keeps its columns
    return setText(readout, `row ${pad(pixel.y, raster.height)} · column ${pad(pixel.x, raster.width)} · R ${value}`);
  }

  /**
   * The pixel under the pointer, or null where it is over none.
   * @param {MouseEvent} event
   * @returns {Pixel | null}
   */
  function under(event) {
    const picture = both.find(({ frame }) => frame.contains(/** @type {Node} */ (event.target)));
    if (!picture || !raster) return null;
    const box = picture.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * raster.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * raster.height);
    return x >= 0 && y >= 0 && x < raster.width && y < raster.height ? { x, y } : null;
  }

  /** @param {Pixel | null} pixel */
  function pick(pixel) {
    if (!pixel) return;
    model.set("clicked", { ...pixel, count: (model.get("clicked").count ?? 0) + 1 });
    model.save_changes();
  }

  /** @param {Pixel | null} pixel */
  function moveCursor(pixel) {
    cursor = pixel;
    placeSpots();
    read(pixel);
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (!raster || isShortcut(event)) return;
    const { width, height } = raster;
    const from = cursor ?? start();
    const step = event.shiftKey ? 10 : 1;
    const along = event.key === "ArrowLeft" || event.key === "ArrowRight";
    const moved = stepTo(event.key, along ? from.x : from.y, along ? width : height, { across: step, down: step, page: 0 });
    if (event.key.startsWith("Arrow") && moved !== null) moveCursor(along ? { ...from, x: moved } : { ...from, y: moved });
    else if (event.key === "Enter" || event.key === " ") pick(cursor ?? from);
    else return;
    event.preventDefault();
  }

  const repaint = nextFrame(paint);
  const resized = new ResizeObserver(repaint.request);
  both.forEach(({ frame }) => resized.observe(frame));
  pictures.addEventListener("pointermove", (event) => read(under(event)));
  pictures.addEventListener("pointerleave", () => read(cursor));
  pictures.addEventListener("click", (event) => pick(under(event)));
  pictures.addEventListener("keydown", onKey);
  pictures.addEventListener("focus", () => {
    if (raster && pictures.matches(":focus-visible")) moveCursor(start());
  });
  pictures.addEventListener("blur", () => moveCursor(null));
  const endings = [
    watch(model, ["sequence", "scale", "stamp", "description", "stale", ...LOOK], paint),
    watch(model, ["clicked"], placeSpots),
    watchTheme(repaint.request),
    () => resized.disconnect(),
    repaint.cancel,
    () => root.remove(),
  ];
  paint();
  return () => endings.forEach((end) => end());
}

export default { render };
