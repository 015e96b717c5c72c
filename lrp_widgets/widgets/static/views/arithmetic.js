import { isShortcut, make, makeRoot, scrollTo, setText, stepTo } from "../dom.js";
import { keepDrawn } from "../lifecycle.js";
import { aligned, single } from "../numbers.js";
import { typeset } from "./typeset.js";

/**
 * A number that the rule does not have is left out; null is one that is not finite.
 * @typedef {{
 *   name: string, a?: number | null, w?: number | null, numerator?: number | null, denominator?: number | null,
 *   share?: number | null, relevance?: number | null, message?: number | null,
 * }} Row
 * @typedef {{layer?: string, index?: string, activation?: number | null, relevance?: number | null}} Neuron
 * @typedef {{
 *   neuron: Neuron, rows: Row[], equation: string, note: string, trail: string[], stale: boolean,
 *   direction: string, stepped: {row?: number, count?: number}, back: {position?: number, count?: number},
 *   can_filter: boolean, passing: string, filtered: string, cleared: number,
 * }} Traits
 */

const EMPTY = "Click a pixel of the heatmap to see its arithmetic";
/** @type {[keyof Row & string, string, string][]} field, header, meaning */
const COLUMNS = [
  ["a", "a_j", "activation of the giver j"],
  ["w", "w_jk", "weight from j to k"],
  ["numerator", "numerator", "what the rule counts of j in k"],
  ["denominator", "denominator", "the sum of that over all givers of k, with what the rule adds"],
  ["share", "share", "numerator / denominator"],
  ["relevance", "R_k", "relevance of the receiver k"],
  ["message", "R_{j←k}", "the message from k to j: share · R_k"],
];

