import { colourTable, onDark } from "../colours.js";
import { make, makeRoot, setText } from "../dom.js";
import { keepPainted } from "../lifecycle.js";
import { readImage, readRasters } from "../raster.js";
import { paintMap, paintPixels } from "../tiles.js";

/**
 * @typedef {{
 *   pictures: DataView, shape: number[], titles: string[], sequence: number,
 *   maps: DataView, maps_shape: number[], verdicts: {text: string, agrees: boolean | null}[][],
 *   near: DataView, near_shape: number[], near_titles: string[], beside: number, near_name: string,
 *   size: number, description: string, colormap: string, stale: boolean,
 * }} Traits
 */

function makeCard() {
  const picture = make("canvas", "lrp-prototypes-picture", { role: "img" });
  const map = make("canvas", "lrp-prototypes-map", { role: "img" });
  const title = make("div", "lrp-prototypes-title lrp-cut");
  const verdicts = make("div", "lrp-prototypes-verdicts");
  const caption = make("div", "lrp-prototypes-caption lrp-muted");
  const near = make("div", "lrp-prototypes-near");
  const card = make("div", "lrp-prototypes-card", { role: "group" },
    make("div", "lrp-prototypes-pair", {}, picture, map), title, verdicts, caption, near);
  return { card, picture, map, title, verdicts, caption, near };
}

/**
 * One picture of several that lie one behind the other.
 * @param {DataView} bytes
 * @param {number} index
 * @param {number[]} shape height, width and channels
 */
function pictureOf(bytes, index, [height, width, channels]) {
  const size = height * width * channels;
  if (!bytes || bytes.byteLength < (index + 1) * size) return null;
  return readImage(new DataView(bytes.buffer, bytes.byteOffset + index * size, size), [height, width, channels], false);
}

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-prototypes");
  const list = make("div", "lrp-prototypes-list", { role: "group" });
  root.append(list);
  /** @type {ReturnType<typeof makeCard>[]} */
  let cards = [];

  function draw() {
    const [count, height, width, channels] = model.get("shape");
    while (cards.length < count) cards.push(makeCard());
    if (list.childElementCount !== count) {
      cards = cards.slice(0, count);
      list.replaceChildren(...cards.map(({ card }) => card));
    }
    root.hidden = !count;
    root.dataset.sequence = String(model.get("sequence"));
    root.dataset.count = String(count);
    root.style.setProperty("--lrp-prototypes-size", `${model.get("size")}px`);
    root.style.setProperty("--lrp-prototypes-ratio", String(width && height ? width / height : 1));
    root.toggleAttribute("data-stale", model.get("stale"));
    list.setAttribute("aria-label", model.get("description"));
    cards.forEach(({ picture, title, card }, index) => {
      const pixels = pictureOf(model.get("pictures"), index, [height, width, channels]);
      if (pixels) paintPixels(picture, pixels);
      const text = model.get("titles")[index] ?? "";
      setText(title, text);
      title.title = text;
      picture.setAttribute("aria-label", `Prototype ${index + 1}: ${text}`);
      card.setAttribute("aria-label", `Prototype ${index + 1}`);
    });
    if (model.get("verdicts").length !== count) drawBeside();
  }

  function drawBeside() {
    const count = cards.length;
    const shape = model.get("maps_shape");
    const rasters = shape[0] === count ? readRasters(model.get("maps"), shape) : [];
    const table = colourTable(model.get("colormap"), onDark(root), false);
    root.dataset.beside = String(model.get("beside"));
    root.toggleAttribute("data-maps", rasters.length > 0);
    const [owners, each, height, width, channels] = model.get("near_shape");
    const all = model.get("verdicts");
    cards.forEach(({ map, verdicts, near, caption }, index) => {
      const raster = rasters[index];
      if (raster) paintMap(map, raster, raster.largest, table);
      map.hidden = !raster;
      map.setAttribute("aria-label", `Relevance in prototype ${index + 1}`);
      map.title = "Which part of the prototype makes the score: relevance by LRP, each map on its own scale";
      const lines = all.length === count ? all[index] : [];
      verdicts.replaceChildren(...lines.map(({ text, agrees }) =>
        make("div", "lrp-prototypes-verdict", agrees === null ? {} : { "data-agrees": agrees ? "yes" : "no" }, text)));
      const shown = owners === count && all.length === count ? each : 0;
      caption.hidden = !shown;
      setText(caption, model.get("near_name"));
      near.replaceChildren(...Array.from({ length: shown }, (_, k) => {
        const place = index * each + k;
        const canvas = make("canvas", "lrp-prototypes-real", { "aria-hidden": "true" });
        const pixels = pictureOf(model.get("near"), place, [height, width, channels]);
        if (pixels) paintPixels(canvas, pixels);
        const name = model.get("near_titles")[place] ?? "";
        return make("div", "lrp-prototypes-sample", { title: name }, canvas, make("div", "lrp-cut", {}, name.split(" · ")[0]));
      }));
    });
  }

  function drawAll() {
    draw();
    drawBeside();
  }

  return keepPainted(model, root, drawAll, [
    [["sequence", "size", "description", "stale"], draw],
    [["beside", "colormap", "near_name"], drawBeside],
  ]);
}

export default { render };
