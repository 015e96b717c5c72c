import { rectangle, thinned } from "./region.js";

const APART = 2; // CSS px between two vertices of a lasso

/**
 * Draws a region with the pointer.
 * @param {HTMLElement} surface
 * @param {{
 *   tool: () => string,
 *   locate: (event: PointerEvent, started: boolean) => import("./region.js").Vertex | null,
 *   draft: (region: import("./region.js").Vertex[] | null) => void,
 *   finish: (region: import("./region.js").Vertex[]) => void,
 * }} marking locate: a place on the map, null for a start beside it.  draft: the region so far,
 *   null where it is given up.  finish: the whole of it.
 * @returns {() => boolean} gives up what is being drawn; false where nothing is
 */
export function watchMarking(surface, { tool, locate, draft, finish }) {
  /** @type {import("./region.js").Vertex[]} */
  let line = [];
  let pointer = -1;
  let last = [0, 0];

  const shape = () => (tool() === "lasso" ? thinned(line) : rectangle(line[0], line[line.length - 1]));

  surface.addEventListener("pointerdown", (event) => {
    const from = event.isPrimary && event.button === 0 && tool() !== "pointer" ? locate(event, false) : null;
    if (!from) return;
    line = [from];
    pointer = event.pointerId;
    last = [event.clientX, event.clientY];
    surface.setPointerCapture(pointer);
  });
  surface.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const to = locate(event, true);
    if (!to || Math.hypot(event.clientX - last[0], event.clientY - last[1]) < APART) return;
    last = [event.clientX, event.clientY];
    line.push(to);
    draft(shape());
  });
  surface.addEventListener("pointerup", (event) => {
    if (event.pointerId !== pointer) return;
    pointer = -1;
    finish(line.length > 1 ? shape() : []);
  });

  const cancel = () => {
    const drawing = pointer !== -1;
    pointer = -1;
    return drawing;
  };
  surface.addEventListener("pointercancel", () => {
    if (cancel()) draft(null);
  });
  return cancel;
}
