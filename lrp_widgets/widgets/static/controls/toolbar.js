import { isShortcut, make, makeRoot, setText, stepTo, watch } from "../dom.js";

/**
 * @typedef {{name: string, label: string, tooltip: string, keys?: string[], group?: string}} Button
 * @typedef {{
 *   buttons: Button[], disabled: string[], pressed: {name?: string, count?: number}, title: string, description: string,
 *   more_keys: [string, string][],
 * }} Traits
 */

const TYPED = "textarea, select, [contenteditable=true], input:not([type=checkbox], [type=radio], [type=range])";
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
  key.split("+").map((part) => ({ mod: MAC ? "⌘" : "Ctrl", shift: MAC ? "⇧" : "Shift" })[part] ?? (part.length > 1 ? part : part.toUpperCase())).join(MAC ? "" : "+");

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-toolbar");
  const name = make("b", "");
  const rest = make("span", "lrp-muted");
  const row = make("div", "lrp-toolbar-buttons", { role: "toolbar" });
  const list = make("div", "lrp-toolbar-keys", { popover: "auto", role: "group", "aria-label": "Keys" });
  const help = make("button", "lrp-toolbar-button", {
    type: "button", title: "All keys of this app (?)", "aria-label": "keys", "aria-expanded": "false",
  }, "?");
  root.append(make("div", "lrp-toolbar-title lrp-cut", {}, name, rest), row, list);
  /** @type {HTMLButtonElement[]} */
  let elements = [];
  let reached = 0; // one button takes part in the tab order

  /** @param {string} which */
  function press(which) {
    if (model.get("disabled").includes(which)) return;
    model.set("pressed", { name: which, count: (model.get("pressed").count ?? 0) + 1 });
    model.save_changes();
  }

  function build() {
    let group = "";
    elements = [];
    row.replaceChildren();
    for (const button of model.get("buttons")) {
      if (elements.length && (button.group ?? "") !== group) row.append(make("span", "lrp-toolbar-gap"));
      group = button.group ?? "";
      const keys = (button.keys ?? []).map(written).join(", ");
      const element = make("button", "lrp-toolbar-button", {
        type: "button", title: keys ? `${button.tooltip} (${keys})` : button.tooltip, "data-name": button.name,
      }, button.label);
      element.addEventListener("click", () => press(button.name));
      elements.push(element);
      row.append(element);
    }
    elements.push(help);
    row.append(help);
    update();
  }

  /** Lists the keys under the button, over everything else. */
  function showKeys() {
    const own = model.get("buttons").flatMap(({ keys, tooltip }) => (keys?.length ? [[keys.map(written).join(", "), tooltip]] : []));
    const lines = [...own, ["?", "This list"], ...model.get("more_keys").map(([keys, does]) => [keys.split(", ").map(written).join(", "), does])];
    list.replaceChildren(...lines.flatMap(([keys, does]) => [make("b", "", {}, keys), make("span", "", {}, does)]));
    list.togglePopover();
    const { right, bottom } = help.getBoundingClientRect();
    list.style.top = `${bottom + 4}px`;
    list.style.left = `${Math.max(8, right - list.offsetWidth)}px`;
  }

  function update() {
    const [first, ...others] = model.get("title").split(" ");
    setText(name, first);
    setText(rest, others.length ? ` ${others.join(" ")}` : "");
    row.setAttribute("aria-label", model.get("description"));
    elements.forEach((element, index) => {
      const off = model.get("disabled").includes(element.dataset.name ?? "");
      element.setAttribute("aria-disabled", String(off)); // it keeps the focus, where `disabled` would lose it
      element.tabIndex = index === reached ? 0 : -1;
    });
  }

  /** @param {KeyboardEvent} event */
  function onArrow(event) {
    const at = elements.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const next = at < 0 ? null : stepTo(event.key, at, elements.length, { down: 0, page: 0 });
    if (next === null) return;
    reached = next;
    update();
    elements[next].focus();
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest(TYPED)) return; // its own undo, its own letters
    if (event.key === "?" && !isShortcut(event)) {
      event.preventDefault();
      event.stopPropagation();
      return showKeys();
    }
    const button = model.get("buttons").find(({ keys }) => keys?.includes(keyOf(event)));
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    press(button.name);
  }

  const around = /** @type {HTMLElement} */ (el.closest(".lrp-app") ?? root);
  const endings = [watch(model, ["buttons"], build), watch(model, ["disabled", "title", "description"], update)];
  help.addEventListener("click", showKeys);
  list.addEventListener("toggle", () => help.setAttribute("aria-expanded", String(list.matches(":popover-open"))));
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
