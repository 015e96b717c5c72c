import { make } from "../dom.js";

/**
 * Splits a formula into text and subscripts: a_j, w_jk, R_{j←k}. A subscript is the letters after _, or what stands in braces.
 * @param {string} formula
 * @returns {{text: string, below: boolean}[]}
 */
export function partsOf(formula) {
  const parts = formula.replaceAll("<-", "←").split(/_(\{[^}]*\}|\p{L}*)/u);
  return parts
    .map((part, index) => (index % 2 ? { text: part.replace(/^\{|\}$/g, ""), below: true } : { text: part, below: false }))
    .filter(({ text }) => text);
}

/**
 * A formula as nodes of the page. It is never read as HTML.
 * @param {string} formula
 * @returns {(Node | string)[]}
 */
export function typeset(formula) {
  return partsOf(formula).map(({ text, below }) => (below ? make("sub", "", {}, text) : text));
}
