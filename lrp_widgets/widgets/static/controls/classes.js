import { isShortcut, make, makeRoot, scrollTo, setText, stepTo } from "../dom.js";
import { keepDrawn } from "../lifecycle.js";
import { formatter } from "../numbers.js";
import { search } from "./search.js";

/**
 * @typedef {{
 *   names: string[], scores: (number | null)[], probabilities: (number | null)[], selected: number, auto: boolean,
 *   shown: number, description: string,
 * }} Traits
 */

/** A class with its bar. */
function makeRow() {
  const name = make("span", "lrp-classes-name lrp-cut");
  const top = make("span", "lrp-classes-top", {}, "top");
  const bar = make("span", "lrp-classes-bar");
  const share = make("span", "lrp-classes-number lrp-classes-share lrp-muted");
  const score = make("span", "lrp-classes-number");
  const row = make("div", "lrp-classes-row", { role: "radio" },
    make("span", "lrp-classes-label", {}, name, top), make("span", "lrp-classes-track", {}, bar), share, score);
  return { row, name, top, bar, share, score };
}

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-classes");
  const follow = make("input", "", { type: "checkbox" });
  const head = make("div", "lrp-classes-head lrp-muted", {},
    make("label", "lrp-classes-auto", { title: "Explain whatever class is on top" }, follow, "follow the top class"),
    make("span", "lrp-classes-share", {}, "probability"), make("span", "", {}, "score"));
  const list = make("div", "lrp-classes-list", { role: "radiogroup" });
  const field = make("input", "lrp-classes-search", { type: "search", autocomplete: "off" });
  const tally = make("div", "lrp-classes-tally lrp-muted", { role: "status" });
  root.append(head, field, list, tally);
  /** @type {ReturnType<typeof makeRow>[]} */
  let rows = [];
  /** @type {number[]} the class of each row */
  let order = [];

  /** @param {number} index */
  const scoreOf = (index) => model.get("scores")[index] ?? -Infinity;

  /** The classes that get a row: those that are searched for; or all in their order, or the best and the chosen one. */
  function choose() {
    const searched = field.value.trim();
    setText(tally, "");
    if (searched && !field.hidden) {
      const { shown, count } = search(model.get("names"), model.get("scores"), searched, model.get("shown"));
      setText(tally, count > shown.length ? `and ${count - shown.length} more` : count ? "" : "no class has this in its name");
      return shown;
    }
    const all = model.get("names").map((_, index) => index);
    if (all.length <= model.get("shown")) return all;
    const best = all.sort((a, b) => scoreOf(b) - scoreOf(a) || a - b).slice(0, model.get("shown"));
    const selected = model.get("selected");
    return selected < 0 || best.includes(selected) ? best : [...best, selected];
  }

  /** The class with the largest score, -1 for none. */
  function topClass() {
    let best = -1;
    for (let i = 0; i < model.get("scores").length; i++) if (scoreOf(i) > scoreOf(best)) best = i;
    return best;
  }

  function draw() {
    const names = model.get("names");
    const many = names.length > model.get("shown");
    const selected = model.get("selected");
    const top = topClass();
    const had = rows.findIndex(({ row }) => row === document.activeElement);
    const focused = order[had];
    field.hidden = !many;
    field.placeholder = `search ${names.length.toLocaleString("en")} classes by name or number`;
    field.setAttribute("aria-label", field.placeholder);
    order = choose();
    if (rows.length !== order.length) {
      rows = order.map((_, place) => rows[place] ?? makeRow());
      list.replaceChildren(...rows.map(({ row }) => row));
    }
    const scores = order.map(scoreOf).filter(Number.isFinite);
    const write = formatter(Math.max(0, ...scores.map(Math.abs)), { digits: 4 });
    const entry = order.includes(selected) ? selected : order[0];
    const bare = !model.get("probabilities").length; // scores that are no probabilities
    root.toggleAttribute("data-many", many);
    root.toggleAttribute("data-bare", bare);
    root.toggleAttribute("data-one", names.length === 1);
    list.setAttribute("aria-label", model.get("description"));
    follow.checked = model.get("auto");
    rows.forEach((parts, place) => {
      const index = order[place];
      const probability = model.get("probabilities")[index] ?? NaN;
      const share = Number.isFinite(probability) ? `${(100 * probability).toFixed(1)} %` : "–";
      const score = write(model.get("scores")[index]);
      parts.row.tabIndex = index === entry ? 0 : -1;
      parts.row.setAttribute("aria-checked", String(index === selected));
      parts.row.toggleAttribute("data-below", many && place === model.get("shown") && !field.value.trim());
      parts.row.dataset.class = String(index);
      const words = `${names[index]}: ${bare ? "" : `probability ${share}, `}score ${score}${index === top && names.length > 1 ? ", top class" : ""}`;
      parts.row.setAttribute("aria-label", words);
      parts.row.title = words;
      setText(parts.name, names[index]);
      parts.top.style.visibility = index === top && names.length > 1 ? "" : "hidden"; // keeps its place, but among many only the first has it
      parts.top.hidden = many && index !== top;
      parts.bar.style.width = `${100 * Math.min(1, Math.max(0, probability || 0))}%`;
      setText(parts.share, share);
      setText(parts.score, score);
    });
    const still = order.indexOf(focused); // rows were reordered: the focus stays with its class
    if (had >= 0 && still !== had) rows[still >= 0 ? still : 0]?.row.focus({ preventScroll: true });
  }

  /** @param {number} index */
  function pick(index) {
    if (index === undefined) return;
    model.set("selected", index);
    model.set("auto", false);
    model.save_changes();
    draw();
    const { row } = rows[order.indexOf(index)];
    row.focus({ preventScroll: true });
    scrollTo(list, row);
  }

  /** @param {Event} event */
  const placeOf = (event) => rows.findIndex(({ row }) => row.contains(/** @type {Node} */ (event.target)));

  list.addEventListener("click", (event) => pick(order[placeOf(event)]));
  list.addEventListener("keydown", (event) => {
    if (isShortcut(event)) return;
    const place = placeOf(event);
    const next = event.key === "Enter" || event.key === " " ? place : stepTo(event.key, place, order.length);
    if (next === null) return;
    pick(order[next]);
    event.preventDefault();
  });
  field.addEventListener("input", draw);
  field.addEventListener("keydown", (event) => {
    if (isShortcut(event)) return;
    if (event.key === "Enter" && order.length && field.value.trim()) pick(order[0]);
    else if (event.key === "ArrowDown" && rows.length) rows[0].row.focus();
    else if (event.key === "Escape" && field.value) {
      field.value = "";
      draw();
    } else return;
    event.preventDefault();
  });
  follow.addEventListener("change", () => {
    model.set("auto", follow.checked);
    if (follow.checked && topClass() >= 0) model.set("selected", topClass());
    model.save_changes();
  });
  return keepDrawn(model, root, draw, [
    [["names", "scores", "probabilities", "selected", "auto", "shown", "description"], draw],
  ]);
}

export default { render };
