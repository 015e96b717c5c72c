import { drawBoxes } from "./boxes.js";
import { onDark } from "../colours.js";
import { draw, makePicture, outline, place } from "./picture.js";
import { rectangle, sayShare, shareOf } from "./region.js";
import { make, makeRoot, nextFrame, setText } from "../dom.js";
import { keepPainted } from "../lifecycle.js";
import { makeLegend } from "./legend.js";
import { makeState } from "./state.js";
import { makeTools } from "./tools.js";
import { HINTS, makeReadout } from "./readout.js";
import { saveSheet } from "./save.js";
import { watchKeyboard } from "./keyboard.js";
import { watchMarking } from "./marking.js";
import { mostFor, watchZoom } from "./zoom.js";

/**
 * @typedef {import("./state.js").Traits} Traits
 * @typedef {import("./picture.js").Pixel} Pixel
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {import("./region.js").Vertex} Vertex
 */

/** @type {(keyof Traits & string)[]} */
const LOOK = ["colormap", "arrangement", "opacity", "percentile", "signs", "locked", "pixelated", "size"];

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const state = makeState(model);
  const root = makeRoot(el, "lrp-heatmap");
  const input = makePicture();
  const map = makePicture();
  const both = [input, map];
  const badge = make("div", "lrp-heatmap-badge", {}, "out of date");
  const pictures = make("div", "lrp-heatmap-pictures", { tabindex: "0", role: "application" }, input.frame, map.frame, badge);
  const { bar, say } = watchZoom(pictures, {
    zoom: () => model.get("zoom"), most: () => (state.raster ? mostFor(state.raster.width, state.raster.height) : 1),
    set: state.setZoom, pans: () => state.tool === "pointer", frameUnder: (event) => pictureUnder(event)?.frame,
  });
  const stage = make("div", "lrp-heatmap-stage", {}, pictures, bar);
  const readout = makeReadout();
  const tools = makeTools({ choose: chooseTool, save });
  const shareLines = [make("div", ""), make("div", "")];
  const clear = make("button", "lrp-heatmap-tool", { type: "button", title: "Clear the region", "aria-label": "Clear the region" }, "×");
  const share = make("div", "lrp-heatmap-share", { hidden: "" }, clear, make("div", "", { "aria-live": "polite" }, ...shareLines));
  const legend = makeLegend();
  const stamp = make("div", "lrp-heatmap-stamp");
  root.append(stage, make("div", "lrp-heatmap-foot", {}, readout.element, tools), share, legend.element, stamp);

  /** @type {Map<Picture, () => import("./picture.js").Layer[]>} what each picture is made of */
  let layers = new Map();
  /** @type {Picture | undefined} where the pointer draws, wherever it goes meanwhile */
  let grabbed;
  let painted = false;

  function paint() {
    state.read();
    arrange();
    const { raster } = state;
    if (!raster) return;
    const look = state.coloured(raster, onDark(root));
    const pixels = state.layers(look);
    layers = new Map([[input, pixels.input], [map, pixels.map]]);
    enlarge();
    legend.paint(raster, look);
    root.dataset.sequence = String(model.get("sequence"));
    root.dataset.max = String(raster.largest);
    root.dataset.sum = String(raster.sum);
    placeSpots();
    frameBoxes();
    weigh();
    if (!painted) model.send({ painted: true }); // the picture is seen: Python may now load what is slow
    painted = true;
  }

  /** Draws the pictures in sight again at the present zoom, without colouring them anew. */
  function enlarge() {
    const zoom = model.get("zoom");
    for (const [picture, pixels] of layers) if (!picture.frame.hidden) draw(picture, pixels, model.get("pixelated"), zoom);
    root.toggleAttribute("data-zoomed", zoom[0] > 1);
    say(zoom[0]);
  }

  function frameBoxes() {
    for (const { boxes } of both) if (state.raster) drawBoxes(boxes, model.get("boxes"), model.get("box"), state.raster);
  }

  function arrange() {
    const arrangement = state.arrangement();
    const [height, width] = model.get("shape");
    root.style.setProperty("--lrp-size", `${model.get("size")}px`);
    root.style.setProperty("--lrp-ratio", String(width && height ? width / height : 1));
    root.dataset.arrangement = arrangement;
    root.toggleAttribute("data-stale", model.get("stale"));
    root.toggleAttribute("data-empty", !state.raster);
    input.frame.hidden = arrangement !== "beside" && arrangement !== "image";
    map.frame.hidden = arrangement === "image";
    const words = model.get("description") || (state.raster ? `Heatmap, ${height} by ${width} pixels` : "No heatmap yet");
    const keys = `Arrow keys move over the pixels, ${HINTS[state.tool][1]}, + and − zoom, 0 shows all.`;
    pictures.setAttribute("aria-label", `${words}. ${keys}`);
    map.canvas.setAttribute("aria-label", words);
    input.canvas.setAttribute("aria-label", "The input");
    setText(stamp, model.get("stamp"));
  }

  /** Outlines the region, and writes how much of the relevance it holds. */
  function weigh() {
    const { raster } = state;
    share.hidden = !state.region().length;
    if (!raster) return;
    const { region, mask, isNew } = state.weighed(raster);
    if (isNew) for (const picture of both) outline(picture, region, raster);
    if (region.length) sayShare(shareOf(raster, mask), raster.sum).forEach((text, index) => setText(shareLines[index], text));
  }

  const repaint = nextFrame(paint);
  const redraw = nextFrame(enlarge);
  const reweigh = nextFrame(weigh);

  /** @param {Vertex[] | null} region null gives up what was drawn */
  function sketch(region) {
    state.draft = region;
    if (!region) grabbed = undefined;
    reweigh.request();
  }

  /** @param {Vertex[]} region */
  function mark(region) {
    grabbed = undefined;
    state.setRegion(region);
    weigh();
  }

  /** @param {string} name */
  function chooseTool(name) {
    state.tool = name;
    giveUp();
    root.dataset.tool = name;
    arrange();
    read(null);
  }

  /** Drops what is being drawn; says whether anything was. */
  function giveUp() {
    const was = cancelMarking() || state.corner !== null;
    state.corner = null;
    if (was) sketch(null);
    return was;
  }

  /** @param {string} format */
  function save(format) {
    const { raster } = state;
    if (!raster) return;
    const look = state.coloured(raster, onDark(root));
    const pixels = state.layers(look);
    const frames = both.filter(({ frame }) => !frame.hidden).map((picture) => (picture === input ? pixels.input() : pixels.map()));
    const region = model.get("region");
    const scaled = look.kind !== "image";
    const texts = [
      ...(scaled ? [legend.note] : []), ...(region.length ? shareLines : []), ...(model.get("stale") ? [badge] : []),
    ].map(({ textContent }) => textContent ?? "");
    saveSheet({
      frames, width: raster.width, height: raster.height, pixelated: model.get("pixelated"),
      outlines: [region, ...model.get("boxes").map(([top, left, bottom, right]) => rectangle([left, top], [right, bottom]))],
      bar: scaled ? legend.bar : null, labels: legend.labels.map(({ textContent }) => textContent ?? ""),
      lines: [...model.get("stamp").split("\n"), ...texts], title: model.get("description") || "Heatmap",
      ...(onDark(root) ? { text: "#e0e0e0", ground: "#111111" } : { text: "#212121", ground: "#ffffff" }),
    }, format);
  }

  /** Puts the marks on the picked pixel and under the keyboard's cursor. */
  function placeSpots() {
    for (const picture of both) {
      place(picture.mark, state.picked(), state.raster);
      place(picture.cursor, state.cursor, state.raster);
    }
  }

  /** @param {Pixel | null} pixel */
  const read = (pixel) => readout.read(pixel, state.raster, state.tool);

  /** @param {MouseEvent} event */
  const pictureUnder = (event) => both.find(({ frame }) => frame.contains(/** @type {Node} */ (event.target)));

  /**
   * The place on the map under the pointer, or null where it is over no picture.
   * @param {MouseEvent} event
   * @returns {Vertex | null}
   */
  function locate(event) {
    const picture = grabbed ?? pictureUnder(event);
    if (!picture || !state.raster) return null;
    const { width, height } = state.raster;
    const box = picture.plane.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  /**
   * The pixel under the pointer, or null where it is over none.
   * @param {MouseEvent} event
   * @returns {Pixel | null}
   */
  function under(event) {
    const [x, y] = locate(event)?.map(Math.floor) ?? [-1, -1];
    const { raster } = state;
    return raster && x >= 0 && y >= 0 && x < raster.width && y < raster.height ? { x, y } : null;
  }

  const cancelMarking = watchMarking(pictures, {
    tool: () => state.tool,
    locate: (event, started) => {
      if (!started) grabbed = pictureUnder(event);
      const at = locate(event);
      const { raster } = state;
      return raster && at && [Math.min(raster.width, Math.max(0, at[0])), Math.min(raster.height, Math.max(0, at[1]))];
    },
    draft: sketch,
    finish: mark,
  });
  watchKeyboard(pictures, root, state, {
    zoom: () => model.get("zoom"),
    showCursor: () => {
      placeSpots();
      read(state.cursor);
    },
    sketch, mark, giveUp,
  });
  const resized = new ResizeObserver(repaint.request);
  both.forEach(({ frame }) => resized.observe(frame));
  pictures.addEventListener("pointermove", (event) => read(under(event)));
  pictures.addEventListener("pointerleave", () => read(state.cursor));
  pictures.addEventListener("click", (event) => {
    if (state.tool === "pointer") state.pick(under(event));
  });
  clear.addEventListener("click", () => mark([]));
  return keepPainted(model, root, paint, [
    [["sequence", "scale", "stamp", "description", "stale", ...LOOK], paint],
    [["clicked"], placeSpots],
    [["region"], weigh],
    [["boxes", "box"], frameBoxes],
    [["zoom"], redraw.request],
  ], () => resized.disconnect(), repaint.cancel, reweigh.cancel, redraw.cancel);
}

export default { render };
