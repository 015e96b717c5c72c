import { make, setText } from "../dom.js";
import { formatter } from "../numbers.js";

/** @type {Record<string, [string, string]>} What each tool asks for: of the pointer, of the keyboard. */
export const HINTS = {
  pointer: ["Point at a pixel to read it", "Enter picks one"],
  rectangle: ["Drag a rectangle", "Enter sets a corner and then the opposite one, Escape clears"],
  lasso: ["Drag around a region", "Enter sets a corner and then the opposite one, Escape clears"],
};

/** A line that reads a pixel, or says what the tool asks for. */
export function makeReadout() {
  const element = make("div", "lrp-heatmap-readout lrp-cut lrp-muted", { "aria-live": "polite" }, HINTS.pointer[0]);

  /**
   * @param {import("./picture.js").Pixel | null} pixel
   * @param {import("../raster.js").Raster | null} raster
   * @param {string} tool
   */
  function read(pixel, raster, tool) {
    element.classList.toggle("lrp-muted", !pixel);
    if (!pixel || !raster) return setText(element, HINTS[tool][0]);
    const value = formatter(raster.largest, { plus: true })(raster.values[pixel.y * raster.width + pixel.x]);
    const pad = (/** @type {number} */ index, /** @type {number} */ end) =>
      String(index).padStart(String(end - 1).length, " "); // figure spaces, as wide as a digit: the numbers stay in place
    return setText(element, `row ${pad(pixel.y, raster.height)} · column ${pad(pixel.x, raster.width)} · R ${value}`);
  }

  return { element, read };
}
