import { make, makeRoot, setText } from "../dom.js";
import { keepDrawn } from "../lifecycle.js";
import { centred } from "./mnist.js";

/** @typedef {{pixels: DataView, empty: boolean, sequence: number, hint: string, description: string}} Traits */

const SIDE = 280; // px of the pad's own picture, whatever its size on the page
const PEN = 22;
const PAUSE = 80; // ms between two pictures sent during a stroke

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-drawing");
  const canvas = make("canvas", "lrp-drawing-canvas", { width: String(SIDE), height: String(SIDE), role: "img" });
  const hint = make("div", "lrp-drawing-hint");
  const clear = make("button", "lrp-drawing-clear", { type: "button" }, "Clear");
  const digit = make("canvas", "lrp-drawing-digit", { width: "28", height: "28", "aria-hidden": "true" });
  const seen = make("div", "lrp-drawing-seen lrp-muted", {}, "as the network sees it", digit);
  root.append(make("div", "lrp-drawing-pad", {}, canvas, hint), make("div", "lrp-drawing-foot", {}, clear, seen));
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const small = digit.getContext("2d");
  if (!pen || !small) return () => root.remove();
  pen.lineWidth = PEN;
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "#fff";

  let own = -1; // the sequence of the last picture from this pad
  let waiting = 0;
  /** @type {{x: number, y: number} | null} */
  let last = null;

  /** Sends the digit, at once. */
  function send() {
    clearTimeout(waiting);
    waiting = 0;
    const data = pen?.getImageData(0, 0, SIDE, SIDE).data ?? new Uint8ClampedArray(4);
    const pixels = centred(Uint8Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i + 3]), SIDE);
    own = model.get("sequence") + 1;
    model.set("pixels", new DataView(pixels.buffer));
    model.set("empty", pixels.every((value) => value === 0));
    model.set("sequence", own);
    model.save_changes();
  }

  /** Shows the digit, and puts it on the pad where it was not drawn there. */
  function show() {
    const { buffer, byteOffset, byteLength } = model.get("pixels");
    const pixels = new Uint8Array(buffer, byteOffset, byteLength);
    if (pixels.length !== 28 * 28 || !pen || !small) return;
    const picture = new ImageData(28, 28);
    pixels.forEach((value, i) => picture.data.set([255, 255, 255, value], 4 * i));
    small.putImageData(picture, 0, 0);
    if (model.get("sequence") !== own) {
      last = null;
      pen.clearRect(0, 0, SIDE, SIDE);
      pen.drawImage(digit, 0, 0, SIDE, SIDE);
    }
    hint.hidden = !model.get("empty");
  }

  function label() {
    setText(hint, model.get("hint"));
    canvas.setAttribute("aria-label", model.get("description"));
  }

  /** @param {PointerEvent} event */
  function place(event) {
    const box = canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * SIDE, y: ((event.clientY - box.top) / box.height) * SIDE };
  }

  /** @param {PointerEvent} event */
  function draw(event) {
    if (!last || !pen || !event.isPrimary) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const step of steps.length ? steps : [event]) {
      const next = place(step);
      pen.beginPath();
      pen.moveTo(last.x, last.y);
      pen.lineTo(next.x, next.y);
      pen.stroke();
      last = next;
    }
    hint.hidden = true;
    waiting ||= setTimeout(send, PAUSE);
  }

  /** @param {PointerEvent} event */
  function begin(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    draw(event); // a dot
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  function finish(event) {
    if (!last || !event.isPrimary) return;
    last = null;
    send();
  }

  function wipe() {
    pen?.clearRect(0, 0, SIDE, SIDE);
    send();
  }

  canvas.addEventListener("pointerdown", begin);
  canvas.addEventListener("pointermove", draw);
  canvas.addEventListener("pointerup", finish);
  canvas.addEventListener("pointercancel", finish);
  clear.addEventListener("click", wipe);
  label();
  return keepDrawn(model, root, show, [[["sequence"], show], [["hint", "description"], label]], () => clearTimeout(waiting));
}

export default { render };
