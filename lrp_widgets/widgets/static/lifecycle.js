import { watchTheme } from "./colours.js";
import { nextFrame, watch } from "./dom.js";

/**
 * Draws a widget now, and lets each of its traits have its reaction until the widget ends.
 * @template Traits
 * @param {import("./anywidget").Model<Traits>} model
 * @param {HTMLElement} root leaves the page at the end
 * @param {() => void} draw
 * @param {[names: (keyof Traits & string)[], react: () => void][]} reactions what to call when one of these traits changes
 * @param {(() => void)[]} endings what else is to be called at the end
 * @returns {() => void} ends the widget
 */
export function keepDrawn(model, root, draw, reactions, ...endings) {
  const all = [...reactions.map(([names, react]) => watch(model, names, react)), ...endings, () => root.remove()];
  draw();
  return () => all.forEach((end) => end());
}

/**
 * The same for a widget whose colours depend on the page's theme: another theme draws it again.
 * @template Traits
 * @param {import("./anywidget").Model<Traits>} model
 * @param {HTMLElement} root
 * @param {() => void} draw
 * @param {[names: (keyof Traits & string)[], react: () => void][]} reactions
 * @param {(() => void)[]} endings
 * @returns {() => void} ends the widget
 */
export function keepPainted(model, root, draw, reactions, ...endings) {
  const repaint = nextFrame(draw);
  return keepDrawn(model, root, draw, reactions, watchTheme(repaint.request), repaint.cancel, ...endings);
}
