import { formatter, single } from "../numbers.js";
import { countBeyond, percentileOf } from "../raster.js";

/**
 * What decides where the colours end.
 * @typedef {{signs: string, percentile: number, scale: number | null, locked: number[]}} Scale
 */

/** @type {Record<string, [string, string]>} What the scale is taken from: its largest, or a percentile. */
const SOURCES = {
  symmetric: ["scale: largest |R|", "of |R|"],
  separate: ["scales: largest of each sign", "of each sign"],
  positive: ["scale: largest R", "of R > 0"],
  negative: ["scale: lowest R", "of R < 0"],
};

/**
 * The numbers where the colours end; 0 for a sign that has no colours.
 * @param {import("../raster.js").Raster} raster
 * @param {Scale} scale
 * @returns {import("../raster.js").Ends}
 */
export function endsOf(raster, { signs, percentile, scale, locked }) {
  let [low, high] = locked.length ? locked : [scale || 0, scale || 0];
  if (signs === "symmetric") low = high = Math.max(low, high) || percentileOf(raster, percentile);
  if (signs === "positive") low = 0;
  else low ||= percentileOf(raster, percentile, -1);
  if (signs === "negative") high = 0;
  else high ||= percentileOf(raster, percentile, 1);
  return { low, high };
}

/** @type {WeakMap<import("../raster.js").Raster, {percent: number, value: number}>} the last percentile of a map */
const percentiles = new WeakMap();

/**
 * Where the colours of several maps end, to either side of zero: at `scale` if there is one, else at the largest of the
 * maps' percentiles of |R|. The percentile of each map is kept: a move asks only for that of the map that is new.
 * @param {(import("../raster.js").Raster | null)[]} rasters
 * @param {number} [percent]
 * @param {number | null} [scale]
 */
export function commonLimit(rasters, percent = 100, scale = null) {
  const limits = rasters.map((raster) => {
    if (!raster) return 0;
    const last = percentiles.get(raster);
    if (last?.percent === percent) return last.value;
    const value = percentileOf(raster, percent);
    percentiles.set(raster, { percent, value });
    return value;
  });
  return scale || Math.max(0, ...limits);
}

/**
 * What stands under the colour bar at its left end, at its zero where that lies inside, and at its right end.
 * @param {import("../raster.js").Ends} ends
 */
export function endLabels({ low, high }) {
  const write = formatter(Math.max(low, high), { digits: 3, plus: true });
  const alone = (low > 0) !== (high > 0);
  return [low ? write(-low) : "0", alone ? "" : "0", high ? write(high) : "0"];
}

/**
 * How the scale came about, and what it hides.
 * @param {import("../raster.js").Raster} raster
 * @param {import("../raster.js").Ends} ends
 * @param {Scale} scale
 */
export function noteOf(raster, { low, high }, { signs, percentile, scale, locked }) {
  const { largest, highest, lowest, broken } = raster;
  const [whole, part] = SOURCES[signs];
  const clips = signs === "symmetric" ? high !== largest : (high && high !== highest) || (low && low !== -lowest);
  let text = clips ? `percentile ${percentile} ${part}` : whole;
  if (locked.length || scale) text = locked.length ? "scale locked" : "scale set";
  const beyond = countBeyond(raster, high, low);
  if (beyond) text += ` · ${beyond} clipped`;
  const most = { positive: highest, negative: -lowest }[signs] ?? largest;
  if (Math.max(low, high) !== most) text += ` · largest ${single(most)}`;
  if (signs === "positive" && lowest < 0) text += " · R < 0 not shown";
  if (signs === "negative" && highest > 0) text += " · R > 0 not shown";
  return broken ? `${text} · ${broken} not finite` : text;
}
