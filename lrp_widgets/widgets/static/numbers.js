/**
 * Writes numbers of a column alike: as many decimals as its largest one needs for `digits` significant digits.
 * @param {number} largest the largest |number| of the column
 * @param {{digits?: number, plus?: boolean}} [style] plus: write + before positive numbers
 * @returns {(value: number | null | undefined) => string}
 */
export function formatter(largest, { digits = 4, plus = false } = {}) {
  const power = largest > 0 && Number.isFinite(largest) ? Math.floor(Math.log10(largest)) : 0;
  const plain = power >= -4 && power < 6;
  const decimals = plain ? Math.min(8, Math.max(0, digits - 1 - power)) : digits - 2;
  return (value) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return "not finite";
    const size = Math.abs(value);
    const text = plain || size === 0 ? size.toFixed(decimals) : size.toExponential(decimals);
    const zero = Number(text) === 0;
    return (zero ? "" : value < 0 ? "−" : plus ? "+" : "") + text.replace("e-", "e−").replace("e+", "e");
  };
}

/**
 * Writes one number for itself, to four significant digits.
 * @param {number | null | undefined} value
 */
export function single(value) {
  return formatter(Math.abs(value ?? 0))(value);
}

/**
 * Writes a column of numbers, each to four significant digits, so that they stand with their decimal points one below
 * the other: what one has fewer behind the point are spaces as wide as a digit.
 * @param {(number | null | undefined)[]} column null: not finite; undefined: there is no such number
 * @returns {string[]}
 */
export function aligned(column) {
  const texts = column.map((value) => (value === undefined ? "–" : single(value)));
  const tail = (/** @type {string} */ text) => (text.includes(".") ? text.length - text.indexOf(".") : 0);
  const longest = Math.max(0, ...texts.map(tail));
  return texts.map((text) => {
    const missing = longest - tail(text);
    return text + (tail(text) || !missing ? "" : "\u2008") + "\u2007".repeat(tail(text) || !missing ? missing : missing - 1);
  });
}
