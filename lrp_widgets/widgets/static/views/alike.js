import { summarized } from "../raster.js";

/**
 * How alike two maps are. Numbers that are not finite in either of them are left out.
 *
 * cosine: Σ a b / (|a| |b|).  pearson: the same of what differs from the mean.  sum: ΣR of the first minus that of the second.
 * Null where a map is constant (for the cosine: zero), or where the two are of different size.
 * @param {import("../raster.js").Raster} one
 * @param {import("../raster.js").Raster} other
 * @returns {{cosine: number | null, pearson: number | null, sum: number}}
 */
export function likeness(one, other) {
  const sum = one.sum - other.sum;
  if (one.width !== other.width || one.height !== other.height) return { cosine: null, pearson: null, sum };
  let [n, a, b, aa, bb, ab] = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < one.values.length; i++) {
    const [x, y] = [one.values[i], other.values[i]];
    if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
    n++;
    a += x;
    b += y;
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  const spread = (aa - (a * a) / n) * (bb - (b * b) / n);
  const rounding = 1e-12 * aa * bb; // what is left of the spread of a constant map
  return {
    cosine: aa * bb > 0 ? ab / Math.sqrt(aa * bb) : null,
    pearson: spread > rounding ? (ab - (a * b) / n) / Math.sqrt(spread) : null,
    sum,
  };
}

/**
 * The first map minus the second.
 * @param {import("../raster.js").Raster} one
 * @param {import("../raster.js").Raster} other
 * @returns {import("../raster.js").Raster | null} null where they are of different size
 */
export function difference(one, other) {
  if (one.width !== other.width || one.height !== other.height) return null;
  const values = one.values.map((value, index) => value - other.values[index]);
  return summarized(values, one.height, one.width);
}
