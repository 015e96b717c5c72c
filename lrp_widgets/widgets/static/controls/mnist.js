const SIDE = 28; // a digit's picture
const BOX = 20; // the digit in it

/**
 * Scales and centres ink as MNIST's makers did: the bounding box fits into 20 × 20 with its proportions kept, each
 * pixel is the mean ink of the area it covers, and the centre of mass comes to the middle of 28 × 28.
 * @param {Uint8Array} ink width · height values from 0 (paper) to 255
 * @param {number} width
 * @returns {Uint8Array} 784 values
 */
export function centred(ink, width) {
  const height = ink.length / width;
  let [left, right, top, bottom] = [width, 0, height, 0];
  let [mass, massX, massY] = [0, 0, 0];
  for (let i = 0; i < ink.length; i++) {
    if (!ink[i]) continue;
    const x = i % width;
    const y = (i - x) / width;
    left = Math.min(left, x);
    right = Math.max(right, x + 1);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y + 1);
    mass += ink[i];
    massX += ink[i] * (x + 0.5);
    massY += ink[i] * (y + 0.5);
  }
  const digit = new Uint8Array(SIDE * SIDE);
  if (!mass) return digit;
  const scale = BOX / Math.max(right - left, bottom - top);
  const columns = coverage(left, right, massX / mass, scale);
  const rows = coverage(top, bottom, massY / mass, scale);
  for (let j = 0; j < SIDE; j++) {
    for (let i = 0; i < SIDE; i++) {
      let sum = 0;
      for (const [y, tall] of rows[j]) for (const [x, wide] of columns[i]) sum += tall * wide * ink[y * width + x];
      digit[j * SIDE + i] = Math.round(sum);
    }
  }
  return digit;
}

/**
 * For each pixel of the digit along one axis: the pixels of ink that it covers, and their shares of its width.
 * @param {number} start
 * @param {number} end
 * @param {number} centre of mass
 * @param {number} scale
 * @returns {[number, number][][]}
 */
function coverage(start, end, centre, scale) {
  // A lopsided digit stays inside the picture, a little off its centre.
  const offset = Math.min(SIDE - end * scale, Math.max(-start * scale, SIDE / 2 - centre * scale));
  return Array.from({ length: SIDE }, (_, pixel) => {
    const from = Math.max(start, (pixel - offset) / scale);
    const to = Math.min(end, (pixel + 1 - offset) / scale);
    /** @type {[number, number][]} */
    const shares = [];
    for (let at = Math.floor(from); at < to; at++)
      shares.push([at, (Math.min(to, at + 1) - Math.max(from, at)) * scale]);
    return shares;
  });
}
