import { makeOutline, makeSvg } from "../svg.js";
import { make } from "../dom.js";

const [SIDE, MARGIN, LINE, BAR] = [512, 16, 18, 12]; // px of the saved picture: at least, around, a line of text, the bar
const FONT = "13px system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/**
 * What is saved.
 * @typedef {{
 *   frames: import("./picture.js").Layer[][], width: number, height: number, pixelated: boolean,
 *   outlines: import("./region.js").Vertex[][], bar: HTMLCanvasElement | null, labels: string[], lines: string[],
 *   text: string, ground: string, title: string,
 * }} Sheet width, height: of the map.  frames: the pictures from left to right.  outlines: on each.  bar: null for none
 */

/**
 * Draws the sheet as SVG: pictures as images of their own pixels, everything else as lines and text.
 * @param {Sheet} sheet
 */
export function drawSheet({ frames, width, height, pixelated, outlines, bar, labels, lines, text, ground, title }) {
  const factor = Math.max(1, Math.ceil(SIDE / Math.max(width, height)));
  const [wide, high] = [width * factor, height * factor];
  const inner = Math.max(300, frames.length * (wide + MARGIN) - MARGIN); // room for the text under a narrow picture
  const parts = frames.flatMap((layers, index) => drawFrame(layers, MARGIN + index * (wide + MARGIN), wide, high, pixelated));
  frames.forEach((_, index) => {
    const from = MARGIN + index * (wide + MARGIN);
    for (const outline of outlines) parts.push(...makeOutline(outline.map(([x, y]) => [from + x * factor, MARGIN + y * factor])));
  });
  let down = MARGIN + high + MARGIN;
  /** @type {(x: number, anchor: string, line: string) => Element} */
  const write = (x, anchor, line) => makeSvg("text", { x, y: down, "text-anchor": anchor, fill: text }, line);
  if (bar) {
    parts.push(embed(bar, { x: MARGIN, y: down, width: inner, height: BAR }, false));
    down += BAR + LINE;
    const middle = MARGIN + inner / 2;
    parts.push(write(MARGIN, "start", labels[0]), write(middle, "middle", labels[1]), write(MARGIN + inner, "end", labels[2]));
    down += LINE / 3;
  }
  for (const line of wrap(lines, inner)) {
    down += LINE;
    parts.push(write(MARGIN, "start", line));
  }
  const size = { width: inner + 2 * MARGIN, height: down + MARGIN };
  const sheet = makeSvg("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}`, role: "img", style: `font: ${FONT}` });
  sheet.append(makeSvg("title", {}, title), makeSvg("rect", { ...size, fill: ground }), ...parts);
  return sheet;
}

/**
 * Hands a sheet to the person as a file: the SVG itself, or a PNG made of it.
 * @param {Sheet} sheet
 * @param {string} format SVG or PNG
 */
export function saveSheet(sheet, format) {
  const svg = drawSheet(sheet);
  const name = `${sheet.title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60).replace(/^-|-$/g, "") || "heatmap"}`;
  const text = new XMLSerializer().serializeToString(svg);
  const whole = new Blob([text], { type: "image/svg+xml" });
  if (format === "SVG") return download(whole, `${name}.svg`);
  const image = new Image();
  image.onload = () => {
    const canvas = make("canvas", "", { width: String(image.width), height: String(image.height) });
    canvas.getContext("2d")?.drawImage(image, 0, 0);
    canvas.toBlob((blob) => blob && download(blob, `${name}.png`), "image/png");
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`; // of a blob Safari taints the canvas
}

/**
 * @param {import("./picture.js").Layer[]} layers
 * @param {number} x
 * @param {number} width
 * @param {number} height
 * @param {boolean} pixelated
 */
function drawFrame(layers, x, width, height, pixelated) {
  return layers.map(({ pixels, opacity }) => {
    const source = make("canvas", "", { width: String(pixels.width), height: String(pixels.height) });
    source.getContext("2d")?.putImageData(pixels, 0, 0);
    return embed(source, { x, y: MARGIN, width, height, opacity }, pixelated);
  });
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Record<string, number>} place
 * @param {boolean} pixelated
 */
function embed(canvas, place, pixelated) {
  const style = `image-rendering: ${pixelated ? "pixelated" : "auto"}`;
  return makeSvg("image", { ...place, href: canvas.toDataURL(), preserveAspectRatio: "none", style });
}

/**
 * Breaks lines at spaces, so that each fits: SVG does not by itself.
 * @param {string[]} lines
 * @param {number} width
 */
function wrap(lines, width) {
  const context = make("canvas", "").getContext("2d");
  if (!context) return lines;
  context.font = FONT;
  return lines.flatMap((line) => {
    const rows = [""];
    for (const word of line.trim().split(/ +/)) {
      const longer = `${rows[rows.length - 1]} ${word}`.trim();
      if (rows[rows.length - 1] && context.measureText(longer).width > width) rows.push(word);
      else rows[rows.length - 1] = longer;
    }
    return rows.filter(Boolean);
  });
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
function download(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", "", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
