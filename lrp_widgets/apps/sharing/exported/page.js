/**
 * A page that was exported: its sliders choose among the maps that it carries.
 * @typedef {{label: string, texts: string[], at: number, slides: boolean}} Axis
 * @typedef {Record<string, unknown>} State
 * @typedef {{
 *   axes: Axis[], joint: boolean, maps: string, scales: number[], order: number[], stamps: string[], lines: string[],
 *   equations: number[][], image: string, view: State & {shape: number[]}, choices: Record<string, string[]>,
 * }} Data
 * @typedef {import("../../../widgets/static/anywidget").Context<any>} Context
 */

const NOT_FINITE = -32768; // in a map of int16

/**
 * A model such as a widget has it from its kernel; here the page sets what is shown.
 * @param {State} state
 */
function makeModel(state) {
  /** @type {Map<string, Set<() => void>>} */
  const reactions = new Map();
  const tell = (/** @type {string} */ name) => reactions.get(`change:${name}`)?.forEach((react) => react());
  const set = (/** @type {string} */ name, /** @type {unknown} */ value) => {
    state[name] = value;
    tell(name);
  };
  return {
    get: (/** @type {string} */ name) => state[name],
    set,
    save_changes() {},
    send() {},
    on(/** @type {string} */ event, /** @type {() => void} */ react) {
      reactions.set(event, (reactions.get(event) ?? new Set()).add(react));
    },
    off(/** @type {string} */ event, /** @type {() => void} */ react) {
      reactions.get(event)?.delete(react);
    },
  };
}

/** @param {string} letters base64 */
const bytesOf = (letters) => Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Document} page
 * @param {Tag} tag
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[]} children
 */
function element(page, tag, attributes, ...children) {
  const node = page.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/**
 * A drop-down.
 * @param {Document} page
 * @param {string} label
 * @param {string[]} options
 * @param {number} at
 * @param {(at: number) => void} move
 */
function chooser(page, label, options, at, move) {
  const select = element(page, "select", {}, ...options.map((option) => element(page, "option", {}, option)));
  select.selectedIndex = at;
  select.addEventListener("change", () => move(select.selectedIndex));
  const row = element(page, "label", { class: "page-row" }, element(page, "span", {}, label), select);
  return { row, put: (/** @type {number} */ place) => void (select.selectedIndex = place) };
}

/**
 * A slider over positions, each with its text.
 * @param {Document} page
 * @param {string} label
 * @param {string[]} texts
 * @param {number} at
 * @param {(at: number) => void} move
 */
function slider(page, label, texts, at, move) {
  const input = element(page, "input", { type: "range", min: "0", max: String(texts.length - 1), step: "1" });
  const words = element(page, "output", {});
  const put = (/** @type {number} */ place) => {
    input.value = String(place);
    input.setAttribute("aria-valuetext", texts[place]);
    words.textContent = texts[place];
  };
  input.addEventListener("input", () => {
    put(Number(input.value));
    move(Number(input.value));
  });
  put(at);
  return { row: element(page, "label", { class: "page-row" }, element(page, "span", {}, label), input, words), put };
}

/**
 * @param {(context: Context) => () => void} render the widget that draws a map
 * @param {Document} page
 */
export function show(render, page) {
  const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (page.querySelector(`.page-${name}`));
  /** @type {Data} */
  const data = JSON.parse(part("data").textContent ?? "");
  const { axes, view, choices } = data;
  const [height, width] = view.shape;
  const steps = new Int16Array(bytesOf(data.maps).buffer);
  const image = new DataView(bytesOf(data.image).buffer);
  const model = makeModel({ ...view, image, stamp: "", data: new DataView(new ArrayBuffer(0)), sequence: 0 });
  const places = axes.map(({ at }) => at);

  /**
   * The position in the order of the maps.
   * @param {number} moved the slider that moved last
   */
  function position(moved) {
    if (data.joint) return axes.reduce((index, { texts }, i) => index * texts.length + places[i], 0);
    return axes.slice(0, moved).reduce((index, { texts }) => index + texts.length, 0) + (places[moved] ?? 0);
  }

  /** @param {number} moved */
  function draw(moved) {
    const which = data.order[position(moved)];
    const map = steps.subarray(which * height * width, (which + 1) * height * width);
    const values = Float32Array.from(map, (step) => (step === NOT_FINITE ? NaN : step * data.scales[which]));
    model.set("data", new DataView(values.buffer));
    model.set("stamp", data.stamps[which]);
    model.set("sequence", Number(model.get("sequence")) + 1);
    part("equations").innerHTML = data.equations[which].map((line) => data.lines[line]).join(""); // escaped where it was made
  }

  const controls = axes.map(({ label, texts, at, slides }, i) =>
    (slides ? slider : chooser)(page, label, texts, at, (place) => {
      places[i] = place;
      if (!data.joint)
        controls.forEach(({ put }, other) => {
          if (other !== i) put((places[other] = axes[other].at));
        });
      draw(i);
    }),
  );
  part("sliders").append(...controls.map(({ row }) => row));
  if (!axes.length) part("sliders").append("This method has no slider.");
  part("note").hidden = data.joint;

  const look = (/** @type {string} */ name, /** @type {string} */ label) =>
    chooser(page, label, choices[name], choices[name].indexOf(String(view[name])), (at) => model.set(name, choices[name][at])).row;
  const percents = Array.from({ length: 101 }, (_, i) => 90 + i / 10);
  const clip = slider(page, "clip %", percents.map((p) => p.toFixed(1)), nearest(percents, Number(view.percentile)), (at) =>
    model.set("percentile", percents[at]),
  ).row;
  const shares = Array.from({ length: 21 }, (_, i) => i / 20);
  const opacity = slider(page, "opacity", shares.map((p) => p.toFixed(2)), nearest(shares, Number(view.opacity)), (at) =>
    model.set("opacity", shares[at]),
  ).row;
  const shared = element(page, "input", { type: "checkbox" });
  const largest = 32767 * Math.max(...data.scales);
  shared.addEventListener("change", () => model.set("scale", shared.checked ? largest : (view.scale ?? null)));
  const same = element(page, "label", { class: "page-row" }, element(page, "span", {}, "one scale"), shared);
  same.title = "The same colours for the same numbers at every position";
  part("look").append(...(image.byteLength ? [look("arrangement", "show")] : []), look("colormap", "colours"), clip);
  part("look").append(...(image.byteLength ? [opacity] : []), same);

  draw(0);
  render({ model, el: part("picture") });
}

/**
 * @param {number[]} values
 * @param {number} value
 */
function nearest(values, value) {
  const apart = values.map((other) => Math.abs(other - value));
  return apart.indexOf(Math.min(...apart));
}
