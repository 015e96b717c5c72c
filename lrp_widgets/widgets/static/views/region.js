import { formatter } from "../numbers.js";

/**
 * @typedef {[number, number]} Vertex x and y in pixels of the map
 * @typedef {{inside: number, insideSize: number, totalSize: number, area: number}} Share of R and of |R|
 */

/** The most vertices that Python takes. */
export const MOST_VERTICES = 400;

/**
 * The pixels whose centre lies within a polygon (even-odd rule), 1 or 0 each, row after row. polygon.py has the same rule.
 * @param {Vertex[]} region
 * @param {number} width
 * @param {number} height
 */
export function insideOf(region, width, height) {
  const mask = new Uint8Array(width * height);
  const crossings = new Uint16Array((width + 1) * height); // edges met just left of the centre of a column
  region.forEach(([x, y], index) => {
    const [toX, toY] = region[(index + 1) % region.length];
    const [first, end] = [Math.max(0, Math.floor(Math.min(y, toY) - 1)), Math.min(height, Math.ceil(Math.max(y, toY)) + 1)];
    for (let row = first; row < end; row++) {
      const centre = row + 0.5;
      if (y <= centre === toY <= centre) continue;
      const at = Math.ceil(x + ((centre - y) * (toX - x)) / (toY - y) - 0.5);
      crossings[row * (width + 1) + Math.min(width, Math.max(0, at))]++;
    }
  });
  for (let row = 0; row < height; row++)
    for (let column = 0, met = 0; column < width; column++) {
      met += crossings[row * (width + 1) + column];
      mask[row * width + column] = met & 1;
    }
  return mask;
}

/**
 * @param {import("../raster.js").Raster} raster
 * @param {Uint8Array} mask
 * @returns {Share}
 */
export function shareOf({ values }, mask) {
  let [inside, insideSize, totalSize, count] = [0, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    count += mask[i];
    const value = values[i];
    if (!Number.isFinite(value)) continue;
    const size = Math.abs(value);
    totalSize += size;
    if (!mask[i]) continue;
    inside += value;
    insideSize += size;
  }
  return { inside, insideSize, totalSize, area: count / values.length };
}

/**
 * Two lines: what of the sum lies inside, as a part of it where inside and outside do not cancel; and the same of |R|,
 * which never cancels, beside the part that chance would give.
 * @param {Share} share
 * @param {number} total the sum of R
 * @returns {[string, string]}
 */
export function sayShare({ inside, insideSize, totalSize, area }, total) {
  const write = formatter(Math.max(Math.abs(inside), Math.abs(total), Math.abs(total - inside)), { plus: true });
  const ground = `${percent(area)} of the area`;
  if (!totalSize) return ["no relevance in this picture", ground];
  const part = total ? inside / total : -1;
  const summed = part >= 0 && part <= 1
    ? `inside ${write(inside)} of ΣR ${write(total)} (${percent(part)})`
    : `inside ${write(inside)}, outside ${write(total - inside)}, ΣR ${write(total)}`;
  const size = insideSize / totalSize;
  return [summed, `${percent(size)} of |R| on ${ground}: ${formatter(size / area, { digits: 2 })(size / area)} × its share`];
}

/** @param {number} part */
const percent = (part) => `${(100 * part).toFixed(1)}\u00a0%`;

/**
 * The rectangle that reaches from one point to another, along the borders of pixels: it looks like what it holds.
 * @param {Vertex} from
 * @param {Vertex} to
 * @returns {Vertex[]}
 */
export function rectangle(from, to) {
  const [left, right] = [from[0], to[0]].map(Math.round).sort((a, b) => a - b);
  const [top, bottom] = [from[1], to[1]].map(Math.round).sort((a, b) => a - b);
  return [[left, top], [right, top], [right, bottom], [left, bottom]];
}

/**
 * The rectangle with both pixels inside.
 * @param {import("./picture.js").Pixel} from
 * @param {import("./picture.js").Pixel} to
 */
export const spanned = (from, to) =>
  rectangle([Math.min(from.x, to.x), Math.min(from.y, to.y)], [Math.max(from.x, to.x) + 1, Math.max(from.y, to.y) + 1]);

/**
 * A drawn line with no more vertices than Python takes: every second one goes until they are few enough.
 * @param {Vertex[]} line
 * @returns {Vertex[]}
 */
export function thinned(line) {
  let kept = line;
  while (kept.length > MOST_VERTICES) kept = kept.filter((_, index) => index % 2 === 0);
  return kept.map(([x, y]) => [Math.round(x * 100) / 100, Math.round(y * 100) / 100]);
}
