import { HALF } from "./colours.js";
import { setText } from "./dom.js";
import { formatter } from "./numbers.js";
import { colourRaster } from "./raster.js";

const FINE = 128; // px: a wider map is usually shown smaller than it is, where taking the nearest pixel would drop lines

/**
 * Paints a map at its own resolution: the page enlarges it, which costs nothing.
 * @param {HTMLCanvasElement} canvas
 * @param {import("./raster.js").Raster} raster
 * @param {number} limit the number at the end of the colours
 * @param {Uint32Array} table
 */
export function paintMap(canvas, raster, limit, table) {
  paintPixels(canvas, colourRaster(raster, { low: limit, high: limit }, table));
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ImageData} picture
 */
export function paintPixels(canvas, picture) {
  const { width, height } = picture;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.style.imageRendering = width < FINE ? "pixelated" : "auto";
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
}

/**
 * Paints a colour bar, from the most negative colour to the most positive.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint32Array} table
 */
export function paintBar(canvas, table) {
  const picture = new ImageData(2 * HALF + 1, 1);
  new Uint32Array(picture.data.buffer).set(table);
  paintPixels(canvas, picture);
}

/**
 * Writes the numbers at both ends of a colour bar.
 * @param {Element} left
 * @param {Element} right
 * @param {number} limit
 */
export function writeEnds(left, right, limit) {
  const write = formatter(limit, { digits: 3, plus: true });
  setText(left, write(-limit));
  setText(right, write(limit));
}
