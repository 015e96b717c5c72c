import { make, makeRoot, setText, watch } from "../dom.js";

/** @typedef {{title: string, text: string, waiting: boolean}} Traits */

/**
 * The line above a plotly figure. plotly draws at 700 px until the window's size changes, so this sends a resize event
 * whenever the figure is first drawn or the width of its column changes.
 * @param {import("../anywidget").Context<Traits>} context
 */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-curve-head");
  const title = make("b", "");
  const text = make("span", "");
  const wait = make("div", "lrp-curve-wait lrp-muted", {}, "Drawing the curve …");
  root.append(title, " ", text, wait);

  function show() {
    setText(title, model.get("title"));
    setText(text, model.get("text"));
    wait.hidden = !model.get("waiting");
  }

  let later = 0;
  const resize = () => window.dispatchEvent(new Event("resize"));
  const fit = () => {
    requestAnimationFrame(resize);
    clearTimeout(later);
    later = setTimeout(resize, 400); // a figure that is drawn for the first time may not listen yet
  };
  let width = 0;
  const resized = new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) > 1) fit();
    width = entry.contentRect.width;
  });
  resized.observe(root);
  document.addEventListener("plotlywidget-after-render", fit);
  const end = watch(model, ["title", "text", "waiting"], show);
  show();
  return () => {
    end();
    clearTimeout(later);
    resized.disconnect();
    document.removeEventListener("plotlywidget-after-render", fit);
    root.remove();
  };
}

export default { render };
