import { make, makeRoot, setText, watch } from "../dom.js";

/**
 * @typedef {{
 *   text: string, remedy: string, level: "ok" | "busy" | "error", can_cancel: boolean, cancelled: number,
 * }} Traits
 */

const BLINK = 250; // ms: shorter work is not shown, so that the line does not flicker during a drag

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-status");
  const sign = make("span", "lrp-status-sign", { "aria-hidden": "true" });
  const line = make("span", "lrp-status-text", { role: "status", "aria-live": "polite" });
  const cancel = make("button", "lrp-status-cancel", { type: "button", title: "Go back to what was shown before" }, "cancel");
  root.append(sign, line, cancel);
  cancel.addEventListener("click", () => {
    model.set("cancelled", model.get("cancelled") + 1);
    model.save_changes();
  });
  let waiting = 0;

  function show() {
    const { level, text, remedy } = { level: model.get("level"), text: model.get("text"), remedy: model.get("remedy") };
    root.dataset.shown = level;
    cancel.hidden = level !== "busy" || !model.get("can_cancel");
    setText(line, level === "error" && remedy ? `${text} — ${remedy}` : text);
    line.title = line.textContent ?? "";
  }

  function update() {
    const level = model.get("level");
    root.dataset.level = level; // the present level; data-shown is the one that is displayed
    clearTimeout(waiting);
    if (level === "busy") waiting = setTimeout(show, BLINK);
    else show();
  }

  const end = watch(model, ["text", "remedy", "level", "can_cancel"], update);
  update();
  return () => {
    end();
    clearTimeout(waiting);
    root.remove();
  };
}

export default { render };
