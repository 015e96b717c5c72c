import { HALF } from "../colours.js";
import { make, setText } from "../dom.js";
import { colourRaster, stretch } from "../raster.js";
import { endLabels, noteOf } from "./scale.js";

/** A colour bar with its numbers, and a note on how they came about. */
export function makeLegend() {
  const bar = make("canvas", "lrp-heatmap-bar", { height: "1", "aria-hidden": "true" });
  const labels = [make("span", ""), make("span", ""), make("span", "")];
  const note = make("div", "lrp-heatmap-note lrp-cut lrp-muted");
  const element = make("div", "lrp-heatmap-legend", {}, bar, make("div", "lrp-heatmap-ends", {}, ...labels), note);

  /**
   * @param {import("../raster.js").Raster} raster
   * @param {{kind: string, ends: import("../raster.js").Ends, table: Uint32Array, opacity: number,
   *   scale: import("./scale.js").Scale}} look
   */
  function paint(raster, { kind, ends, table, opacity, scale }) {
    const context = bar.getContext("2d");
    if (!context) return;
    const from = ends.low || !ends.high ? -HALF : 0;
    const to = ends.high || !ends.low ? HALF : 0;
    const width = to - from + 1;
    if (bar.width !== width) bar.width = width;
    context.fillStyle = kind === "mask" ? "#fff" : "#808080"; // stands for the input where it shows through: white under a mask, else grey
    context.fillRect(0, 0, width, 1);
    const ruler = { ...raster, values: Float32Array.from({ length: width }, (_, i) => from + i), width, height: 1 };
    const ramp = colourRaster(ruler, { low: HALF, high: HALF }, table);
    stretch(context, ramp, false, kind === "overlay" ? opacity : 1);
    endLabels(ends).forEach((text, index) => setText(labels[index], text));
    setText(note, noteOf(raster, ends, scale));
    note.title = note.textContent ?? "";
  }

  return { element, bar, labels, note, paint };
}
