import { make, makeRoot, setText, stepTo, watch } from "./dom.js";

/**
 * @typedef {{name: string, label: string, tooltip: string, keys?: string[], group?: string}} Button
 * @typedef {{
 *   buttons: Button[], disabled: string[], pressed: {name?: string, count?: number}, title: string, description: string,
 * }} Traits
 */

const MAC = /Mac|iPhone|iPad/.test(navigator.platform);

/**
 * A key as buttons name it: "mod+shift+z".
 * @param {KeyboardEvent} event
 */
function keyOf(event) {
  const mod = MAC ? event.metaKey : event.ctrlKey;
  return `${mod ? "mod+" : ""}${event.shiftKey ? "shift+" : ""}${event.key.toLowerCase()}`;
}

/** @param {string} key */
const written = (key) =>
  key.split("+").map((part) => ({ mod: MAC ? "⌘" : "Ctrl", shift: MAC ? "⇧" : "Shift" })[part] ?? part.toUpperCase()).join(MAC ? "" : "+");

/** @param {import("./anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-toolbar");
  const name = make("b", "");
  const rest = make("span", "lrp-muted");
  const row = make("div", "lrp-toolbar-buttons", { role: "toolbar" });
  root.append(make("div", "lrp-toolbar-title lrp-cut", {}, name, rest), row);
  /** @type {HTMLButtonElement[]} */
  let made = [];
  let reached = 0; // one button takes part in the tab order

  /** @param {string} which */
  function press(which) {
    if (model.get("disabled").includes(which)) return;
    model.set("pressed", { name: which, count: (model.get("pressed").count ?? 0) + 1 });
    model.save_changes();
  }

  function build() {
    let group = "";
    made = [];
    row.replaceChildren();
    for (const button of model.get("buttons")) {
      if (made.length && (button.group ?? "") !== group) row.append(make("span", "lrp-toolbar-gap"));
      group = button.group ?? "";
      const keys = (button.keys ?? []).map(written).join(", ");
      const element = make("button", "lrp-toolbar-button", {
        type: "button", title: keys ? `${button.tooltip} (${keys})` : button.tooltip, "data-name": button.name,
      }, button.label);
      element.addEventListener("click", () => press(button.name));
      made.push(element);
      row.append(element);
    }
    update();
  }

  function update() {
    const [first, ...others] = model.get("title").split(" ");
    setText(name, first);
    setText(rest, others.length ? ` ${others.join(" ")}` : "");
    row.setAttribute("aria-label", model.get("description"));
    made.forEach((element, index) => {
      const off = model.get("disabled").includes(element.dataset.name ?? "");
      element.setAttribute("aria-disabled", String(off)); // it keeps the focus, where `disabled` would lose it
      element.tabIndex = index === reached ? 0 : -1;
    });
  }

  /** @param {KeyboardEvent} event */
  function onArrow(event) {
    const at = made.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const next = at < 0 ? null : stepTo(event.key, at, made.length, { down: 0, page: 0 });
    if (next === null) return;
    reached = next;
    update();
    made[next].focus();
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("textarea, input:not([type=checkbox], [type=radio], [type=range])")) return; // its own undo
    const wanted = model.get("buttons").find(({ keys }) => keys?.includes(keyOf(event)));
    if (!wanted) return;
    event.preventDefault();
    event.stopPropagation();
    press(wanted.name);
  }

  const around = /** @type {HTMLElement} */ (el.closest(".lrp-app") ?? root);
  const endings = [watch(model, ["buttons"], build), watch(model, ["disabled", "title", "description"], update)];
  row.addEventListener("keydown", onArrow);
  around.addEventListener("keydown", onKey, true); // before Jupyter, whose own undo it would be
  build();
  return () => {
    endings.forEach((end) => end());
    around.removeEventListener("keydown", onKey, true);
    root.remove();
  };
}

export default { render };
