import { BLACK, colourTable, maskTable } from "../colours.js";
import { colourRaster, readImage, stretch } from "../raster.js";
import { make } from "../dom.js";
import { makeOutline, makeSvg } from "../svg.js";

/**
 * @typedef {{x: number, y: number}} Pixel
 * @typedef {{pixels: ImageData, opacity: number}} Layer one above the other, the lowest first
 * @typedef {{
 *   frame: HTMLElement, canvas: HTMLCanvasElement, plane: HTMLElement, boxes: HTMLElement, outline: Element,
 *   mark: HTMLElement, cursor: HTMLElement,
 * }} Picture plane: lies where the whole picture would, also where it is enlarged and the frame shows a part
 */

/** @returns {Picture} */
export function makePicture() {
  const canvas = make("canvas", "", { role: "img" });
  const outline = makeSvg("svg", { class: "lrp-heatmap-outline", preserveAspectRatio: "none", "aria-hidden": "true" });
  const mark = make("div", "lrp-heatmap-spot", { hidden: "" });
  const cursor = make("div", "lrp-heatmap-spot lrp-heatmap-cursor", { hidden: "" });
  const boxes = make("div", "lrp-heatmap-boxes", { "aria-hidden": "true" });
  const plane = make("div", "lrp-heatmap-plane", {}, boxes, outline, mark, cursor);
  return { frame: make("div", "lrp-heatmap-frame", {}, canvas, plane), canvas, plane, boxes, outline, mark, cursor };
}

/**
 * The colours of a kind of picture.
 * @param {string} kind overlay, heatmap, mask or image
 * @param {string} colormap
 * @param {boolean} dark
 */
export function tableOf(kind, colormap, dark) {
  return kind === "mask" ? maskTable() : colourTable(colormap, dark, kind === "overlay");
}

/**
 * What lies on what in a kind of picture.
 * @param {string} kind
 * @param {{raster: import("../raster.js").Raster, ends: import("../raster.js").Ends, table: Uint32Array,
 *   image: DataView, imageShape: number[], opacity: number}} look
 * @returns {Layer[]}
 */
export function layersOf(kind, { raster, ends, table, image, imageShape, opacity }) {
  const under = kind === "heatmap" ? null : readImage(image, imageShape, kind === "overlay");
  /** @type {Layer[]} */
  const layers = under ? [{ pixels: under, opacity: 1 }] : [];
  if (kind === "image") return layers;
  const unknown = kind === "mask" ? BLACK : 0;
  return [...layers, { pixels: colourRaster(raster, ends, table, unknown), opacity: kind === "overlay" ? opacity : 1 }];
}

/**
 * @template Result
 * @param {() => Result} make called when its result is first asked for
 */
export function once(make) {
  /** @type {Result | undefined} */
  let result;
  return () => (result ??= make());
}

/**
 * @param {Picture} picture
 * @param {() => Layer[]} layers not asked for where the picture has no size
 * @param {boolean} pixelated
 * @param {import("./zoom.js").Zoom} zoom
 */
export function draw({ frame, canvas, plane }, layers, pixelated, zoom) {
  const [scale, left, top] = zoom;
  plane.style.cssText = `left: ${-100 * scale * left}%; top: ${-100 * scale * top}%; width: ${100 * scale}%; height: ${100 * scale}%`;
  const width = Math.round(frame.clientWidth * devicePixelRatio);
  const height = Math.round(frame.clientHeight * devicePixelRatio);
  const context = canvas.getContext("2d");
  if (!width || !height || !context) return;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  context.clearRect(0, 0, width, height);
  for (const { pixels, opacity } of layers()) stretch(context, pixels, pixelated, opacity, zoom);
}

/**
 * Puts a mark on a pixel, or hides it.
 * @param {HTMLElement} spot
 * @param {Pixel | null} pixel
 * @param {import("../raster.js").Raster | null} raster
 */
export function place(spot, pixel, raster) {
  spot.hidden = !pixel || !raster || pixel.x >= raster.width || pixel.y >= raster.height;
  if (!pixel || !raster) return;
  const { width, height } = raster;
  spot.style.cssText = `left: ${((pixel.x + 0.5) / width) * 100}%; top: ${((pixel.y + 0.5) / height) * 100}%;
    width: max(${100 / width}%, 9px); height: max(${100 / height}%, 9px)`;
}

/**
 * @param {Picture} picture
 * @param {import("./region.js").Vertex[]} region
 * @param {import("../raster.js").Raster} raster
 */
export function outline({ outline: svg }, region, { width, height }) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...(region.length ? makeOutline(region, { "vector-effect": "non-scaling-stroke" }) : []));
}
