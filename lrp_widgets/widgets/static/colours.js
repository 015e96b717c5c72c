/**
 * Diverging colour maps from the most negative to the most positive, zero in the middle. On a light page zero is
 * white and the ends are dark (ColorBrewer RdBu, PuOr, PRGn; Crameri's vik); on a dark page the other way round
 * (red-blue: Crameri's berlin, green-purple: his vanimo, vik: its hues with the lightness of OKLab turned round).
 * Lightness changes evenly to both sides, so the maps are safe for colour-blind eyes.
 * @type {Record<string, {light: string, dark: string}>}
 */
const MAPS = {
  "red-blue": {
    light: "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
    dark: "9eb0ff 5aa3da 2d7597 1a4256 151a1e 161616 1f1512 501803 8a3f2a c4756a ffacac",
  },
  "orange-purple": {
    light: "2d004b 542788 8073ac b2abd2 d8daeb f7f7f7 fee0b6 fdb863 e08214 b35806 7f3b08",
    dark: "d9ccff a48fd9 7359a8 432f6b 211a2e 161616 2a1d0c 5c3a0c 97620f d39a3c ffdfa8",
  },
  "green-purple": {
    light: "40004b 762a83 9970ab c2a5cf e7d4e8 f7f7f7 d9f0d3 a6dba0 5aae61 1b7837 00441b",
    dark: "ffcdfd d889ca ad539a 742e64 33172c 161616 232c14 415a1f 62872f 8abc53 befda5",
  },
  vik: {
    light: "001261 023a7a 116496 5697b8 a7c9da ece5e1 e1b8a0 cd8860 b75a26 862306 590008",
    dark: "aedbfb 76b1dd 4687bb 265e8e 223850 161616 4d2d22 87452a b46b4a d99879 f9c8b0",
  },
  grey: {
    light: "000000 1a1a1a 333333 4d4d4d 666666 808080 999999 b3b3b3 cccccc e6e6e6 ffffff",
    dark: "000000 1a1a1a 333333 4d4d4d 666666 808080 999999 b3b3b3 cccccc e6e6e6 ffffff",
  },
};

/** Steps from zero to either end of a table. */
export const HALF = 256;

/**
 * A colour table of 2·HALF+1 entries, each a pixel of ImageData (little-endian ABGR).
 *
 * Veiled, for an overlay: the hue stays strong and |R| becomes opacity, so that zero is transparent. The power lifts weak relevance,
 * and the colour bar with it.
 * @param {string} name
 * @param {boolean} dark
 * @param {boolean} veiled
 */
export function colourTable(name, dark, veiled) {
  const { light, dark: night } = MAPS[name] ?? MAPS["red-blue"];
  const stops = (dark && !veiled ? night : light).split(" ").map((hex) => parseInt(hex, 16));
  const table = new Uint32Array(2 * HALF + 1);
  for (let i = 0; i < table.length; i++) {
    const t = i / HALF - 1;
    const place = veiled ? Math.sign(t) * (0.45 + 0.25 * Math.abs(t)) : t;
    table[i] = pixelAt(stops, place, veiled ? Math.abs(t) ** 0.6 : 1);
  }
  return table;
}

/** An opaque black pixel. */
export const BLACK = 0xff000000;

/** A table for image × relevance: black over the input, the less of it the larger |R|, so that brightness is in proportion. */
export function maskTable() {
  return Uint32Array.from({ length: 2 * HALF + 1 }, (_, i) => (Math.round(255 * (1 - Math.abs(i / HALF - 1))) << 24) >>> 0);
}

/**
 * @param {number[]} stops
 * @param {number} place from -1 to 1
 * @param {number} opacity
 */
function pixelAt(stops, place, opacity) {
  const at = ((place + 1) / 2) * (stops.length - 1);
  const first = Math.min(Math.floor(at), stops.length - 2);
  const share = at - first;
  let pixel = Math.round(opacity * 255) << 24;
  for (const [shift, target] of [[16, 0], [8, 8], [0, 16]]) {
    const low = (stops[first] >> shift) & 255;
    const high = (stops[first + 1] >> shift) & 255;
    pixel |= Math.round(low + share * (high - low)) << target;
  }
  return pixel >>> 0;
}

/**
 * Whether an element stands on a dark page: its text is lighter than mid-grey.
 * @param {Element} element
 */
export function onDark(element) {
  const parts = getComputedStyle(element).color.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0];
  return 0.3 * parts[0] + 0.59 * parts[1] + 0.11 * parts[2] > 127;
}

/**
 * Calls `react` after the page's theme may have changed; the returned function ends that.
 * @param {() => void} react
 */
export function watchTheme(react) {
  const settled = new Set();
  const later = () => {
    react();
    // The attribute changes before the new theme's style sheet has arrived.
    for (const delay of [150, 600]) settled.add(setTimeout(react, delay));
  };
  const observer = new MutationObserver(later);
  for (const target of [document.documentElement, document.body])
    observer.observe(target, { attributeFilter: ["class", "style", "data-theme", "data-jp-theme-name", "data-jp-theme-light"] });
  const preference = matchMedia("(prefers-color-scheme: dark)");
  preference.addEventListener("change", later);
  return () => {
    observer.disconnect();
    preference.removeEventListener("change", later);
    settled.forEach(clearTimeout);
  };
}