/** A message; each number has its letters with it, for where there is no room for columns. */
function makeRow() {
  const name = make("span", "lrp-arithmetic-name", { role: "rowheader" });
  const numbers = COLUMNS.map(() => make("span", "lrp-arithmetic-number"));
  const cells = COLUMNS.map(([field, header], index) =>
    make("span", "lrp-arithmetic-cell", { role: "gridcell", "data-field": field },
      make("span", "lrp-arithmetic-letters lrp-muted", { "aria-hidden": "true" }, ...typeset(header)), numbers[index]));
  const row = make("div", "lrp-arithmetic-row", { role: "row" }, name, ...cells);
  return { row, name, numbers };
}

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-arithmetic");
  const empty = make("div", "lrp-arithmetic-empty lrp-muted", {}, EMPTY);
  const trail = make("div", "lrp-arithmetic-trail", { role: "navigation", "aria-label": "Neurons visited" });
  const neuron = make("div", "lrp-arithmetic-neuron");
  const up = make("button", "", { type: "button", "data-direction": "up" }, "↑ up", make("span", "lrp-arithmetic-where", {}, " (towards the output)"));
  const down = make("button", "", { type: "button", "data-direction": "down" }, "↓ down", make("span", "lrp-arithmetic-where", {}, " (towards the input)"));
  const ways = make("div", "lrp-arithmetic-ways", { role: "group", "aria-label": "Which messages" }, up, down);
  const keep = make("button", "", { type: "button", "data-passing": "keep" }, "keep only");
  const block = make("button", "", { type: "button", "data-passing": "block" }, "block");
  const passing = make("div", "lrp-arithmetic-ways", { role: "group", "aria-label": "Filter of this neuron" }, keep, block);
  const filtered = make("span", "lrp-cut");
  const drop = make("button", "", { type: "button", title: "Give up these filters" }, "×");
  const chip = make("span", "lrp-arithmetic-chip", {}, filtered, drop);
  const equation = make("div", "lrp-arithmetic-equation");
  const who = make("span", "", { role: "columnheader" });
  const head = make("div", "lrp-arithmetic-row lrp-arithmetic-head lrp-muted", { role: "row" }, who,
    ...COLUMNS.map(([, header, title]) => make("span", "lrp-arithmetic-cell", { role: "columnheader", title }, ...typeset(header))));
  const body = make("div", "lrp-arithmetic-body lrp-scroller", { role: "rowgroup" });
  const note = make("span", "lrp-arithmetic-note");
  const sum = make("span", "lrp-arithmetic-total");
  const foot = make("div", "lrp-arithmetic-foot", {}, note, sum);
  const table = make("div", "lrp-arithmetic-table", { role: "grid" }, head, body);
  root.append(empty, trail, make("div", "lrp-arithmetic-top", {}, neuron, passing, ways), chip, equation, table, foot);
  /** @type {ReturnType<typeof makeRow>[]} */
  let rows = [];
  let focused = 0; // the row that Tab leads to

  const upwards = () => model.get("direction") === "up";

  function draw() {
    const { layer, index, activation, relevance } = model.get("neuron");
    root.toggleAttribute("data-empty", layer === undefined);
    root.toggleAttribute("data-stale", model.get("stale"));
    setText(empty, (layer === undefined && model.get("note")) || EMPTY);
    if (layer === undefined) return;
    const self = upwards() ? "j" : "k";
    neuron.replaceChildren(
      make("b", "", {}, layer), index ? ` · ${index}` : "", make("br", ""),
      ...typeset(`a_${self} = ${single(activation)}`), " · ", ...typeset(`R_${self} = ${single(relevance)}`));
    for (const button of [up, down])
      button.setAttribute("aria-pressed", String(button.dataset.direction === model.get("direction")));
    drawFilter(`${layer}, ${index}`);
    equation.replaceChildren(...typeset(model.get("equation")));
    equation.hidden = !model.get("equation");
    setText(who, upwards() ? "receiver k" : "giver j");
    table.setAttribute("aria-label", `${upwards() ? "Receivers" : "Givers"} of ${layer}, ${index}. Enter follows one.`);
    drawRows();
    drawTrail();
  }

  /** @param {string} which the neuron, in words */
  function drawFilter(which) {
    passing.hidden = !model.get("can_filter");
    for (const [button, does] of /** @type {const} */ ([[keep, "Keep only the relevance that passes"], [block, "Let no relevance pass"]])) {
      button.setAttribute("aria-pressed", String(button.dataset.passing === model.get("passing")));
      button.title = `${does} ${which}`;
    }
    chip.hidden = !model.get("filtered");
    setText(filtered, `filter: ${model.get("filtered")}`);
    filtered.title = model.get("filtered");
    drop.setAttribute("aria-label", `give up the filters: ${model.get("filtered")}`);
  }

  function drawRows() {
    const entries = model.get("rows");
    table.hidden = !entries.length;
    const columns = COLUMNS.map(([field]) =>
      aligned(entries.map((row) => /** @type {number | null | undefined} */ (row[field]))));
    const largest = Math.max(...entries.map((row) => Math.abs(row.message ?? 0)), 0) || 1;
    if (rows.length !== entries.length) {
      const hadFocus = rows.some(({ row }) => row === document.activeElement);
      rows = entries.map((_, index) => rows[index] ?? makeRow());
      body.replaceChildren(...rows.map(({ row }) => row));
      if (hadFocus) rows[0]?.row.focus({ preventScroll: true });
    }
    focused = Math.min(focused, Math.max(0, rows.length - 1));
    entries.forEach((entry, index) => {
      const { row, name, numbers } = rows[index];
      setText(name, entry.name);
      name.title = entry.name;
      numbers.forEach((cell, column) => setText(cell, columns[column][index]));
      row.tabIndex = index === focused ? 0 : -1;
      row.title = `Follow ${entry.name}`;
      // Behind the message, how much of the largest one it is.
      row.style.setProperty("--lrp-part", `${(100 * Math.abs(entry.message ?? 0)) / largest}%`);
      row.toggleAttribute("data-negative", (entry.message ?? 0) < 0);
    });
    const total = entries.reduce((all, row) => all + (row.message ?? 0), 0);
    const nobody = upwards() ? "No receivers: the output is here" : "No givers: the input is here";
    note.replaceChildren(...typeset(model.get("note") || (entries.length ? "sum of these messages" : nobody)));
    sum.replaceChildren(...(entries.length ? typeset(`Σ R_{j←k} = ${single(total)}`) : []));
  }

  function drawTrail() {
    const names = model.get("trail");
    trail.hidden = names.length < 2;
    const crumbs = names.map((name, index) =>
      index === names.length - 1
        ? make("span", "lrp-arithmetic-crumb", { "aria-current": "step" }, name)
        : make("button", "lrp-arithmetic-crumb", { type: "button", title: `Back to ${name}` }, name));
    trail.replaceChildren(...crumbs.flatMap((crumb, index) =>
      index ? [make("span", "lrp-muted", { "aria-hidden": "true" }, "›"), crumb] : [crumb]));
    showEnd();
  }

  /** Scrolls a long trail to its end, where the present neuron stands. */
  function showEnd() {
    trail.scrollLeft = trail.scrollWidth;
  }

  /** @param {number} row */
  function follow(row) {
    if (row < 0 || row >= model.get("rows").length) return;
    model.set("stepped", { row, count: (model.get("stepped").count ?? 0) + 1 });
    model.save_changes();
  }

  /** @param {number} index */
  function focusRow(index) {
    focused = index;
    rows.forEach(({ row }, each) => (row.tabIndex = each === index ? 0 : -1));
    rows[index].row.focus({ preventScroll: true });
    scrollTo(body, rows[index].row);
  }

  /** @param {Event} event */
  const placeOf = (event) => rows.findIndex(({ row }) => row.contains(/** @type {Node} */ (event.target)));

  body.addEventListener("click", (event) => {
    const place = placeOf(event);
    if (place < 0 || getSelection()?.toString()) return; // a click that selects text to copy it follows nothing
    focusRow(place);
    follow(place);
  });
  body.addEventListener("keydown", (event) => {
    if (isShortcut(event)) return;
    const place = placeOf(event);
    const next = stepTo(event.key, place, rows.length, { across: 0 });
    if (next !== null) focusRow(next);
    else if (event.key === "Enter" || event.key === " ") follow(place);
    else return;
    event.preventDefault();
  });
  ways.addEventListener("click", (event) => {
    const { direction } = /** @type {Element} */ (event.target).closest("button")?.dataset ?? {};
    if (!direction || direction === model.get("direction")) return;
    model.set("direction", direction);
    model.save_changes();
  });
  passing.addEventListener("click", (event) => {
    const passing = /** @type {Element} */ (event.target).closest("button")?.dataset.passing;
    if (!passing) return;
    model.set("passing", passing === model.get("passing") ? "" : passing);
    model.save_changes();
  });
  drop.addEventListener("click", () => {
    model.set("cleared", model.get("cleared") + 1);
    model.save_changes();
    (passing.hidden ? up : keep).focus({ preventScroll: true }); // the button disappears: keep the focus in the widget
  });
  trail.addEventListener("click", (event) => {
    const crumb = /** @type {Element} */ (event.target).closest("button");
    if (!crumb) return;
    const position = [...trail.querySelectorAll(".lrp-arithmetic-crumb")].indexOf(crumb);
    model.set("back", { position, count: (model.get("back").count ?? 0) + 1 });
    model.save_changes();
  });
  const resized = new ResizeObserver(showEnd);
  resized.observe(trail);
  return keepDrawn(model, root, draw, [
    [["neuron", "rows", "equation", "note", "trail", "stale", "direction", "can_filter", "passing", "filtered"], draw],
  ], () => resized.disconnect());
}

export default { render };
