/** The namespace of SVG, as the HTML parser sets it, so that no web address stands in the code. */
const namespaceOf = () => {
  const blank = document.createElement("template");
  blank.innerHTML = "<svg></svg>";
  return blank.content.firstElementChild?.namespaceURI ?? null;
};

/**
 * Makes an element of SVG.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {(Node | string)[]} children
 */
export function makeSvg(tag, attributes, ...children) {
  const element = document.createElementNS(namespaceOf(), tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * A closed line that is seen on any ground: white, and on it black dashes.
 * @param {number[][]} points
 * @param {Record<string, string | number>} [attributes]
 */
export function makeOutline(points, attributes = {}) {
  const line = { points: points.join(" "), fill: "none", "stroke-linejoin": "round", ...attributes };
  return [
    makeSvg("polygon", { ...line, stroke: "#fff", "stroke-width": 2.5 }),
    makeSvg("polygon", { ...line, stroke: "#000", "stroke-width": 1.5, "stroke-dasharray": "5 4" }),
  ];
}
