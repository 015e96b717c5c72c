import { colourTable, onDark } from "../colours.js";
import { make, makeRoot, placeOf, setText, walkGrid } from "../dom.js";
import { keepPainted } from "../lifecycle.js";
import { formatter, single } from "../numbers.js";
import { readRaster, readRasters } from "../raster.js";
import { paintBar, paintMap, writeEnds } from "../tiles.js";
import { commonLimit } from "./scale.js";

/**
 * @typedef {{
 *   maps: DataView, shape: number[], pooled: DataView, complete: boolean, block: number, channels: number[],
 *   totals: (number | null)[], total: number | null, count: number, layer: string, sequence: number, filtered: string,
 *   can_filter: boolean, stale: boolean, colormap: string, selected: number, kept: number[], blocked: number[], cleared: number,
 * }} Traits
 * @typedef {"kept" | "blocked"} Filter
 */

const SUM = -1; // the number that stands for the sum over channels

/** A channel with its map, its share and its two switches. The sum has no switches. */
function makeTile() {
  const canvas = make("canvas", "lrp-channels-map", { "aria-hidden": "true" });
  const name = make("span", "lrp-channels-name lrp-cut");
  const share = make("span", "lrp-channels-share");
  const bar = make("span", "lrp-channels-bar");
  const track = make("span", "lrp-channels-track", {}, bar);
  const pick = make("button", "lrp-channels-pick", { type: "button" }, canvas,
    make("span", "lrp-channels-label", {}, name, share), track);
  const keep = make("button", "lrp-channels-switch", { type: "button", "data-filter": "kept" }, "keep only");
  const block = make("button", "lrp-channels-switch", { type: "button", "data-filter": "blocked" }, "block");
  const switches = make("div", "lrp-channels-switches", {}, keep, block);
  const tile = make("div", "lrp-channels-tile", { role: "group" }, pick, switches);
  return { tile, pick, canvas, name, share, bar, track, keep, block, switches };
}

/**
 * A part of a whole, signed, in per cent.
 * @param {number | null} part
 * @param {number | null} whole
 */
