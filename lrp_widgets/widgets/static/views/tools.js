import { isShortcut, make, stepTo } from "../dom.js";

const ICONS = {
  pointer: '<path d="M4 2l8.5 6.2-3.9.7 2.2 4-1.7.9-2.2-4L4 12.6z"/>',
  rectangle: '<rect x="2.5" y="3.5" width="11" height="9" stroke-dasharray="3 1.9"/>',
  lasso: '<path d="M8 2.5c3.4 0 5.8 1.6 5.8 3.8S11.4 10 8 10 2.2 8.5 2.2 6.3 4.6 2.5 8 2.5z" stroke-dasharray="3 1.6"/><path d="M5.2 9.7c-1 1-1 2.4.2 3.8"/>',
};

/** @type {Record<string, string>} What each tool does, for its tooltip and for assistive technology. */
const TOOLS = {
  pointer: "Pointer: a click picks a pixel",
  rectangle: "Rectangle: drag over a region to weigh its relevance; Escape clears it",
  lasso: "Lasso: drag around a region to weigh its relevance; Escape clears it",
};

/**
 * A tool bar: one of the tools is chosen, and two buttons save. Arrow keys move in it, as in any tool bar.
 * @param {{choose: (tool: string) => void, save: (format: string) => void}} actions
 */
export function makeTools({ choose, save }) {
  const tools = Object.entries(ICONS).map(([name, icon]) => {
    const button = make("button", "lrp-heatmap-tool", {
      type: "button", title: TOOLS[name], "aria-label": TOOLS[name], "aria-pressed": String(name === "pointer"),
    });
    button.innerHTML = `<svg viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor"
      stroke-width="1.3" stroke-linejoin="round" stroke-linecap="round" aria-hidden="true">${icon}</svg>`;
    button.dataset.tool = name;
    button.addEventListener("click", () => {
      for (const other of tools) other.setAttribute("aria-pressed", String(other === button));
      choose(name);
    });
    return button;
  });
  const savers = ["PNG", "SVG"].map((format) => {
    const title = `Save the picture with its colour bar as ${format}`;
    const button = make("button", "lrp-heatmap-tool", { type: "button", title, "aria-label": title }, format);
    button.addEventListener("click", () => save(format));
    return button;
  });
  const buttons = [...tools, ...savers];
  const enter = (/** @type {number} */ index) => buttons.forEach((button, i) => (button.tabIndex = i === index ? 0 : -1));
  enter(0);
  const bar = make("div", "lrp-heatmap-tools", { role: "toolbar", "aria-label": "Picture tools" }, ...buttons);
  bar.addEventListener("focusin", (event) => enter(buttons.findIndex((button) => button === event.target)));
  bar.addEventListener("keydown", (event) => {
    const from = buttons.findIndex((button) => button === event.target);
    const to = isShortcut(event) ? null : stepTo(event.key, from, buttons.length, { down: 0, page: 0 });
    if (to === null || to === from) return;
    buttons[to].focus();
    event.preventDefault();
  });
  return bar;
}
