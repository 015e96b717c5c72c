import { layersOf, once, tableOf } from "./picture.js";
import { insideOf } from "./region.js";
import { endsOf } from "./scale.js";
import { readRaster } from "../raster.js";

/**
 * @typedef {{
 *   data: DataView, shape: number[], image: DataView, image_shape: number[], sequence: number, scale: number | null,
 *   locked: number[], stamp: string, description: string, stale: boolean, colormap: string, arrangement: string,
 *   opacity: number, percentile: number, signs: string, pixelated: boolean, size: number,
 *   clicked: {x?: number, y?: number, count?: number}, region: import("./region.js").Vertex[],
 *   zoom: import("./zoom.js").Zoom, boxes: number[][], box: number,
 * }} Traits
 * @typedef {import("./picture.js").Pixel} Pixel
 * @typedef {import("./region.js").Vertex} Vertex
 * @typedef {import("../raster.js").Raster} Raster
 * @typedef {ReturnType<typeof makeState>} State
 */

/**
 * What a heatmap shows: its traits in the form in which the page needs them, and beside them what Python is not told,
 * such as the tool in hand, the keyboard's cursor and a region that is still being drawn. Nothing here touches the page.
 * @param {import("../anywidget").Model<Traits>} model
 */
export function makeState(model) {
  let loaded = -1;
  /** @type {{region: Vertex[], mask: Uint8Array}} the region weighed last, and its pixels */
  let weighed = { region: [], mask: new Uint8Array() };

  const state = {
    raster: /** @type {Raster | null} */ (null),
    tool: "pointer",
    cursor: /** @type {Pixel | null} */ (null), // of the keyboard
    corner: /** @type {Pixel | null} */ (null), // the first one of a rectangle that is drawn by keyboard
    draft: /** @type {Vertex[] | null} */ (null), // the region while it is drawn

    /** Reads the map, where it is a new one. */
    read() {
      const sequence = model.get("sequence");
      if (sequence !== loaded) state.raster = readRaster(model.get("data"), model.get("shape"));
      loaded = sequence;
    },

    /** Which pictures there are. Without an image there is only the map. */
    arrangement: () => (model.get("image").byteLength ? model.get("arrangement") : "heatmap"),

    /**
     * What sets the colours: the kind of picture, its scale and its table.
     * @param {Raster} raster
     * @param {boolean} dark
     */
    coloured(raster, dark) {
      const arrangement = state.arrangement();
      const kind = arrangement === "beside" ? "heatmap" : arrangement;
      const scale = {
        signs: model.get("signs"), percentile: model.get("percentile"), scale: model.get("scale"), locked: model.get("locked"),
      };
      return {
        kind, scale, raster, ends: endsOf(raster, scale), table: tableOf(kind, model.get("colormap"), dark),
        opacity: model.get("opacity"), image: model.get("image"), imageShape: model.get("image_shape"),
      };
    },

    /**
     * The layers of the map's picture and of the input's, made when first asked for.
     * @param {{kind: string} & Parameters<typeof layersOf>[1]} look
     */
    layers: (look) => ({ map: once(() => layersOf(look.kind, look)), input: once(() => layersOf("image", look)) }),

    /** The region that is drawn, which comes before the one that Python has. */
    region: () => state.draft ?? model.get("region"),

    /**
     * The pixels inside of the region, computed once for each region and map.
     * @param {Raster} raster
     * @returns {{region: Vertex[], mask: Uint8Array, isNew: boolean}}
     */
    weighed({ width, height, values }) {
      const region = state.region();
      const isNew = weighed.region !== region || (region.length > 0 && weighed.mask.length !== values.length);
      if (isNew) weighed = { region, mask: region.length ? insideOf(region, width, height) : new Uint8Array() };
      return { ...weighed, isNew };
    },

    /**
     * Takes a region, or none: what holds no pixel is no region. Whatever was being drawn is done.
     * @param {Vertex[]} region
     */
    setRegion(region) {
      const { raster } = state;
      const holds = raster && region.length && insideOf(region, raster.width, raster.height).includes(1);
      [state.draft, state.corner] = [null, null];
      model.set("region", holds ? region : []);
      model.save_changes();
    },

    /** @param {import("./zoom.js").Zoom} zoom */
    setZoom(zoom) {
      model.set("zoom", zoom);
      model.save_changes();
    },

    /**
     * The picked pixel, null for none.
     * @returns {Pixel | null}
     */
    picked() {
      const { x, y } = model.get("clicked");
      return x === undefined || y === undefined ? null : { x, y };
    },

    /** @param {Pixel | null} pixel */
    pick(pixel) {
      if (!pixel) return;
      model.set("clicked", { ...pixel, count: (model.get("clicked").count ?? 0) + 1 });
      model.save_changes();
    },

    /**
     * Where the keyboard's cursor is, or begins: on the picked pixel, else in the middle.
     * @returns {Pixel}
     */
    cursorOrStart: () =>
      state.cursor ?? state.picked() ?? { x: (state.raster?.width ?? 0) >> 1, y: (state.raster?.height ?? 0) >> 1 },
  };
  return state;
}
