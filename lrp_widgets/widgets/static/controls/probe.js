import { isShortcut, make, makeRoot, nextFrame, setText } from "../dom.js";
import { keepDrawn } from "../lifecycle.js";
import { readImage } from "../raster.js";
import { saidPlace, shifted, snapped } from "./shifting.js";
import { makeSvg } from "../svg.js";
import { paintPixels } from "../tiles.js";

/**
 * @typedef {{
 *   image: DataView, image_shape: number[], fill: number, sequence: number, reach: number, step: number, size: number,
 *   visited: [number, number, number | null][], largest: number[], description: string, place: [number, number],
 * }} Traits
 */

const LEAP = 4; // steps of an arrow key with Shift
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-probe");
  const canvas = make("canvas", "lrp-probe-canvas", { "aria-hidden": "true" });
  const marks = makeSvg("svg", { class: "lrp-probe-marks", "aria-hidden": "true" });
  const hint = make("div", "lrp-probe-hint", {}, "drag me");
  const pad = make("div", "lrp-probe-pad", { tabindex: "0", role: "slider", "aria-roledescription": "2D slider" }, canvas, marks, hint);
  const reading = make("div", "lrp-probe-reading lrp-cut");
  const home = make("button", "lrp-probe-home", { type: "button", title: "Put the picture back to where it was (Home)" }, "put back");
  root.append(pad, make("div", "lrp-probe-foot", {}, reading, home));

  /** @type {ImageData | null} */
  let picture = null;
  let loaded = -1;
  let place = model.get("place");
  let touched = false;
  /** @type {{pointer: number, x: number, y: number, right: number, down: number} | null} where the hand took hold */
  let hold = null;

  function draw() {
    if (loaded !== model.get("sequence")) picture = readImage(model.get("image"), model.get("image_shape"), false);
    loaded = model.get("sequence");
    const [height, width] = model.get("image_shape");
    const [right, down] = place;
    root.style.setProperty("--lrp-size", `${model.get("size")}px`);
    root.style.setProperty("--lrp-ratio", String(width && height ? width / height : 1));
    root.dataset.place = place.join(" ");
    root.toggleAttribute("data-held", Boolean(hold));
    if (picture) paintPixels(canvas, right || down ? shifted(picture, right, down, model.get("fill")) : picture);
    hint.hidden = touched || Boolean(right || down) || !picture;
    home.disabled = !right && !down;
    tell();
    if (width && height) mark(width, height);
  }

  function tell() {
    const [right, down] = place;
    const reach = model.get("reach");
    setText(reading, saidPlace(right, down));
    for (const [name, value] of Object.entries({
      "aria-label": `${model.get("description")}: arrow keys move it, Home puts it back`,
      "aria-valuetext": saidPlace(right, down), "aria-valuenow": right, "aria-valuemin": -reach, "aria-valuemax": reach,
    })) pad.setAttribute(name, String(value));
  }

  /**
   * What the hand has done: the frame of the picture as it moves, where it was, where it is, and where most was found.
   * @param {number} width
   * @param {number} height
   */
  function mark(width, height) {
    const at = (/** @type {number[]} */ [right, down]) => ({ cx: width / 2 + right, cy: height / 2 + down });
    const unit = Math.max(width, height) / 100;
    marks.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const [right, down] = place;
    const shapes = [makeSvg("rect", { x: right, y: down, width, height, class: "lrp-probe-frame", "vector-effect": "non-scaling-stroke" })];
    for (const [x, y, share] of model.get("visited"))
      shapes.push(makeSvg("circle", { ...at([x, y]), r: 1.1 * unit, class: "lrp-probe-visited", opacity: 0.25 + 0.75 * (share ?? 0) }));
    const { cx, cy } = at([0, 0]);
    const hand = at([right, down]);
    if (right || down) shapes.push(makeSvg("line", { x1: cx, y1: cy, x2: hand.cx, y2: hand.cy, class: "lrp-probe-way", "vector-effect": "non-scaling-stroke" }));
    if (model.get("largest").length)
      shapes.push(makeSvg("circle", { ...at(model.get("largest")), r: 3 * unit, class: "lrp-probe-largest", "vector-effect": "non-scaling-stroke" }));
    shapes.push(makeSvg("circle", { ...hand, r: 1.8 * unit, class: "lrp-probe-hand", "vector-effect": "non-scaling-stroke" }));
    marks.replaceChildren(...shapes);
  }

  const sending = nextFrame(() => {
    model.set("place", place);
    model.save_changes();
  });
  const repaint = nextFrame(draw);

  /**
   * @param {number} right
   * @param {number} down
   */
  function go(right, down) {
    const [step, reach] = [model.get("step"), model.get("reach")];
    const next = /** @type {[number, number]} */ ([snapped(right, step, reach), snapped(down, step, reach)]);
    touched = true;
    if (next[0] === place[0] && next[1] === place[1]) return;
    place = next;
    repaint.request();
    sending.request();
  }

  /** @param {PointerEvent} event */
  function take(event) {
    if (event.button !== 0 || !event.isPrimary || !picture) return;
    pad.setPointerCapture(event.pointerId);
    hold = { pointer: event.pointerId, x: event.clientX, y: event.clientY, right: place[0], down: place[1] };
    touched = true;
    draw();
  }

  /** @param {PointerEvent} event */
  function drag(event) {
    if (event.pointerId !== hold?.pointer) return;
    const box = pad.getBoundingClientRect();
    const [height, width] = model.get("image_shape");
    go(
      hold.right + ((event.clientX - hold.x) / box.width) * width,
      hold.down + ((event.clientY - hold.y) / box.height) * height,
    );
  }

  /** @param {PointerEvent} event */
  function leave(event) {
    if (event.pointerId !== hold?.pointer) return;
    hold = null;
    place = /** @type {[number, number]} */ ([...place]);
    draw();
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (isShortcut(event)) return;
    const arrow = ARROWS[event.key];
    if (!arrow && event.key !== "Home") return;
    const by = model.get("step") * (event.shiftKey ? LEAP : 1);
    if (arrow) go(place[0] + by * arrow[0], place[1] + by * arrow[1]);
    else go(0, 0);
    event.preventDefault();
  }

  pad.addEventListener("pointerdown", take);
  pad.addEventListener("pointermove", drag);
  pad.addEventListener("pointerup", leave);
  pad.addEventListener("pointercancel", leave);
  pad.addEventListener("keydown", onKey);
  home.addEventListener("click", () => {
    go(0, 0);
    pad.focus({ preventScroll: true }); // the button goes grey, and with it the focus
  });
  const follow = () => {
    if (!hold) place = model.get("place");
    draw();
  };
  return keepDrawn(model, root, draw, [
    [["place"], follow],
    [["sequence", "visited", "largest", "size", "description", "reach"], draw],
  ], repaint.cancel, sending.cancel);
}

export default { render };
