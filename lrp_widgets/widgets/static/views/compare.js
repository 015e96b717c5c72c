import { difference, likeness } from "./alike.js";
import { colourTable, onDark } from "../colours.js";
import { isShortcut, make, makeRoot, setText, shortened, stepTo } from "../dom.js";
import { keepPainted } from "../lifecycle.js";
import { formatter, single } from "../numbers.js";
import { makePin, makeTile } from "./pins.js";
import { countBeyond, readImage, readRaster } from "../raster.js";
import { paintBar, paintMap, paintPixels, writeEnds } from "../tiles.js";
import { commonLimit } from "./scale.js";

/**
 * @typedef {import("../raster.js").Raster} Raster
 * @typedef {{key: string, title: string, stamp: string, shape: number[], block: number}} Pin
 * @typedef {{key?: string, count?: number}} Asked
 * @typedef {{
 *   present: DataView, shape: number[], stamp: string, image: DataView, image_shape: number[], sequence: number,
 *   pinned: Pin[], maps: Record<string, DataView>, differs: Record<string, string[]>, block: number, stale: boolean,
 *   colormap: string, percentile: number, scale: number | null, shared: boolean, chosen: string, removed: Asked, recalled: Asked,
 *   dismissed: number,
 * }} Traits
 * @typedef {import("./pins.js").Tile} Tile
 */