function percent(part, whole) {
  if (part === null || !whole) return "–";
  return `${formatter(100, { plus: true })((100 * part) / whole)} %`;
}

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-channels");
  const head = make("div", "lrp-channels-head");
  const only = make("span", "lrp-channels-filter lrp-cut");
  const other = make("span", "lrp-cut");
  const drop = make("button", "lrp-channels-drop", { type: "button" }, "×");
  const chip = make("span", "lrp-channels-chip", {}, other, drop);
  const clear = make("button", "lrp-channels-clear", { type: "button" }, "clear filter");
  const filters = make("div", "lrp-channels-filters", {}, only, chip, clear);
  const list = make("div", "lrp-channels-list lrp-scroller", { role: "group" });
  const bar = make("canvas", "lrp-channels-scale", { "aria-hidden": "true" });
  const ends = [make("span", ""), make("span", "", {}, "0"), make("span", "")];
  const note = make("div", "lrp-channels-note lrp-muted");
  const legend = make("div", "lrp-channels-legend", {}, ends[0], make("span", "lrp-channels-rule", {}, bar), ends[2]);
  const nothing = make("div", "lrp-channels-nothing lrp-muted", {}, "No layer is chosen");
  root.append(head, filters, list, legend, note, nothing);
  /** @type {ReturnType<typeof makeTile>[]} the sum, then the channels */
  let tiles = [];
  /** @type {(import("../raster.js").Raster | null)[]} */
  let rasters = [];
  let loaded = -1;
  let focused = 0; // the tile that Tab leads to

  const numbers = () => [SUM, ...model.get("channels")];
  const dense = () => model.get("shape")[1] * model.get("shape")[2] === 1;
  const word = () => (dense() ? "neuron" : "channel");

  function read() {
    const sequence = model.get("sequence");
    if (sequence === loaded) return;
    loaded = sequence;
    const [count, height, width] = model.get("shape");
    rasters = [readRaster(model.get("pooled"), [height, width]), ...readRasters(model.get("maps"), [count, height, width])];
    if (tiles.length !== count + 1) {
      tiles = Array.from({ length: count ? count + 1 : 0 }, (_, index) => tiles[index] ?? makeTile());
      list.replaceChildren(...entries());
    }
  }

  function draw() {
    read();
    const [count, height, width] = model.get("shape");
    root.toggleAttribute("data-empty", !count);
    root.toggleAttribute("data-dense", dense());
    root.toggleAttribute("data-stale", model.get("stale"));
    root.dataset.colormap = model.get("colormap");
    root.dataset.sequence = String(model.get("sequence"));
    root.style.setProperty("--lrp-ratio", String(width && height ? width / height : 1));
    if (!count) return;
    tell(count);
    drawBars();
    if (!dense()) drawMaps();
    mark();
  }

  /**
   * What all of them are, in a line.
   * @param {number} count
   */
  function tell(count) {
    const [all, total] = [model.get("count"), model.get("total")];
    const shown = model.get("totals").reduce((/** @type {number} */ sum, part) => sum + (part ?? 0), 0);
    const carried = total ? `${formatter(100, { digits: 3 })((100 * shown) / total)} %` : single(shown);
    const carry = count < all ? `top ${count} carry ${carried}` : `all of them carry ${carried}`;
    const words = `${all} ${word()}${all === 1 ? "" : "s"} · ${carry}`;
    head.replaceChildren(make("b", "", {}, model.get("layer")), ` · ${words}`);
    list.setAttribute("aria-label", `${model.get("layer")}, ${words}`);
  }

  function drawBars() {
    const [totals, total] = [model.get("totals"), model.get("total")];
    const right = Math.max(0, ...totals.map((part) => part ?? 0));
    const left = Math.max(0, ...totals.map((part) => -(part ?? 0)));
    const unit = (right + left) / 100 || 1; // relevance per % of the bar's width
    numbers().forEach((number, index) => {
      const { tile, name, share, bar: part, track, switches, pick } = tiles[index];
      const sum = number === SUM;
      const amount = sum ? total : totals[index - 1];
      const title = sum ? (model.get("complete") ? "sum" : "sum of these") : `${word()} ${number}`;
      setText(name, sum || dense() ? title : String(number));
      setText(share, sum ? "" : percent(amount, total));
      track.hidden = sum;
      switches.hidden = sum || !model.get("can_filter");
      tile.dataset.channel = String(number);
      tile.style.setProperty("--lrp-zero", `${left / unit}%`);
      const size = Math.abs(amount ?? 0) / unit;
      part.style.left = `${(left / unit) - ((amount ?? 0) < 0 ? size : 0)}%`;
      part.style.width = `${size}%`;
      part.toggleAttribute("data-negative", (amount ?? 0) < 0);
      const words = sum
        ? `${model.get("complete") ? "Sum over all channels" : `Sum over the ${totals.length} channels shown`}: ΣR of the layer ${single(total)}`
        : `${title}: ${percent(amount, total)} of ΣR, ${single(amount)}`;
      if (sum) setText(share, `ΣR ${single(total)}`);
      pick.title = words;
      pick.setAttribute("aria-label", words);
      tile.setAttribute("aria-label", title);
    });
  }

  function drawMaps() {
    const table = colourTable(model.get("colormap"), onDark(root), false);
    const limit = commonLimit(rasters.slice(1));
    const own = rasters[0]?.largest ?? 0;
    rasters.forEach((raster, index) => {
      if (raster) paintMap(tiles[index].canvas, raster, index ? limit : own, table);
    });
    paintBar(bar, table);
    writeEnds(ends[0], ends[2], limit);
    const block = model.get("block");
    setText(note, `one scale for all channels; the sum's own ends at ±${formatter(own, { digits: 3 })(own)}` +
      (block > 1 ? ` · ${block} × ${block} positions pooled` : ""));
  }

  /** The choice and the filter. One tile alone is reached with Tab, and then its switches. */
  function mark() {
    const [selected, kept, blocked] = [model.get("selected"), model.get("kept"), model.get("blocked")];
    focused = Math.min(focused, tiles.length - 1);
    numbers().forEach((number, index) => {
      const { tile, pick, keep, block } = tiles[index];
      pick.setAttribute("aria-pressed", String(number === selected));
      tile.toggleAttribute("data-chosen", number === selected);
      tile.toggleAttribute("data-out", blocked.includes(number) || (kept.length > 0 && !kept.includes(number) && number !== SUM));
      keep.setAttribute("aria-pressed", String(kept.includes(number)));
      block.setAttribute("aria-pressed", String(blocked.includes(number)));
      keep.title = `Keep only the relevance that passes ${word()} ${number} (and others so marked)`;
      block.title = `Let no relevance pass ${word()} ${number}`;
      keep.setAttribute("aria-label", `keep only ${word()} ${number}`);
      block.setAttribute("aria-label", `block ${word()} ${number}`);
      for (const button of [pick, keep, block]) button.tabIndex = index === focused ? 0 : -1;
    });
    const texts = [kept.length ? `only ${kept.join(", ")}` : "", blocked.length ? `without ${blocked.join(", ")}` : ""];
    setText(only, texts.filter(Boolean).join(" · "));
    only.title = only.textContent ?? "";
    setText(other, model.get("filtered"));
    other.title = model.get("filtered");
    drop.setAttribute("aria-label", `give up the filter: ${model.get("filtered")}`);
    drop.title = "Give up this filter";
    only.hidden = !only.textContent;
    chip.hidden = !model.get("filtered");
    clear.hidden = only.hidden && chip.hidden;
    filters.hidden = clear.hidden;
  }

  /**
   * @param {Filter} filter
   * @param {number} number
   */
  function toggle(filter, number) {
    const others = filter === "kept" ? "blocked" : "kept";
    const on = model.get(filter).includes(number);
    const without = (/** @type {Filter} */ name) => model.get(name).filter((each) => each !== number);
    model.set(filter, on ? without(filter) : [...without(filter), number].sort((a, b) => a - b));
    if (!on && model.get(others).includes(number)) model.set(others, without(others));
    model.save_changes();
  }

  function dropOther() {
    model.set("cleared", model.get("cleared") + 1);
    model.save_changes();
  }

  function clearAll() {
    model.set("kept", []);
    model.set("blocked", []);
    if (model.get("filtered")) model.set("cleared", model.get("cleared") + 1);
    model.save_changes();
    tiles[focused]?.pick.focus({ preventScroll: true }); // the button disappears: keep the focus in the widget
  }

  const entries = () => tiles.map(({ tile }) => tile);

  list.addEventListener("click", (event) => {
    const place = placeOf(event, entries());
    if (place < 0) return;
    const button = /** @type {Element} */ (event.target).closest("button");
    const number = numbers()[place];
    focused = place;
    if (button?.dataset.filter) toggle(/** @type {Filter} */ (button.dataset.filter), number);
    else if (button && number !== model.get("selected")) {
      model.set("selected", number);
      model.save_changes();
    }
    mark();
  });
  walkGrid(list, entries, (next) => {
    focused = next;
    mark();
    tiles[next].pick.focus();
  });
  drop.addEventListener("click", dropOther);
  clear.addEventListener("click", clearAll);
  return keepPainted(model, root, draw, [
    [["sequence", "colormap", "stale"], draw],
    [["selected", "kept", "blocked", "filtered"], mark],
  ]);
}

export default { render };
