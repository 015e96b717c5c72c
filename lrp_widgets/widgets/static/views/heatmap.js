import { drawBoxes } from "./boxes.js";
import { onDark, watchTheme } from "../colours.js";
import { draw, layersOf, makePicture, once, outline, place, tableOf } from "./picture.js";
import { insideOf, rectangle, sayShare, shareOf, spanned } from "./region.js";
import { isShortcut, make, makeRoot, nextFrame, setText, stepTo, watch } from "../dom.js";
import { endsOf } from "./scale.js";
import { makeLegend } from "./legend.js";
import { makeTools } from "./tools.js";
import { HINTS, makeReadout } from "./readout.js";
import { readRaster } from "../raster.js";
import { saveSheet } from "./save.js";
import { watchMarking } from "./marking.js";
import { following, mostFor, watchZoom } from "./zoom.js";

/**
 * @typedef {{
 *   data: DataView, shape: number[], image: DataView, image_shape: number[], sequence: number, scale: number | null,
 *   locked: number[], stamp: string, description: string, stale: boolean, colormap: string, arrangement: string,
 *   opacity: number, percentile: number, signs: string, pixelated: boolean, size: number,
 *   clicked: {x?: number, y?: number, count?: number}, region: import("./region.js").Vertex[],
 *   zoom: import("./zoom.js").Zoom, boxes: number[][], box: number,
 * }} Traits
 * @typedef {import("./picture.js").Pixel} Pixel
 * @typedef {import("./region.js").Vertex} Vertex
 */

