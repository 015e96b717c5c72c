import { isShortcut, make, makeRoot, scrollTo, setText, stepTo } from "../dom.js";
import { keepDrawn } from "../lifecycle.js";
import { formatter } from "../numbers.js";

/**
 * @typedef {{
 *   name: string, op: string, out: number | null, in: number | null, positive: number | null, negative: number | null,
 *   absorbed: Record<string, number | null>, unexplained: number | null, moves: boolean, closes: boolean, fault: string,
 * }} Entry
 * @typedef {{rows: Entry[], selected: string, colormap: string, description: string}} Traits
 */

const ZERO = 30; // % of the bar's width left of the zero line: fixed, so that it never jumps
/** @type {Entry} */
const INPUT = {
  name: "", op: "", out: null, in: null, positive: null, negative: null, absorbed: {}, unexplained: 0, moves: true, closes: true,
  fault: "",
};

/** A step with its bar. */
function makeRow() {
  const name = make("bdi", "");
  const op = make("span", "lrp-layers-op lrp-muted lrp-cut");
  const parts = ["negative", "positive", "lost", "gained"].map((kind) => make("span", `lrp-layers-part lrp-layers-${kind}`));
  const fault = make("span", "lrp-layers-fault", {}, "≠");
  const number = make("span", "");
  const row = make("div", "lrp-layers-row", { role: "option" },
    make("span", "lrp-layers-name lrp-cut", {}, name), op,
    make("span", "lrp-layers-track", {}, ...parts), make("span", "lrp-layers-number", {}, fault, number));
  return { row, name, op, parts, fault, number };
}

/**
 * What a step absorbs, positive and negative shares apart.
 * @param {Entry} entry
 */
