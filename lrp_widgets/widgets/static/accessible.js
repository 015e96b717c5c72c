import { make } from "./dom.js";

/** @typedef {{within: string}} Traits */

const NAMELESS = ":is(.noUi-handle, select, .widget-readout[contenteditable]):not([aria-label])";
const SWITCHES = ".widget-toggle-button:not([aria-pressed])";
const SIGNS = ".lrp-control-reset"; // their text is a sign, which says nothing when it is read aloud
const FOLDS = ".jupyter-widget-Collapse-header:not([aria-expanded])";

/**
 * Names a control: to assistive technology a slider's handle is a control of its own, which the label of the slider does
 * not belong to, and a list without a label has only its tooltip.
 * @param {Element} control
 */
function name(control) {
  const whole = control.closest(".widget-inline-hbox");
  const label = whole?.querySelector(".widget-label");
  const text = label?.textContent?.trim();
  if (control.matches("select") && text) return; // labelled already
  const words = text || label?.getAttribute("title") || control.getAttribute("title");
  if (!whole || !words) return; // its label may come later
  if (control.matches(".widget-readout")) {
    control.setAttribute("role", "textbox");
    control.setAttribute("aria-label", `${words}, as a number`);
    return;
  }
  const handles = [...whole.querySelectorAll(".noUi-handle")];
  const end = handles.length > 1 ? `, ${control === handles[0] ? "start" : "end"}` : "";
  control.setAttribute("aria-label", words + end);
}

/**
 * Keeps an attribute equal to a class: that a control is pressed or open stands in its class alone, where only eyes see it.
 * @param {Element} source has the class
 * @param {string} className
 * @param {Element} target has the attribute
 * @param {string} attribute
 */
function mirror(source, className, target, attribute) {
  const say = () => target.setAttribute(attribute, String(source.classList.contains(className)));
  const changed = new MutationObserver(say);
  changed.observe(source, { attributes: true, attributeFilter: ["class"] });
  say();
  return () => {
    changed.disconnect();
    target.removeAttribute(attribute);
  };
}

/**
 * Lets the head of a fold be reached and opened by keyboard: by itself it takes clicks alone.
 * @param {HTMLElement} head
 */
function unfold(head) {
  head.setAttribute("role", "button");
  head.tabIndex = 0;
  head.querySelector("i")?.setAttribute("aria-hidden", "true"); // a letter of an icon font
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.target !== head || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    head.click();
  };
  head.addEventListener("keydown", onKey);
  const end = mirror(head.parentElement ?? head, "jupyter-widget-Collapse-open", head, "aria-expanded");
  return () => {
    end();
    head.removeEventListener("keydown", onKey);
  };
}

/** @param {import("./anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = make("div", "lrp-accessible", { hidden: "" });
  el.append(root);
  let waiting = 0;
  /** @type {(() => void)[]} */
  const endings = [];
  const changed = new MutationObserver(() => mend());
  /** @type {Element | null} */
  let part = null;

  function mend() {
    if (!part) return;
    part.querySelectorAll(NAMELESS).forEach(name);
    for (const button of part.querySelectorAll(SIGNS)) {
      const title = button.getAttribute("title");
      if (title && button.getAttribute("aria-label") !== title) button.setAttribute("aria-label", title);
    }
    for (const button of part.querySelectorAll(SWITCHES))
      endings.push(mirror(button, "mod-active", button, "aria-pressed"));
    for (const head of part.querySelectorAll(FOLDS)) endings.push(unfold(/** @type {HTMLElement} */ (head)));
  }

  /** Looks at the box that this stands in, once it stands there. */
  function start() {
    const box = el.closest(".widget-box");
    const within = model.get("within");
    part = within ? box?.querySelector(within) ?? null : box;
    if (!part) {
      waiting = requestAnimationFrame(start);
      return;
    }
    part.classList.add("lrp-mended");
    changed.observe(part, { childList: true, subtree: true, attributes: true, attributeFilter: ["title"] });
    mend();
  }
  start();
  return () => {
    cancelAnimationFrame(waiting);
    changed.disconnect();
    part?.classList.remove("lrp-mended");
    endings.forEach((end) => end());
    root.remove();
  };
}

export default { render };
