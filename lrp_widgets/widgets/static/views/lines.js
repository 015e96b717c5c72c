import { pathOf, ticksOf } from "./axes.js";
import { make, makeRoot, nextFrame, setText } from "../dom.js";
import { keepDrawn } from "../lifecycle.js";
import { formatter, single } from "../numbers.js";
import { makeSvg } from "../svg.js";

/**
 * @typedef {{
 *   name: string, colour: number, dashed: boolean, points: boolean, x: (number | null)[], y: (number | null)[],
 *   low?: (number | null)[], high?: (number | null)[],
 * }} Line
 * @typedef {{
 *   lines: Line[], marks: {x: number | null, y: number | null, text: string}[], position: number | null, title: string,
 *   text: string, x_label: string, percent: boolean, logarithmic: boolean, legend: boolean, height: number, sequence: number,
 *   stale: boolean,
 * }} Traits
 * @typedef {{to: (value: number) => number, low: number, high: number}} Axis
 */

const [LEFT, RIGHT, TOP, BOTTOM] = [46, 10, 6, 20]; // px around the lines
const COLOURS = 8;

/** @param {number} value */
const short = (value) => (single(value).includes(".") ? single(value).replace(/\.?0+$/, "") : single(value));

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-lines");
  const title = make("b", "");
  const text = make("span", "");
  const legend = make("div", "lrp-lines-legend");
  const drawing = make("div", "lrp-lines-drawing");
  const reading = make("div", "lrp-lines-reading", { hidden: "" });
  root.append(make("div", "lrp-lines-head", {}, title, " ", text), legend, drawing);
  /** @type {{x: Axis, y: Axis, cursor: SVGElement} | null} */
  let plot = null;

  /**
   * @param {number} from where the axis begins, px
   * @param {number} to where it ends
   * @param {number[]} values
   * @param {boolean} logarithmic
   * @param {number} room a share left free at either end
   * @returns {Axis}
   */
  function axis(from, to, values, logarithmic, room) {
    const at = (/** @type {number} */ value) => (logarithmic ? Math.log10(value) : value);
    const finite = values.filter((value) => Number.isFinite(at(value)));
    let [low, high] = finite.length ? [Math.min(...finite), Math.max(...finite)] : [logarithmic ? 1 : 0, logarithmic ? 10 : 1];
    if (low === high) [low, high] = logarithmic ? [low / 2, high * 2] : [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
    if (room) [low, high] = [low - room * (high - low), high + room * (high - low)];
    return { to: (value) => from + ((at(value) - at(low)) / (at(high) - at(low))) * (to - from), low, high };
  }

  function draw() {
    const [lines, height, logarithmic] = [model.get("lines"), model.get("height"), model.get("logarithmic")];
    setText(title, model.get("title"));
    setText(text, model.get("text"));
    root.dataset.sequence = String(model.get("sequence"));
    root.toggleAttribute("data-stale", model.get("stale"));
    legend.hidden = !model.get("legend") || lines.length < 2 && !lines.some(({ low }) => low);
    legend.replaceChildren(...lines.map((line) =>
      make("span", `lrp-lines-key lrp-lines-${line.colour % COLOURS}${line.dashed ? " lrp-lines-dashed" : ""}`, {}, line.name)));
    const width = Math.round(drawing.clientWidth);
    drawing.style.height = `${height}px`;
    if (width < 80) return;
    const numbers = (/** @type {(number | null)[][]} */ parts) => parts.flat().filter((value) => value !== null);
    const x = axis(LEFT, width - RIGHT, numbers(lines.map((line) => line.x)), logarithmic, 0);
    const y = axis(height - BOTTOM, TOP, numbers(lines.flatMap((line) => [line.y, line.low ?? [], line.high ?? []])), false, 0.04);
    const svg = makeSvg("svg", { width, height, role: "img", "aria-label": words() });
    svg.append(...axes(x, y, width, height));
    for (const line of lines) svg.append(...shapes(line, x, y));
    for (const mark of model.get("marks")) {
      if (mark.x === null || mark.y === null) continue;
      const name = makeSvg("title", {}, mark.text);
      svg.append(makeSvg("circle", { cx: x.to(mark.x), cy: y.to(mark.y), r: 6, class: "lrp-lines-mark" }, name));
    }
    const place = model.get("position");
    if (place !== null) svg.append(upright(x.to(place), height, "lrp-lines-position"));
    const cursor = upright(0, height, "lrp-lines-cursor");
    cursor.setAttribute("visibility", "hidden");
    svg.append(cursor);
    drawing.replaceChildren(svg, reading);
    plot = { x, y, cursor };
  }

  const words = () => [model.get("title"), model.get("text"), ...model.get("marks").map(({ text: mark }) => mark)].filter(Boolean).join(". ");

  /**
   * @param {number} at
   * @param {number} height
   * @param {string} name
   */
  function upright(at, height, name) {
    return /** @type {SVGElement} */ (makeSvg("line", { x1: at, x2: at, y1: TOP, y2: height - BOTTOM, class: name }));
  }

  /**
   * @param {Axis} x
   * @param {Axis} y
   * @param {number} width
   * @param {number} height
   */
  function axes(x, y, width, height) {
    const parts = [];
    const largest = Math.max(Math.abs(y.low), Math.abs(y.high));
    const write = formatter(largest, { digits: 3 });
    for (const tick of ticksOf(y.low, y.high, height / 36)) {
      const at = y.to(tick);
      parts.push(makeSvg("line", { x1: LEFT, x2: width - RIGHT, y1: at, y2: at, class: tick === 0 ? "lrp-lines-zero" : "lrp-lines-grid" }));
      parts.push(makeSvg("text", { x: LEFT - 5, y: at + 4, "text-anchor": "end" }, write(tick)));
    }
    const logarithmic = model.get("logarithmic");
    const ticks = logarithmic
      ? ticksOf(Math.log10(x.low), Math.log10(x.high), width / 90).map((power) => 10 ** power)
      : ticksOf(x.low, x.high, width / 90);
    const label = model.get("x_label");
    for (const tick of ticks) {
      const at = x.to(tick);
      if (label && at > width - RIGHT - 6.2 * label.length - 26) continue; // the label stands there
      const number = model.get("percent") ? `${Math.round(100 * tick)} %` : short(tick);
      parts.push(makeSvg("text", { x: at, y: height - 5, "text-anchor": "middle" }, number));
    }
    parts.push(makeSvg("text", { x: width - RIGHT, y: height - 5, "text-anchor": "end" }, label));
    return parts;
  }

  /**
   * @param {Line} line
   * @param {Axis} x
   * @param {Axis} y
   */
  function shapes(line, x, y) {
    const name = `lrp-lines-${line.colour % COLOURS}`;
    const points = (/** @type {(number | null)[]} */ values) => values.map((value, i) => {
      const place = line.x[i];
      return value === null || place === null ? null : /** @type {[number, number]} */ ([x.to(place), y.to(value)]);
    });
    const parts = [];
    if (line.low && line.high) {
      const [low, high] = [points(line.low), points(line.high)].map((edge) => edge.filter((point) => point !== null));
      const band = [...low, ...high.reverse()];
      if (band.length) parts.push(makeSvg("path", { d: `${pathOf(band)}Z`, class: `lrp-lines-band ${name}` }));
    }
    const own = points(line.y);
    parts.push(makeSvg("path", { d: pathOf(own), class: `lrp-lines-line ${name}${line.dashed ? " lrp-lines-dashed" : ""}` }));
    if (line.points)
      for (const point of own)
        if (point) parts.push(makeSvg("circle", { cx: point[0], cy: point[1], r: 2.5, class: `lrp-lines-point ${name}` }));
    return parts;
  }

  /** @param {PointerEvent} event */
  function read(event) {
    const first = model.get("lines").find((line) => line.x.length);
    if (!plot || !first) return;
    const at = event.clientX - drawing.getBoundingClientRect().left;
    const { x, cursor } = plot;
    let nearest = first.x[0] ?? 0;
    for (const line of model.get("lines"))
      for (const place of line.x) if (place !== null && Math.abs(x.to(place) - at) < Math.abs(x.to(nearest) - at)) nearest = place;
    const rows = model.get("lines").flatMap(({ name, x: places, y }) => {
      const value = y[places.indexOf(nearest)];
      return value === undefined || value === null ? [] : [`${name} ${single(value)}`];
    });
    const place = model.get("percent") ? `${(100 * nearest).toFixed(1)} %` : single(nearest);
    setText(reading, [place, ...rows].join(" · "));
    cursor.setAttribute("x1", String(x.to(nearest)));
    cursor.setAttribute("x2", String(x.to(nearest)));
    leave(false);
  }

  /** @param {boolean} hidden */
  function leave(hidden) {
    reading.hidden = hidden;
    plot?.cursor.setAttribute("visibility", hidden ? "hidden" : "visible");
  }

  drawing.addEventListener("pointermove", read);
  drawing.addEventListener("pointerleave", () => leave(true));
  const redraw = nextFrame(draw);
  const resized = new ResizeObserver(redraw.request);
  resized.observe(drawing);
  return keepDrawn(model, root, draw, [
    [["sequence", "lines", "position", "height", "stale", "title"], draw],
  ], () => resized.disconnect(), redraw.cancel);
}

export default { render };