function absorbed(entry) {
  const shares = Object.values(entry.absorbed).map((share) => share ?? 0);
  const sum = (/** @type {number[]} */ numbers) => numbers.reduce((total, number) => total + number, 0);
  return { lost: sum(shares.filter((share) => share > 0)), gained: sum(shares.filter((share) => share < 0)) };
}

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-layers");
  const key = (/** @type {string} */ kind, /** @type {string} */ word) =>
    make("span", "lrp-layers-key", {}, make("span", `lrp-layers-${kind}`), word);
  const head = make("div", "lrp-layers-head lrp-muted", { "aria-hidden": "true" },
    key("negative", "negative"), key("positive", "positive"), key("lost", "absorbed"), make("span", "", {}, "ΣR"));
  const list = make("div", "lrp-layers-list lrp-scroller", { role: "listbox" });
  const detail = [0, 1, 2].map(() => make("div", "lrp-cut"));
  const worst = make("button", "lrp-layers-worst", { type: "button", hidden: "" });
  root.append(head, list, worst, make("div", "lrp-layers-detail lrp-muted", {}, ...detail));
  /** @type {ReturnType<typeof makeRow>[]} */
  let rows = [];
  /** @type {Entry[]} */
  let entries = [];
  /** @type {number | null} the row under the pointer or the keyboard */
  let pointed = null;

  const largest = () => Math.max(0, ...entries.flatMap((entry) =>
    [entry.out, entry.in, entry.positive, entry.negative].map((number) => Math.abs(number ?? 0))));

  function draw() {
    const steps = model.get("rows");
    entries = steps.at(-1)?.name === "" ? steps : [...steps, INPUT];
    if (rows.length !== entries.length) {
      rows = entries.map((_, index) => rows[index] ?? makeRow());
      list.replaceChildren(...rows.map(({ row }) => row));
    }
    root.dataset.colormap = model.get("colormap");
    list.setAttribute("aria-label", model.get("description"));
    const write = formatter(largest());
    const right = Math.max(0, ...entries.map((entry) => Math.max(entry.positive ?? 0, absorbed(entry).lost)));
    const left = Math.max(0, ...entries.map((entry) => -Math.min(entry.negative ?? 0, absorbed(entry).gained)));
    const unit = Math.max(right / (100 - ZERO), left / ZERO) || 1; // relevance per % of the bar's width
    entries.forEach((entry, index) => {
      const { row, name, op, parts, fault, number } = rows[index];
      const { lost, gained } = absorbed(entry);
      const [positive, negative] = [entry.positive ?? 0, entry.negative ?? 0];
      setText(name, entry.name || "input");
      setText(op, entry.op || (entry.name ? "" : "the map"));
      span(parts[0], negative / unit, 0);
      span(parts[1], 0, positive / unit);
      // The absorbed share is the end of the bar that does not arrive below.
      span(parts[2], Math.max(0, positive - lost) / unit, Math.max(positive, lost) / unit);
      span(parts[3], Math.min(negative, gained) / unit, Math.min(0, negative - gained) / unit);
      parts[2].hidden = !lost;
      parts[3].hidden = !gained;
      fault.hidden = entry.closes;
      setText(number, entry === INPUT ? "" : write(entry.out));
      row.toggleAttribute("data-moves", entry.moves && entry.name !== "");
      row.toggleAttribute("data-fault", !entry.closes);
      row.dataset.name = entry.name;
      row.title = tell(entry).filter(Boolean).join("\n");
      row.setAttribute("aria-label", tell(entry).filter(Boolean).join(", "));
    });
    drawWorst();
    mark();
  }

  /** Under the list, what is wrong with the worst row: the uppermost that is not finite, or the largest gap. */
  function drawWorst() {
    const size = (/** @type {Entry} */ entry) => (entry.unexplained === null ? Infinity : Math.abs(entry.unexplained));
    const open = entries.filter((entry) => !entry.closes);
    const largestGap = open.reduce((most, entry) => (size(entry) > size(most) ? entry : most), open[0]);
    worst.hidden = !largestGap;
    setText(worst, largestGap ? `≠ ${largestGap.name}: ${gap(largestGap)}` : "");
    worst.dataset.name = largestGap?.name ?? "";
    worst.title = largestGap ? `Show ${largestGap.name}` : "";
  }

  /**
   * What does not close in a row, in words.
   * @param {Entry} entry
   */
  const gap = (entry) => entry.fault || `does not close: ${formatter(largest())(entry.unexplained)} unexplained`;

  /**
   * @param {HTMLElement} part
   * @param {number} from % of the bar's width, counted from the zero line
   * @param {number} to
   */
  function span(part, from, to) {
    part.style.left = `${ZERO + from}%`;
    part.style.width = `${Math.max(0, to - from)}%`;
  }

  /**
   * A row in words, in three lines.
   * @param {Entry} entry
   */
  function tell(entry) {
    const write = formatter(largest());
    if (entry === INPUT) return ["input: the map that the picture shows", "", ""];
    const signs = `ΣR⁺ ${write(entry.positive)} · ΣR⁻ ${write(entry.negative)}`;
    if (!entry.name) return [`input: the map that the picture shows · ΣR ${write(entry.out)}`, signs, ""];
    const shares = Object.entries(entry.absorbed).map(([cause, share]) => `${cause} ${write(share)}`);
    return [
      `${entry.name}${entry.op && ` · ${entry.op}`} · out ${write(entry.out)} · in ${write(entry.in)}`,
      signs,
      (entry.closes ? "" : `${gap(entry)} · `) +
        (shares.length ? `absorbed: ${shares.join(" · ")}` : "nothing absorbed"),
    ];
  }

  /** Marks the chosen row; it alone is reached with Tab. */
  function mark() {
    const chosen = indexOfSelected();
    const entry = pointed === null ? chosen : Math.min(pointed, rows.length - 1);
    rows.forEach(({ row }, index) => {
      row.setAttribute("aria-selected", String(index === chosen));
      row.tabIndex = index === (rows.some((each) => each.row === document.activeElement) ? entry : chosen) ? 0 : -1;
    });
    const lines = entries[entry] ? tell(entries[entry]) : ["", "", ""];
    detail.forEach((line, index) => setText(line, lines[index]));
    detail.forEach((line, index) => (line.title = lines[index]));
  }

  function indexOfSelected() {
    return Math.max(0, entries.findIndex((entry) => entry.name === model.get("selected")));
  }

  function follow() {
    mark();
    const chosen = rows[indexOfSelected()];
    if (chosen) scrollTo(list, chosen.row);
  }

  /** @param {number | null} index */
  function point(index) {
    pointed = index !== null && index >= 0 ? index : null;
    mark();
  }

  /** @param {number} index */
  function choose(index) {
    if (!entries[index]) return;
    model.set("selected", entries[index].name);
    model.save_changes();
  }

  /** @param {Event} event */
  const placeOf = (event) => rows.findIndex(({ row }) => row.contains(/** @type {Node} */ (event.target)));

  list.addEventListener("click", (event) => choose(placeOf(event)));
  worst.addEventListener("click", () => choose(entries.findIndex((entry) => entry.name === worst.dataset.name)));
  list.addEventListener("pointerover", (event) => point(placeOf(event)));
  list.addEventListener("pointerleave", () => point(null));
  list.addEventListener("focusin", (event) => point(placeOf(event)));
  list.addEventListener("focusout", () => point(null));
  list.addEventListener("keydown", (event) => {
    if (isShortcut(event)) return;
    const place = placeOf(event);
    const next = stepTo(event.key, place, rows.length, { across: 0 });
    if (next !== null) {
      rows[next].row.focus({ preventScroll: true });
      scrollTo(list, rows[next].row);
    } else if (event.key === "Enter" || event.key === " ") choose(place);
    else return;
    event.preventDefault();
  });
  return keepDrawn(model, root, draw, [[["rows", "colormap", "description"], draw], [["selected"], follow]]);
}

export default { render };
