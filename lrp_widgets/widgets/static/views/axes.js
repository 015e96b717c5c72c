/**
 * Round numbers that divide a span into a few parts.
 * @param {number} low
 * @param {number} high
 * @param {number} parts
 */
export function ticksOf(low, high, parts) {
  const raw = (high - low) / Math.max(1, parts);
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((times) => times * power >= raw * 0.999) ?? 10);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return ticks;
}

/**
 * A line as an SVG path; what is not finite leaves a gap.
 * @param {([number, number] | null)[]} points
 */
export function pathOf(points) {
  let pen = "M";
  let path = "";
  for (const point of points) {
    if (point) path += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    pen = point ? "L" : "M";
  }
  return path;
}
