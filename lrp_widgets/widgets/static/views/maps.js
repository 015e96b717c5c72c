import { colourTable, onDark } from "../colours.js";
import { make, makeRoot, placeOf, setText, walkGrid } from "../dom.js";
import { keepPainted } from "../lifecycle.js";
import { readRasters } from "../raster.js";
import { paintBar, paintMap, writeEnds } from "../tiles.js";
import { commonLimit } from "./scale.js";

/**
 * @typedef {{
 *   maps: DataView, shape: number[], captions: {title: string, text: string, marked: boolean}[], selected: number,
 *   columns: number, size: number, marked: string, description: string, colormap: string, sequence: number,
 *   picked: {index?: number, count?: number}, shared: boolean,
 * }} Traits
 */

function makeTile() {
  const canvas = make("canvas", "lrp-maps-map", { "aria-hidden": "true" });
  const mark = make("span", "lrp-maps-mark");
  const title = make("span", "lrp-maps-title");
  const tile = make("button", "lrp-maps-tile", { type: "button" }, canvas, title, mark);
  return { tile, canvas, mark, title };
}

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-maps");
  const list = make("div", "lrp-maps-list lrp-scroller", { role: "group" });
  const bar = make("canvas", "lrp-maps-bar", { "aria-hidden": "true" });
  const ends = [make("span", ""), make("span", "")];
  const box = make("input", "", { type: "checkbox" });
  const foot = make("div", "lrp-maps-foot lrp-muted", {}, make("label", "", {}, box, " one scale"), ends[0], bar, ends[1]);
  const reading = make("div", "lrp-maps-reading", { "aria-live": "polite" });
  root.append(list, reading, foot);
  /** @type {ReturnType<typeof makeTile>[]} */
  let tiles = [];
  /** @type {(import("../raster.js").Raster | null)[]} */
  let rasters = [];
  let [loaded, focused] = [-1, 0];

  function read() {
    if (loaded === model.get("sequence")) return;
    loaded = model.get("sequence");
    const [count, height, width] = model.get("shape");
    rasters = readRasters(model.get("maps"), [count, height, width]);
    while (tiles.length < count) tiles.push(makeTile());
    tiles = tiles.slice(0, count);
    list.replaceChildren(...entries());
  }

  function draw() {
    read();
    const [count, height, width] = model.get("shape");
    const shared = model.get("shared");
    root.hidden = !count;
    root.dataset.sequence = String(model.get("sequence"));
    root.dataset.count = String(count);
    root.style.setProperty("--lrp-maps-size", `${model.get("size")}px`);
    root.style.setProperty("--lrp-maps-ratio", String(width && height ? width / height : 1));
    const columns = model.get("columns");
    list.style.gridTemplateColumns = columns ? `repeat(${columns}, minmax(0, var(--lrp-maps-size)))` : "";
    list.setAttribute("aria-label", model.get("description"));
    const table = colourTable(model.get("colormap"), onDark(root), false);
    const limit = commonLimit(rasters);
    rasters.forEach((raster, index) => {
      const { tile, canvas, mark, title } = tiles[index];
      const caption = model.get("captions")[index];
      if (raster) paintMap(canvas, raster, shared ? limit : raster.largest, table);
      setText(title, caption.title);
      setText(mark, caption.marked ? model.get("marked") : "");
      mark.hidden = !caption.marked;
      tile.title = [caption.title, caption.marked ? model.get("marked") : "", caption.text].filter(Boolean).join("\n");
      tile.setAttribute("aria-label", tile.title);
    });
    paintBar(bar, table);
    box.checked = shared;
    if (shared) writeEnds(ends[0], ends[1], limit);
    else ["−max", "+max of each"].forEach((text, index) => setText(ends[index], text));
    choose();
  }

  function choose() {
    const selected = model.get("selected");
    focused = Math.max(0, Math.min(focused, tiles.length - 1));
    tiles.forEach(({ tile }, index) => {
      tile.setAttribute("aria-pressed", String(index === selected));
      tile.tabIndex = index === focused ? 0 : -1;
    });
    tell(selected);
  }

  /**
   * The numbers of one of them, in a line.
   * @param {number} index
   */
  function tell(index) {
    const caption = model.get("captions")[index];
    reading.hidden = !model.get("captions").some(({ text }) => text);
    const words = caption ? [caption.title, ...(caption.marked ? [model.get("marked")] : []), caption.text] : [];
    setText(reading, words.filter(Boolean).join(" · ") || "\u00a0");
  }

  const entries = () => tiles.map(({ tile }) => tile);

  list.addEventListener("pointerover", (event) => tell(placeOf(event, entries())));
  list.addEventListener("pointerleave", () => tell(model.get("selected")));
  list.addEventListener("focusin", (event) => tell(placeOf(event, entries())));

  list.addEventListener("click", (event) => {
    const index = placeOf(event, entries());
    if (index < 0) return;
    focused = index;
    model.set("picked", { index, count: (model.get("picked").count ?? 0) + 1 });
    model.save_changes();
    choose();
  });
  walkGrid(list, entries, (next) => {
    focused = next;
    choose();
    tiles[next].tile.focus();
  });
  box.addEventListener("change", () => {
    model.set("shared", box.checked);
    model.save_changes();
  });
  return keepPainted(model, root, draw, [
    [["sequence", "shared", "colormap", "columns", "size"], draw],
    [["selected"], choose],
  ]);
}

export default { render };