// Of what differs, and of the name of another input in a caption; the tooltip has the whole.
const [MOST_LETTERS, MOST_OF_NAME] = [44, 18];
const HINT = "Point at a pixel to read it in every map";

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-compare");
  const bar = make("canvas", "lrp-compare-bar", { "aria-hidden": "true" });
  const ends = [make("span", ""), make("span", "")];
  const lock = make("button", "", { type: "button", title: "Hold the scale where it is, whatever is shown next" }, "lock scale");
  const one = make("button", "", { type: "button", title: "One scale for all maps, or one for each" }, "one scale");
  const close = make("button", "lrp-compare-remove", { type: "button", "aria-label": "Close the comparison", title: "Close the comparison" }, "×");
  const legend = make("div", "lrp-compare-legend", {}, ends[0], make("span", "lrp-compare-rule", {}, bar), ends[1], one, lock, close);
  const note = make("div", "lrp-compare-note lrp-muted");
  const input = makeTile("input");
  const now = makeTile("present");
  const change = makeTile("difference");
  const nowStamp = make("div", "lrp-compare-stamp");
  now.foot.append(nowStamp);
  const ownBar = make("canvas", "lrp-compare-bar", { "aria-hidden": "true" });
  const ownEnds = make("div", "lrp-compare-ends", {}, make("span", ""), make("span", ""));
  const ownNote = make("div", "lrp-compare-stamp");
  change.foot.append(ownBar, ownEnds, ownNote);
  setText(input.title, "input");
  setText(now.title, "present");
  const pictures = make("div", "lrp-compare-pictures", {}, input.tile, now.tile, change.tile);
  const readout = make("div", "lrp-compare-readout lrp-muted", { "aria-live": "polite" }, HINT);
  const about = make("div", "lrp-compare-about", {}, note, readout);
  const nothing = make("div", "lrp-compare-nothing lrp-muted", {}, "Nothing to compare yet");
  root.append(legend, about, pictures, nothing);
  now.frame.tabIndex = 0;
  now.frame.setAttribute("role", "application");
  now.frame.setAttribute("aria-label", "The present map. Arrow keys move over its pixels and read them in every map.");

  /** @type {Map<string, import("./pins.js").PinTile>} */
  const pins = new Map();
  /** @type {Map<string, {data: DataView, raster: Raster | null}>} */
  const read = new Map();
  /** @type {WeakMap<HTMLCanvasElement, unknown[]>} what a canvas shows: a move paints only what it changes */
  const painted = new WeakMap();
  /** @type {Map<string, Uint32Array>} */
  const tables = new Map();
  /** @type {Raster | null} */
  let present = null;
  /** @type {Raster | null} */
  let changed = null;
  /** @type {DataView | null} */
  let pictured = null;
  let loaded = -1;
  /** @type {{x: number, y: number} | null} */
  let pointed = null;

  /** The map of a pin, read once. @param {Pin} pin */
  function rasterOf({ key, shape }) {
    const data = model.get("maps")[key];
    const last = read.get(key);
    if (last?.data === data) return last.raster;
    const raster = readRaster(data, shape);
    read.set(key, { data, raster });
    return raster;
  }

  /** @param {string} name */
  function tableOf(name) {
    const dark = onDark(root);
    const key = `${name} ${dark}`;
    const table = tables.get(key) ?? colourTable(name, dark, false);
    tables.set(key, table);
    return table;
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Raster} raster
   * @param {number} limit
   * @param {Uint32Array} table
   */
  function paint(canvas, raster, limit, table) {
    const content = [raster, limit, table];
    if (painted.get(canvas)?.every((part, index) => part === content[index])) return;
    painted.set(canvas, content);
    paintMap(canvas, raster, limit, table);
  }

  /**
   * Where the colours of a map end: all at the same limit, or each at its own.
   * @param {Raster} raster
   * @param {number} limit
   */
  const limitOf = (raster, limit) => (model.get("shared") ? limit : commonLimit([raster], model.get("percentile")));

  /**
   * The caption of a map, with the ends of a scale of its own.
   * @param {string} stamp
   * @param {Raster} raster
   */
  const withScale = (stamp, raster) => (model.get("shared") ? stamp : `${stamp}\nscale ±${single(limitOf(raster, 0))}`);

  const chosen = () => model.get("pinned").find(({ key }) => key === model.get("chosen")) ?? model.get("pinned").at(-1);

  function draw() {
    const sequence = model.get("sequence");
    if (sequence !== loaded) present = readRaster(model.get("present"), model.get("shape"));
    loaded = sequence;
    const entries = model.get("pinned");
    root.toggleAttribute("data-empty", !present && !entries.length);
    root.toggleAttribute("data-stale", model.get("stale"));
    root.dataset.sequence = String(sequence);
    place(entries);
    const rasters = [present, ...entries.map(rasterOf)];
    const limit = commonLimit(rasters, model.get("percentile"), model.get("scale"));
    const table = tableOf(model.get("colormap"));
    now.tile.hidden = !present;
    if (present) drawTile(now, present, limitOf(present, limit), table, "The present map");
    setText(nowStamp, present ? withScale(model.get("stamp"), present) : model.get("stamp"));
    drawInput();
    entries.forEach((pin, index) => drawPin(pin, rasters[index + 1], limit, table));
    drawChange();
    drawLegend(rasters.filter((raster) => raster !== null), limit, table);
    point(pointed);
  }

  /**
   * The tiles of the pins, in their order.
   * @param {Pin[]} entries
   */
  function place(entries) {
    const keys = new Set(entries.map(({ key }) => key));
    for (const [key, { tile }] of pins)
      if (!keys.has(key)) {
        if (tile.contains(document.activeElement)) now.frame.focus({ preventScroll: true });
        tile.remove();
        pins.delete(key);
        read.delete(key);
      }
    entries.forEach(({ key }, index) => {
      const pin = pins.get(key) ?? makePin();
      pins.set(key, pin);
      pin.tile.dataset.key = key;
      if (pictures.children[index + 3] !== pin.tile) pictures.insertBefore(pin.tile, pictures.children[index + 3] ?? null);
    });
  }

  /**
   * @param {Tile} tile
   * @param {Raster} raster
   * @param {number} limit
   * @param {Uint32Array} table
   * @param {string} words
   */
  function drawTile({ frame, canvas }, raster, limit, table, words) {
    frame.style.aspectRatio = String(raster.width / raster.height);
    canvas.setAttribute("aria-label", `${words}, ${raster.height} by ${raster.width} pixels`);
    paint(canvas, raster, limit, table);
  }

  function drawInput() {
    const data = model.get("image");
    input.tile.hidden = !data.byteLength;
    if (data === pictured) return;
    pictured = data;
    const picture = readImage(data, model.get("image_shape"), false);
    if (!picture) return;
    input.frame.style.aspectRatio = String(picture.width / picture.height);
    input.canvas.setAttribute("aria-label", "The present input");
    paintPixels(input.canvas, picture);
  }

  /**
   * @param {Pin} entry
   * @param {Raster | null} raster
   * @param {number} limit
   * @param {Uint32Array} table
   */
  function drawPin({ key, title, stamp }, raster, limit, table) {
    const pin = /** @type {import("./pins.js").PinTile} */ (pins.get(key));
    setText(pin.title, title);
    pin.title.title = title;
    pin.remove.title = `Unpin ${title}`;
    for (const [button, words] of /** @type {[Element, string][]} */ ([
      [pin.remove, "Unpin"], [pin.recall, "Go back to the settings of"], [pin.choose, "Show the difference to"],
    ])) button.setAttribute("aria-label", `${words} ${title}`);
    setText(pin.stamp, raster ? withScale(stamp, raster) : stamp);
    const lines = model.get("differs")[key] ?? [];
    const whole = lines.length ? lines : ["no setting differs"];
    const words = whole.map((line) => shortened(line, MOST_LETTERS));
    if (pin.differs.title !== whole.join("\n")) pin.differs.replaceChildren(...words.map((line) => make("div", "", { role: "listitem" }, line)));
    pin.differs.title = whole.join("\n");
    pin.choose.setAttribute("aria-pressed", String(key === chosen()?.key));
    pin.tile.toggleAttribute("data-chosen", key === chosen()?.key);
    if (!raster) return;
    drawTile(pin, raster, limitOf(raster, limit), table, `Pinned: ${title}`);
    const { cosine, pearson, sum } = present ? likeness(present, raster) : { cosine: null, pearson: null, sum: null };
    const write = formatter(1, { digits: 4 });
    setText(pin.numbers[0], cosine === null ? "–" : write(cosine));
    setText(pin.numbers[1], pearson === null ? "–" : write(pearson));
    // With the decimals of the sums themselves: the difference of equal sums is rounding, and reads as zero.
    setText(pin.numbers[2], sum === null ? "–" : formatter(Math.max(Math.abs(raster.sum), Math.abs(present?.sum ?? 0)), { plus: true })(sum));
  }

  function drawChange() {
    const pin = chosen();
    const raster = pin ? rasterOf(pin) : null;
    changed = present && raster ? difference(present, raster) : null;
    change.tile.hidden = !pin || !present;
    change.frame.hidden = ownBar.hidden = ownEnds.hidden = !changed;
    if (!pin || !present || !raster) return;
    setText(change.title, `present − ${pin.title}`);
    change.title.title = `present minus ${pin.title}`;
    const other = (model.get("differs")[pin.key] ?? []).find((line) => line.startsWith("sample "));
    ownNote.title = other ? `There ${other}` : "";
    setText(ownNote, changed ? `a scale of its own${other ? ` · of different inputs: there ${shortened(other, MOST_OF_NAME)}` : ""}` : `no difference: ${present.height} × ${present.width} pixels here, ${raster.height} × ${raster.width} there`);
    if (!changed) return;
    // Other hues than the maps: the colours of a difference do not mean relevance.
    const name = model.get("colormap");
    const table = tableOf({ "red-blue": "orange-purple", "orange-purple": "red-blue" }[name] ?? name);
    drawTile(change, changed, changed.largest, table, `The present map minus ${pin.title}`);
    paintBar(ownBar, table);
    writeEnds(ownEnds.children[0], ownEnds.children[1], changed.largest);
  }

  /**
   * @param {Raster[]} rasters
   * @param {number} limit
   * @param {Uint32Array} table
   */
  function drawLegend(rasters, limit, table) {
    paintBar(bar, table);
    writeEnds(ends[0], ends[1], limit);
    lock.setAttribute("aria-pressed", String(Boolean(model.get("scale"))));
    one.setAttribute("aria-pressed", String(model.get("shared")));
    lock.disabled = !model.get("shared");
    for (const part of [ends[0], ends[1], bar]) part.style.visibility = model.get("shared") ? "" : "hidden";
    const beyond = rasters.reduce((count, raster) => count + countBeyond(raster, limit), 0);
    const percent = model.get("percentile");
    const how = model.get("scale") ? "locked" : percent < 100 ? `percentile ${percent} of |R|, the largest of the maps` : "the largest |R| shown";
    const block = Math.max(model.get("block"), ...model.get("pinned").map((pin) => pin.block));
    setText(note, `${model.get("shared") ? `one scale for all maps: ${how}` : "each map on a scale of its own"}${beyond ? ` · ${beyond} clipped` : ""}` +
      (block > 1 ? ` · ${block} × ${block} pixels pooled` : "") + (rasters.length > 1 ? "" : " · pin an explanation to compare with it"));
  }

  /**
   * Reads a pixel in every map.
   * @param {{x: number, y: number} | null} pixel
   */
  function point(pixel) {
    pointed = pixel;
    const tiles = [now, change, ...pins.values()];
    const rasters = [present, changed, ...[...pins.keys()].map((key) => read.get(key)?.raster ?? null)];
    const values = tiles.map(({ value, spot, tile }, index) => {
      const raster = rasters[index];
      const within = pixel && raster && pixel.x < raster.width && pixel.y < raster.height;
      spot.hidden = !within;
      const text = within ? single(raster.values[pixel.y * raster.width + pixel.x]) : "";
      setText(value, text && `${tile === change.tile ? "ΔR" : "R"} ${text}`);
      if (within)
        spot.style.cssText = `left: ${((pixel.x + 0.5) / raster.width) * 100}%; top: ${((pixel.y + 0.5) / raster.height) * 100}%;` +
          `width: max(${100 / raster.width}%, 7px); height: max(${100 / raster.height}%, 7px)`;
      return text;
    });
    setText(readout, pixel
      ? `row ${pixel.y} · column ${pixel.x} · present ${values[0] || "–"}${values[1] && ` · difference ${values[1]}`}` : HINT);
  }

  /** @param {PointerEvent} event */
  function under(event) {
    const tiles = [now, change, ...pins.values()];
    const tile = tiles.find(({ frame }) => frame.contains(/** @type {Node} */ (event.target)));
    if (!tile) return null;
    const box = tile.canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const { width, height } = tile.canvas;
    return x >= 0 && y >= 0 && x < 1 && y < 1 ? { x: Math.floor(x * width), y: Math.floor(y * height) } : null;
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (!present || isShortcut(event) || !event.key.startsWith("Arrow")) return;
    const from = pointed ?? { x: present.width >> 1, y: present.height >> 1 };
    const along = event.key === "ArrowLeft" || event.key === "ArrowRight";
    const to = stepTo(event.key, along ? from.x : from.y, along ? present.width : present.height);
    if (to !== null) point(along ? { ...from, x: to } : { ...from, y: to });
    event.preventDefault();
  }

  pictures.addEventListener("click", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const key = /** @type {HTMLElement | null} */ (target.closest("[data-key]"))?.dataset.key;
    if (key === undefined) return;
    const ask = target.closest("button")?.dataset.ask ?? (target.closest(".lrp-compare-frame") ? "chosen" : "");
    if (ask === "chosen") model.set("chosen", key);
    else if (ask === "removed" || ask === "recalled") model.set(ask, { key, count: (model.get(ask).count ?? 0) + 1 });
    model.save_changes();
  });
  lock.addEventListener("click", () => {
    const rasters = [present, ...model.get("pinned").map(rasterOf)];
    model.set("scale", model.get("scale") ? null : commonLimit(rasters, model.get("percentile")) || null);
    model.save_changes();
  });
  one.addEventListener("click", () => {
    model.set("shared", !model.get("shared"));
    model.save_changes();
  });
  close.addEventListener("click", () => {
    model.set("dismissed", model.get("dismissed") + 1);
    model.save_changes();
  });
  pictures.addEventListener("pointermove", (event) => point(under(event)));
  pictures.addEventListener("pointerleave", () => point(null));
  now.frame.addEventListener("keydown", onKey);
  now.frame.addEventListener("blur", () => point(null));
  return keepPainted(model, root, draw, [
    [["sequence", "stamp", "image", "pinned", "maps", "differs", "stale", "colormap", "percentile", "scale", "shared", "chosen"], draw],
  ]);
}

export default { render };
