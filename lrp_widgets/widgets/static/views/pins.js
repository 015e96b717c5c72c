import { make } from "../dom.js";

/**
 * @typedef {ReturnType<typeof makeTile>} Tile
 * @typedef {ReturnType<typeof makePin>} PinTile
 */

/**
 * A picture under its title.
 * @param {string} kind
 */
export function makeTile(kind) {
  const title = make("span", "lrp-compare-title lrp-cut");
  const head = make("div", "lrp-compare-head", {}, title);
  const canvas = make("canvas", "", { role: "img" });
  const spot = make("div", "lrp-compare-spot", { hidden: "" });
  const frame = make("div", "lrp-compare-frame", {}, canvas, spot);
  const value = make("div", "lrp-compare-value lrp-muted");
  const foot = make("div", "lrp-compare-foot");
  const tile = make("div", "lrp-compare-tile", { role: "group", "data-kind": kind }, head, frame, value, foot);
  return { tile, head, title, frame, canvas, spot, value, foot };
}

/** A pin: what differs, how alike it is, and what can be done with it. */
export function makePin() {
  const pin = makeTile("pin");
  const remove = make("button", "lrp-compare-remove", { type: "button", "data-ask": "removed" }, "×");
  const stamp = make("div", "lrp-compare-stamp");
  const differs = make("div", "lrp-compare-differs", { role: "list" });
  const numbers = ["cosine", "Pearson r", "ΔΣR"].map((name) => {
    const number = make("span", "");
    return { row: make("div", "", {}, make("span", "lrp-muted", {}, name), number), number };
  });
  // Plain elements, because Jupyter styles dl and ul.
  const likenesses = make("div", "lrp-compare-likeness", { title: "How the present map differs from this one" },
    ...numbers.map(({ row }) => row));
  const recall = make("button", "", { type: "button", "data-ask": "recalled" }, "back to this");
  const choose = make("button", "", { type: "button", "data-ask": "chosen" }, "difference");
  pin.head.append(remove);
  const beside = make("div", "lrp-compare-pin");
  pin.frame.replaceWith(beside);
  beside.append(pin.frame, make("div", "lrp-compare-numbers", {}, likenesses, pin.value));
  pin.foot.append(stamp, differs, make("div", "lrp-compare-asks", {}, choose, recall));
  return { ...pin, remove, stamp, differs, numbers: numbers.map(({ number }) => number), recall, choose };
}
