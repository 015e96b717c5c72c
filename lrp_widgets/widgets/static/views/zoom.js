import { isShortcut, make, setText, stepTo } from "../dom.js";

/** @typedef {number[]} Zoom how much a picture is enlarged, and its left and upper end in sight as parts of the whole */

const STEP = 1.5; // of a button or a key
const MOST = 64; // the most that Python accepts
const FEWEST = 4; // pixels of the longer side that stay in sight
const STILL = 4; // CSS px: a pointer that moved less is a click
const LINE = 16; // CSS px of a line, where a wheel counts in lines
/** @type {Record<string, number>} */
const KEYS = { "+": STEP, "=": STEP, "-": 1 / STEP, _: 1 / STEP, 0: 0 };

/**
 * How far a picture of so many pixels can be enlarged.
 * @param {number} width
 * @param {number} height
 */
export const mostFor = (width, height) => Math.min(MOST, Math.max(1, Math.max(width, height) / FEWEST));

/**
 * @param {number} scale
 * @param {number} left
 * @param {number} top
 * @returns {Zoom} the nearest that shows nothing beside the picture
 */
export function within(scale, left, top) {
  const end = 1 - 1 / scale;
  return [scale, Math.min(end, Math.max(0, left)), Math.min(end, Math.max(0, top))];
}

/**
 * Enlarges about a place of the frame, given in parts of it: what is seen there stays there.
 * @param {Zoom} zoom
 * @param {number} factor
 * @param {number[]} place
 * @param {number} most
 * @returns {Zoom}
 */
export function enlarged([scale, left, top], factor, [x, y], most) {
  const larger = Math.min(most, Math.max(1, scale * factor));
  return within(larger, left + x / scale - x / larger, top + y / scale - y / larger);
}

/**
 * @param {Zoom} zoom
 * @param {number} right by which the picture is pushed, in parts of the frame
 * @param {number} down
 * @returns {Zoom}
 */
export const pushed = ([scale, left, top], right, down) => within(scale, left - right / scale, top - down / scale);

/**
 * Moves the section in sight just as far as needed to show a place of the picture and its surroundings.
 * @param {Zoom} zoom
 * @param {number[]} place in parts of the picture
 * @param {number[]} around how much of the picture, to each side
 * @returns {Zoom}
 */
export function following([scale, left, top], [x, y], around) {
  const span = 1 / scale;
  /** @type {(start: number, at: number, beside: number) => number} */
  const along = (start, at, beside) => Math.min(at - Math.min(beside, span / 2), Math.max(start, at + Math.min(beside, span / 2) - span));
  return within(scale, along(left, x, around[0]), along(top, y, around[1]));
}

/**
 * Zooms by wheel (with Ctrl, or where the picture has the focus: else the page scrolls), keys, buttons, and pans by drag.
 * @param {HTMLElement} surface
 * @param {{
 *   zoom: () => Zoom, most: () => number, set: (zoom: Zoom) => void, pans: () => boolean,
 *   frameUnder: (event: MouseEvent) => HTMLElement | undefined,
 * }} actions most: how far it goes.  pans: whether a drag moves the picture now
 * @returns {{bar: HTMLElement, say: (scale: number) => void}} the buttons, and `say`, which shows the present scale on them
 */
export function watchZoom(surface, { zoom, most, set, pans, frameUnder }) {
  /** @type {{pointer: number, from: Zoom, x: number, y: number, frame: HTMLElement} | null} */
  let hold = null;
  let dragged = false;

  /**
   * @param {number} factor 0 for the whole
   * @param {number[]} [place]
   */
  function change(factor, place = [0.5, 0.5]) {
    const before = zoom();
    const next = factor ? enlarged(before, factor, place, most()) : [1, 0, 0];
    const differs = next.some((value, index) => value !== before[index]);
    if (differs) set(next);
    return differs;
  }

  surface.addEventListener("wheel", (event) => {
    const frame = frameUnder(event);
    const pinched = event.ctrlKey || event.metaKey;
    if (!frame || !(pinched || surface.matches(":focus"))) return;
    const box = frame.getBoundingClientRect();
    const amount = event.deltaY * (event.deltaMode ? LINE : 1);
    const slow = Math.abs(amount) < 40 && pinched ? 40 : 200; // a pinch on a touchpad sends many small amounts
    const factor = 2 ** -Math.max(-1, Math.min(1, amount / slow));
    const place = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (change(factor, place) || pinched) event.preventDefault();
  }, { passive: false });

  surface.addEventListener("pointerdown", (event) => {
    const frame = frameUnder(event);
    dragged = false;
    if (!frame || !event.isPrimary || event.button || !pans() || zoom()[0] === 1) return;
    hold = { pointer: event.pointerId, from: zoom(), x: event.clientX, y: event.clientY, frame };
  });
  surface.addEventListener("pointermove", (event) => {
    if (event.pointerId !== hold?.pointer) return;
    const [right, down] = [event.clientX - hold.x, event.clientY - hold.y];
    if (!dragged && Math.hypot(right, down) < STILL) return;
    if (!dragged) surface.setPointerCapture(event.pointerId);
    dragged = true;
    surface.toggleAttribute("data-dragged", true);
    set(pushed(hold.from, right / hold.frame.clientWidth, down / hold.frame.clientHeight));
  });
  for (const ending of ["pointerup", "pointercancel"])
    surface.addEventListener(ending, () => {
      hold = null;
      surface.removeAttribute("data-dragged");
    });
  surface.addEventListener("click", (event) => {
    if (dragged) event.stopImmediatePropagation(); // the click at the end of a drag picks no pixel
    dragged = false;
  }, { capture: true });
  surface.addEventListener("keydown", (event) => {
    if (isShortcut(event) || !(event.key in KEYS)) return;
    change(KEYS[event.key]);
    event.preventDefault();
  });

  /** @type {(text: string, title: string, factor: number) => HTMLButtonElement} */
  const button = (text, title, factor) => {
    const element = make("button", "lrp-heatmap-tool", { type: "button", title, "aria-label": title }, text);
    element.addEventListener("click", () => change(factor));
    return element;
  };
  const whole = button("1×", "Show the whole picture (0)", 0);
  const buttons = [button("−", "Zoom out (−)", 1 / STEP), whole, button("+", "Zoom in (+)", STEP)];
  const bar = make("div", "lrp-heatmap-zoom", { role: "toolbar", "aria-label": "Zoom" }, ...buttons);
  const enter = (/** @type {number} */ index) => buttons.forEach((each, i) => (each.tabIndex = i === index ? 0 : -1));
  enter(2);
  bar.addEventListener("keydown", (event) => {
    const from = buttons.findIndex((each) => each === event.target);
    const to = isShortcut(event) ? null : stepTo(event.key, from, buttons.length, { down: 0, page: 0 });
    if (to === null) return;
    enter(to);
    buttons[to].focus();
    event.preventDefault();
  });
  return { bar, say: (scale) => setText(whole, `${scale < 9.95 ? +scale.toFixed(1) : Math.round(scale)}×`) };
}
