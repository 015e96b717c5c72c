import { make } from "../dom.js";

/**
 * Frames on a picture, each with its rank; the chosen one stands out.
 * @param {HTMLElement} layer as large as the picture
 * @param {number[][]} boxes top, left, bottom and right of each, in pixels of the map
 * @param {number} chosen
 * @param {{width: number, height: number}} map
 */
export function drawBoxes(layer, boxes, chosen, { width, height }) {
  layer.replaceChildren(
    ...boxes.map(([top, left, bottom, right], index) => {
      const box = make("div", "lrp-heatmap-box", {}, make("span", "", {}, String(index + 1)));
      box.toggleAttribute("data-chosen", index === chosen);
      box.style.left = `${(left / width) * 100}%`;
      box.style.top = `${(top / height) * 100}%`;
      box.style.width = `${((right - left) / width) * 100}%`;
      box.style.height = `${((bottom - top) / height) * 100}%`;
      return box;
    }),
  );
}
