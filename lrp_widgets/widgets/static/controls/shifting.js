/**
 * A picture moved by parts of a pixel, read bilinearly; `fill` comes in from outside.
 * @param {ImageData} picture
 * @param {number} right
 * @param {number} down
 * @param {number} fill a grey from 0 to 255
 */
export function shifted({ data, width, height }, right, down, fill) {
  const moved = new ImageData(width, height);
  const [left, top] = [Math.floor(-right), Math.floor(-down)];
  const [across, below] = [-right - left, -down - top]; // the shares of the pixels to the right and below
  /** @type {[number, number, number][]} */
  const taps = [
    [0, 0, (1 - across) * (1 - below)], [1, 0, across * (1 - below)], [0, 1, (1 - across) * below], [1, 1, across * below],
  ];
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++, to += 4) {
      let [red, green, blue] = [0, 0, 0];
      for (const [dx, dy, share] of taps) {
        const [column, row] = [x + left + dx, y + top + dy];
        const inside = column >= 0 && row >= 0 && column < width && row < height;
        const from = 4 * (row * width + column);
        red += share * (inside ? data[from] : fill);
        green += share * (inside ? data[from + 1] : fill);
        blue += share * (inside ? data[from + 2] : fill);
      }
      moved.data.set([Math.round(red), Math.round(green), Math.round(blue), 255], to);
    }
  return moved;
}

/**
 * A place on the grid of steps, within reach.
 * @param {number} value
 * @param {number} step
 * @param {number} reach
 */
export function snapped(value, step, reach) {
  const most = Math.floor(reach / step + 1e-9);
  const count = Math.min(most, Math.max(-most, Math.round(value / step)));
  return Number((count * step).toFixed(6)) || 0; // no −0
}

/**
 * A place in words.
 * @param {number} right
 * @param {number} down
 */
export function saidPlace(right, down) {
  const write = (/** @type {number} */ value) => String(Number(Math.abs(value).toFixed(3)));
  const parts = [];
  if (right) parts.push(`${write(right)} px ${right > 0 ? "right" : "left"}`);
  if (down) parts.push(`${write(down)} px ${down > 0 ? "down" : "up"}`);
  return parts.join(", ") || "where it was";
}