/** @type {(keyof Traits & string)[]} */
const LOOK = ["colormap", "arrangement", "opacity", "percentile", "signs", "locked", "pixelated", "size"];

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-heatmap");
  const input = makePicture();
  const map = makePicture();
  const both = [input, map];
  const badge = make("div", "lrp-heatmap-badge", {}, "out of date");
  const pictures = make("div", "lrp-heatmap-pictures", { tabindex: "0", role: "application" }, input.frame, map.frame, badge);
  const { bar, say } = watchZoom(pictures, {
    zoom: () => model.get("zoom"), most: () => (raster ? mostFor(raster.width, raster.height) : 1), set: setZoom,
    pans: () => tool === "pointer", frameUnder: (event) => pictureUnder(event)?.frame,
  });
  const stage = make("div", "lrp-heatmap-stage", {}, pictures, bar);
  const readout = makeReadout();
  const tools = makeTools({ choose: chooseTool, save });
  const said = [make("div", ""), make("div", "")];
  const clear = make("button", "lrp-heatmap-tool", { type: "button", title: "Clear the region", "aria-label": "Clear the region" }, "×");
  const share = make("div", "lrp-heatmap-share", { hidden: "" }, clear, make("div", "", { "aria-live": "polite" }, ...said));
  const legend = makeLegend();
  const stamp = make("div", "lrp-heatmap-stamp");
  root.append(stage, make("div", "lrp-heatmap-foot", {}, readout.element, tools), share, legend.element, stamp);

  /** @type {import("../raster.js").Raster | null} */
  let raster = null;
  let loaded = -1;
  let told = false;
  /** @type {Map<import("./picture.js").Picture, () => import("./picture.js").Layer[]>} what each picture is made of */
  let layers = new Map();
  let tool = "pointer";
  /** @type {Pixel | null} */
  let cursor = null;
  /** @type {Pixel | null} the first corner of a rectangle that is drawn by keyboard */
  let corner = null;
  /** @type {import("./picture.js").Picture | undefined} where the pointer draws, wherever it goes meanwhile */
  let grabbed;
  /** @type {Vertex[] | null} the region while it is drawn */
  let draft = null;
  /** @type {{region: Vertex[], mask: Uint8Array}} what was made of the region last */
  let masked = { region: [], mask: new Uint8Array() };

  /**
   * Where the keyboard's cursor starts: on the picked pixel, or in the middle.
   * @returns {Pixel}
   */
  function start() {
    const { x, y } = model.get("clicked");
    if (x !== undefined && y !== undefined) return { x, y };
    return { x: (raster?.width ?? 0) >> 1, y: (raster?.height ?? 0) >> 1 };
  }

  /** What the pictures are made of, and of what they are a picture. */
  function given() {
    const scale = {
      signs: model.get("signs"), percentile: model.get("percentile"), scale: model.get("scale"), locked: model.get("locked"),
    };
    const kind = model.get("image").byteLength ? model.get("arrangement") : "heatmap";
    return {
      arrangement: kind, kind: kind === "beside" ? "heatmap" : kind, scale, opacity: model.get("opacity"),
      image: model.get("image"), imageShape: model.get("image_shape"), pixelated: model.get("pixelated"),
    };
  }

  /** @param {import("../raster.js").Raster} raster */
  function coloured(raster) {
    const known = given();
    const table = tableOf(known.kind, model.get("colormap"), onDark(root));
    return { ...known, raster, table, ends: endsOf(raster, known.scale) };
  }

  function paint() {
    const sequence = model.get("sequence");
    if (sequence !== loaded) raster = readRaster(model.get("data"), model.get("shape"));
    loaded = sequence;
    arrange(given().arrangement);
    if (!raster) return;
    const known = coloured(raster);
    layers = new Map([[input, once(() => layersOf("image", known))], [map, once(() => layersOf(known.kind, known))]]);
    enlarge();
    legend.paint(raster, known);
    root.dataset.sequence = String(sequence);
    root.dataset.max = String(raster.largest);
    root.dataset.sum = String(raster.sum);
    placeSpots();
    frameBoxes();
    weigh();
    if (!told) model.send({ painted: true }); // somebody looks: what is slow to load may follow now
    told = true;
  }

  /** Draws again what is in sight, in the colours there are. */
  function enlarge() {
    const zoom = model.get("zoom");
    for (const [picture, made] of layers) if (!picture.frame.hidden) draw(picture, made, model.get("pixelated"), zoom);
    root.toggleAttribute("data-zoomed", zoom[0] > 1);
    say(zoom[0]);
  }

  /** @param {import("./zoom.js").Zoom} zoom */
  function setZoom(zoom) {
    model.set("zoom", zoom);
    model.save_changes();
  }

  function frameBoxes() {
    for (const { boxes } of both) if (raster) drawBoxes(boxes, model.get("boxes"), model.get("box"), raster);
  }

  /** @param {string} arrangement */
  function arrange(arrangement) {
    const [height, width] = model.get("shape");
    root.style.setProperty("--lrp-size", `${model.get("size")}px`);
    root.style.setProperty("--lrp-ratio", String(width && height ? width / height : 1));
    root.dataset.arrangement = arrangement;
    root.toggleAttribute("data-stale", model.get("stale"));
    root.toggleAttribute("data-empty", !raster);
    input.frame.hidden = arrangement !== "beside" && arrangement !== "image";
    map.frame.hidden = arrangement === "image";
    const words = model.get("description") || (raster ? `Heatmap, ${height} by ${width} pixels` : "No heatmap yet");
    pictures.setAttribute("aria-label", `${words}. Arrow keys move over the pixels, ${HINTS[tool][1]}, + and − zoom, 0 shows all.`);
    map.canvas.setAttribute("aria-label", words);
    input.canvas.setAttribute("aria-label", "The input");
    setText(stamp, model.get("stamp"));
  }

  /** Outlines the region and says what it holds. A region that is drawn comes before the one that Python knows. */
  function weigh() {
    const region = draft ?? model.get("region");
    share.hidden = !region.length;
    if (!raster || (!region.length && !masked.region.length)) return;
    if (masked.region !== region || masked.mask.length !== raster.values.length) {
      masked = { region, mask: region.length ? insideOf(region, raster.width, raster.height) : new Uint8Array() };
      for (const picture of both) outline(picture, region, raster);
    }
    if (region.length) sayShare(shareOf(raster, masked.mask), raster.sum).forEach((text, index) => setText(said[index], text));
  }

  const repaint = nextFrame(paint);
  const redraw = nextFrame(enlarge);
  const reweigh = nextFrame(weigh);

  /** @param {Vertex[] | null} region null gives up what was drawn */
  function sketch(region) {
    draft = region;
    if (!region) grabbed = undefined;
    reweigh.request();
  }

  /** @param {Vertex[]} region one that holds no pixel is none */
  function mark(region) {
    const holds = raster && region.length && insideOf(region, raster.width, raster.height).includes(1);
    [draft, corner, grabbed] = [null, null, undefined];
    model.set("region", holds ? region : []);
    model.save_changes();
    weigh();
  }

  /** @param {string} name */
  function chooseTool(name) {
    tool = name;
    giveUp();
    root.dataset.tool = name;
    arrange(given().arrangement);
    readout.read(null, raster, tool);
  }

  /** Drops what is being drawn; says whether anything was. */
  function giveUp() {
    const was = cancelMarking() || corner !== null;
    corner = null;
    if (was) sketch(null);
    return was;
  }

  /** @param {string} format */
  function save(format) {
    if (!raster) return;
    const known = coloured(raster);
    const frames = both.filter(({ frame }) => !frame.hidden).map((picture) => layersOf(picture === input ? "image" : known.kind, known));
    const region = model.get("region");
    const scaled = known.kind !== "image";
    const texts = [
      ...(scaled ? [legend.note] : []), ...(region.length ? said : []), ...(model.get("stale") ? [badge] : []),
    ].map(({ textContent }) => textContent ?? "");
    saveSheet({
      frames, width: raster.width, height: raster.height, pixelated: known.pixelated,
      outlines: [region, ...model.get("boxes").map(([top, left, bottom, right]) => rectangle([left, top], [right, bottom]))],
      bar: scaled ? legend.bar : null, labels: legend.labels.map(({ textContent }) => textContent ?? ""),
      lines: [...model.get("stamp").split("\n"), ...texts], title: model.get("description") || "Heatmap",
      ...(onDark(root) ? { text: "#e0e0e0", ground: "#111111" } : { text: "#212121", ground: "#ffffff" }),
    }, format);
  }

  /** Puts the marks on the picked pixel and under the keyboard's cursor. */
  function placeSpots() {
    const { x, y } = model.get("clicked");
    for (const picture of both) {
      place(picture.mark, x === undefined || y === undefined ? null : { x, y }, raster);
      place(picture.cursor, cursor, raster);
    }
  }

  /** @param {MouseEvent} event */
  const pictureUnder = (event) => both.find(({ frame }) => frame.contains(/** @type {Node} */ (event.target)));

  /**
   * The place on the map under the pointer, or null where it is over no picture.
   * @param {MouseEvent} event
   * @returns {Vertex | null}
   */
  function locate(event) {
    const picture = grabbed ?? pictureUnder(event);
    if (!picture || !raster) return null;
    const box = picture.plane.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * raster.width, ((event.clientY - box.top) / box.height) * raster.height];
  }

  /**
   * The pixel under the pointer, or null where it is over none.
   * @param {MouseEvent} event
   * @returns {Pixel | null}
   */
  function under(event) {
    const [x, y] = locate(event)?.map(Math.floor) ?? [-1, -1];
    return raster && x >= 0 && y >= 0 && x < raster.width && y < raster.height ? { x, y } : null;
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
    if (raster && pixel && model.get("zoom")[0] > 1) {
      const [across, down] = [1 / raster.width, 1 / raster.height];
      setZoom(following(model.get("zoom"), [(pixel.x + 0.5) * across, (pixel.y + 0.5) * down], [2 * across, 2 * down]));
    }
    readout.read(pixel, raster, tool);
    if (corner && pixel) sketch(spanned(corner, pixel));
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
    else if (event.key === "Enter" || event.key === " ") enter(cursor ?? from);
    else return;
    event.preventDefault();
  }

  /** @param {Pixel} pixel */
  function enter(pixel) {
    if (tool === "pointer") return pick(pixel);
    if (corner) return mark(spanned(corner, pixel));
    corner = pixel;
    return sketch(spanned(corner, pixel));
  }

  /** @param {KeyboardEvent} event */
  function onEscape(event) {
    if (event.key !== "Escape" || isShortcut(event)) return;
    if (!giveUp() && model.get("region").length) mark([]);
  }

  const cancelMarking = watchMarking(pictures, {
    tool: () => tool,
    locate: (event, started) => {
      if (!started) grabbed = pictureUnder(event);
      const at = locate(event);
      return raster && at && [Math.min(raster.width, Math.max(0, at[0])), Math.min(raster.height, Math.max(0, at[1]))];
    },
    draft: sketch,
    finish: mark,
  });
  const resized = new ResizeObserver(repaint.request);
  both.forEach(({ frame }) => resized.observe(frame));
  pictures.addEventListener("pointermove", (event) => readout.read(under(event), raster, tool));
  pictures.addEventListener("pointerleave", () => readout.read(cursor, raster, tool));
  pictures.addEventListener("click", (event) => {
    if (tool === "pointer") pick(under(event));
  });
  pictures.addEventListener("keydown", onKey);
  root.addEventListener("keydown", onEscape);
  clear.addEventListener("click", () => mark([]));
  pictures.addEventListener("focus", () => {
    if (raster && pictures.matches(":focus-visible")) moveCursor(start());
  });
  pictures.addEventListener("blur", () => moveCursor(null));
  const endings = [
    watch(model, ["sequence", "scale", "stamp", "description", "stale", ...LOOK], paint),
    watch(model, ["clicked"], placeSpots),
    watch(model, ["region"], weigh),
    watch(model, ["boxes", "box"], frameBoxes),
    watch(model, ["zoom"], redraw.request),
    watchTheme(repaint.request),
    () => resized.disconnect(),
    repaint.cancel,
    reweigh.cancel,
    redraw.cancel,
    () => root.remove(),
  ];
  paint();
  return () => endings.forEach((end) => end());
}

export default { render };
