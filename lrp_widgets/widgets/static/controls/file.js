import { shortened } from "../dom.js";

const MOST_LETTERS = 48; // of a file's name in a message

/**
 * A size in MB, rounded up, so that too much never reads like the limit.
 * @param {number} size
 */
export const megabytes = (size) => `${Math.ceil(size / 1e5) / 10} MB`;

/**
 * Why a file cannot be sent, "" where it can.
 * @param {{name: string, size: number}} file
 * @param {number} most
 */
export function objection({ name, size }, most) {
  const file = shortened(name, MOST_LETTERS) || "The file";
  if (!size) return `${file} must hold a picture, got an empty file or a folder. Choose another one.`;
  if (size <= most) return "";
  return `${file} must be at most ${megabytes(most)}, got ${megabytes(size)}. Save it with fewer pixels.`;
}

/**
 * The name before the first colon, and what was done to the file.
 * @param {string} text
 */
export function parts(text) {
  const at = text.indexOf(": ");
  return at < 0 ? ["", text] : [text.slice(0, at), text.slice(at + 2)];
}
