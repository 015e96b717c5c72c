import { isShortcut, stepTo } from "../dom.js";
import { spanned } from "./region.js";
import { following } from "./zoom.js";

/** @typedef {import("./picture.js").Pixel} Pixel */

/**
 * The pixels of a heatmap by keyboard: the arrow keys move a cursor, Enter picks its pixel or sets the two corners of a
 * rectangle, and Escape gives up what is being drawn, or else the region.
 * @param {HTMLElement} surface has the focus while the cursor is seen
 * @param {HTMLElement} root Escape holds in all of it
 * @param {import("./state.js").State} state
 * @param {{
 *   zoom: () => import("./zoom.js").Zoom, showCursor: () => void,
 *   sketch: (region: import("./region.js").Vertex[]) => void, mark: (region: import("./region.js").Vertex[]) => void,
 *   giveUp: () => boolean,
 * }} actions sketch: a region so far.  mark: the whole of it, [] for none.  giveUp: says whether anything was drawn
 */
export function watchKeyboard(surface, root, state, { zoom, showCursor, sketch, mark, giveUp }) {
  /** @param {Pixel | null} pixel null where the focus leaves */
  function move(pixel) {
    state.cursor = pixel;
    showCursor();
    if (!state.raster || !pixel) return;
    if (zoom()[0] > 1) {
      const [across, down] = [1 / state.raster.width, 1 / state.raster.height];
      state.setZoom(following(zoom(), [(pixel.x + 0.5) * across, (pixel.y + 0.5) * down], [2 * across, 2 * down]));
    }
    if (state.corner) sketch(spanned(state.corner, pixel));
  }

  /** @param {Pixel} pixel */
  function enter(pixel) {
    if (state.tool === "pointer") return state.pick(pixel);
    if (state.corner) return mark(spanned(state.corner, pixel));
    state.corner = pixel;
    return sketch(spanned(pixel, pixel));
  }

  surface.addEventListener("keydown", (event) => {
    if (!state.raster || isShortcut(event)) return;
    const { width, height } = state.raster;
    const from = state.cursorOrStart();
    const step = event.shiftKey ? 10 : 1;
    const along = event.key === "ArrowLeft" || event.key === "ArrowRight";
    const to = stepTo(event.key, along ? from.x : from.y, along ? width : height, { across: step, down: step, page: 0 });
    if (event.key.startsWith("Arrow") && to !== null) move(along ? { ...from, x: to } : { ...from, y: to });
    else if (event.key === "Enter" || event.key === " ") enter(from);
    else return;
    event.preventDefault();
  });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || isShortcut(event)) return;
    if (!giveUp() && state.region().length) mark([]);
  });
  surface.addEventListener("focus", () => {
    if (state.raster && surface.matches(":focus-visible")) move(state.cursorOrStart());
  });
  surface.addEventListener("blur", () => move(null));
}
