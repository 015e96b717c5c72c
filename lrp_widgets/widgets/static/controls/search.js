/**
 * The classes that a word finds: those whose name has it, and the one whose number it is. First that number, then names
 * that begin with the word, then those with the largest scores.
 * @param {string[]} names
 * @param {(number | null)[]} scores
 * @param {string} word
 * @param {number} most of them
 */
export function search(names, scores, word, most) {
  const wanted = word.trim().toLowerCase();
  const rank = (/** @type {number} */ index) =>
    String(index) === wanted ? 0 : names[index].toLowerCase().startsWith(wanted) ? 1 : 2;
  const found = names.map((_, index) => index)
    .filter((index) => String(index) === wanted || names[index].toLowerCase().includes(wanted))
    .sort((a, b) => rank(a) - rank(b) || (scores[b] ?? -Infinity) - (scores[a] ?? -Infinity) || a - b);
  return { shown: found.slice(0, most), count: found.length };
}
