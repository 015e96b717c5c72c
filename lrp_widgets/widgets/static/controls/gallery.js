import { isShortcut, make, makeRoot, scrollTo, setText, stepTo } from "../dom.js";
import { keepDrawn } from "../lifecycle.js";

/**
 * @typedef {{
 *   images: DataView, shape: number[], block: number, captions: string[], sequence: number, selected: number,
 *   thumbnail: number, rows: number, first: number, description: string,
 * }} Traits
 */

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-gallery");
  const grid = make("div", "lrp-gallery-grid lrp-scroller", { role: "listbox" });
  const nothing = make("div", "lrp-gallery-nothing lrp-muted", {}, "Nothing to choose from");
  root.append(grid, nothing);
  /** @type {HTMLElement[]} */
  let options = [];
  /** @type {Map<number, DataView | null>} the blocks of thumbnails that came; null for one that was asked for */
  const blocks = new Map();

  // A thousand pictures would cost hundreds of megabytes: only those near the visible part exist.
  const inSight = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const cell = /** @type {HTMLElement} */ (target.firstElementChild);
        if (!isIntersecting) cell.replaceChildren();
        target.toggleAttribute("data-near", isIntersecting);
        if (isIntersecting) show(/** @type {HTMLElement} */ (target));
      }
    },
    { root: grid, rootMargin: "200px" },
  );

  /**
   * Puts the picture into an option, or asks for the block it is in.
   * @param {HTMLElement} option
   */
  function show(option) {
    const cell = /** @type {HTMLElement} */ (option.firstElementChild);
    if (cell.firstChild) return;
    const index = options.indexOf(option);
    const place = Math.floor(index / model.get("block"));
    const pixels = blocks.get(place);
    if (pixels) cell.append(thumbnail(pixels, index - place * model.get("block")));
    else if (!blocks.has(place)) {
      blocks.set(place, null);
      model.send({ block: place });
    }
  }

  /**
   * @param {{ block: number, sequence: number }} content
   * @param {DataView[]} buffers
   */
  function arrived(content, buffers) {
    if (content.sequence !== model.get("sequence")) return;
    blocks.set(content.block, buffers[0]);
    const begin = content.block * model.get("block");
    for (const option of options.slice(begin, begin + model.get("block")))
      if (option.hasAttribute("data-near")) show(option);
  }

  /**
   * An image, not the canvas it is made with: the browser keeps a layer for every canvas and goes through all of them
   * for every frame.
   * @param {DataView} pixels of a block
   * @param {number} index in it
   */
  function thumbnail(pixels, index) {
    const [, height, width, channels] = model.get("shape");
    const size = height * width * channels;
    const source = new Uint8Array(pixels.buffer, pixels.byteOffset + index * size, size);
    const picture = new ImageData(width, height);
    for (let i = 0; i < height * width; i++)
      for (let c = 0; c < 4; c++)
        picture.data[4 * i + c] = c === 3 ? 255 : source[i * channels + (channels === 3 ? c : 0)];
    const canvas = make("canvas", "", { width: String(width), height: String(height) });
    canvas.getContext("2d")?.putImageData(picture, 0, 0);
    return make("img", width < 64 ? "lrp-gallery-small" : "", { src: canvas.toDataURL(), alt: "", draggable: "false" });
  }

  function fill() {
    const [count, height, width] = model.get("shape");
    const captions = model.get("captions");
    inSight.disconnect();
    blocks.clear();
    blocks.set(0, model.get("images"));
    root.style.setProperty("--lrp-ratio", String(width && height ? width / height : 1));
    options = Array.from({ length: count }, (_, index) => {
      const caption = captions[index] ?? "";
      const number = index + model.get("first");
      const name = captions.length ? `${number}: ${caption}` : String(number);
      const option = make("div", "lrp-gallery-option", { role: "option", title: name, "aria-label": name },
        make("div", "lrp-gallery-cell"));
      if (captions.length) option.append(make("div", "lrp-gallery-caption lrp-cut", {}, caption));
      inSight.observe(option);
      return option;
    });
    grid.replaceChildren(...options);
    grid.scrollTop = 0;
    nothing.hidden = count > 0;
    mark();
  }

  /** Marks the chosen one; it alone is reached with Tab. */
  function mark() {
    const selected = model.get("selected");
    options.forEach((option, index) => {
      option.setAttribute("aria-selected", String(index === selected));
      option.tabIndex = index === Math.max(0, selected) ? 0 : -1;
    });
    if (options[selected]) scrollTo(grid, options[selected]);
  }

  function look() {
    root.style.setProperty("--lrp-thumbnail", `${model.get("thumbnail")}px`);
    root.style.setProperty("--lrp-rows", String(model.get("rows")));
    root.style.setProperty("--lrp-caption", model.get("captions").length ? "16px" : "0px");
    grid.setAttribute("aria-label", model.get("description"));
    setText(nothing, "Nothing to choose from");
  }

  /** @param {number} index */
  function choose(index) {
    options[index].focus({ preventScroll: true });
    if (index === model.get("selected")) return;
    model.set("selected", index);
    model.save_changes();
  }

  /** @param {Event} event */
  const indexOf = (event) => options.findIndex((option) => option.contains(/** @type {Node} */ (event.target)));

  grid.addEventListener("click", (event) => {
    const index = indexOf(event);
    if (index >= 0) choose(index);
  });
  grid.addEventListener("keydown", (event) => {
    if (isShortcut(event)) return;
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const page = columns * model.get("rows");
    const index = indexOf(event);
    const next = event.key === "Enter" || event.key === " " ? index
      : stepTo(event.key, index, options.length, { down: columns, page });
    if (next === null || next < 0) return;
    choose(next);
    event.preventDefault();
  });
  model.on("msg:custom", arrived);
  look();
  return keepDrawn(model, root, fill, [
    [["sequence"], fill],
    [["selected"], mark],
    [["thumbnail", "rows", "captions", "description"], look],
  ], () => model.off("msg:custom", arrived), () => inSight.disconnect());
}

export default { render };
