"""What does not fit into its place on a page: found by measuring the page as the browser has laid it out."""

from __future__ import annotations

from collections.abc import Iterable

from playwright.sync_api import Page

SCROLLING = """axis => [...document.querySelectorAll("*")].filter((element) =>
  element.querySelector(".lrp-explore") && element[`scroll${axis}`] > element[`client${axis}`] + 1)
  .map((element) => `${element.tagName}.${element.className}`)"""
STICKING_OUT = """() => {
  const found = [];
  const named = (element) => `${element.tagName}.${element.className}`;
  for (const column of document.querySelectorAll(".lrp-grid > *")) {
    const { right } = column.getBoundingClientRect();
    const end = column.closest(".lrp-explore").parentElement.getBoundingClientRect().right;
    if (right > Math.min(innerWidth, end) + 1) found.push(`${named(column)} ends at ${right}, the app at ${end}`);
    for (const part of column.querySelectorAll("*")) {
      const box = part.getBoundingClientRect();
      if (box.width && box.right > right + 1 && !part.closest("svg, .lrp-cut"))
        found.push(`${named(part)} ends at ${box.right}, its column at ${right}`);
    }
  }
  return found;
}"""
# Words that end outside of what shows them and cannot be scrolled to, lists whose choice does not fit into them, and
# what can be moved sideways. Left out is what is meant to be cut (lrp-cut: its tooltip has the whole), and a table's
# card, which may be wider than a telephone.
CUT_OFF = """() => {
  const found = new Set();
  const named = (element) => `${element.tagName}.${element.className}`;
  const context = document.createElement("canvas").getContext("2d");
  const scrolls = (overflow) => overflow === "auto" || overflow === "scroll";
  for (const element of document.querySelectorAll(".lrp-explore *")) {
    if (!element.checkVisibility({ visibilityProperty: true }) || element.closest("svg, .js-plotly-plot")) continue;
    const style = getComputedStyle(element);
    if (scrolls(style.overflowX) && element.scrollWidth > element.clientWidth + 1 && !element.closest(".lrp-card"))
      found.add(`${named(element)} is moved sideways: ${element.scrollWidth} px in ${element.clientWidth}`);
    if (element.tagName === "SELECT") {
      context.font = style.font;
      const room = element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
      for (const { text } of element.size > 1 ? element.options : element.selectedOptions)
        if (context.measureText(text).width > room + 1) found.add(`"${text}" is cut in its list, of ${room} px`);
    }
    if (element.closest(".lrp-cut, select, option")) continue;
    for (const node of element.childNodes) {
      if (node.nodeType !== Node.TEXT_NODE || !node.data.trim()) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const text = range.getBoundingClientRect();
      let [across, down] = [true, true]; // whether it may still be cut in this direction
      for (let at = element; at && (across || down) && !at.matches(".lrp-explore"); at = at.parentElement) {
        const { overflowX, overflowY, position } = getComputedStyle(at);
        const box = at.getBoundingClientRect();
        const said = `"${node.data.trim().slice(0, 40)}" of ${named(element)} is cut by ${named(at)}`;
        across &&= !scrolls(overflowX);
        down &&= !scrolls(overflowY);
        if (across && overflowX !== "visible" && (text.right > box.right + 1 || text.left < box.left - 1))
          found.add(`${said}, across: ${text.left} to ${text.right} in ${box.left} to ${box.right}`);
        if (down && overflowY !== "visible" && (text.bottom > box.bottom + 3 || text.top < box.top - 3))
          found.add(`${said}, down: ${text.top} to ${text.bottom} in ${box.top} to ${box.bottom}`);
        if (position === "absolute" || position === "fixed") break;
      }
    }
  }
  return [...found];
}"""
# The end of an element, and where the nearest part of the page ends that scrolls or cuts it.
BELOW = """selector => [...document.querySelectorAll(selector)].flatMap((element) => {
  if (!element.checkVisibility()) return [];
  const { bottom } = element.getBoundingClientRect();
  let fold = innerHeight;
  for (let at = element.parentElement; at; at = at.parentElement)
    if (getComputedStyle(at).overflowY !== "visible") fold = Math.min(fold, at.getBoundingClientRect().bottom);
  return bottom > fold + 1 ? [`"${element.textContent.slice(0, 40)}" ends at ${bottom}, the fold is at ${fold}`] : [];
})"""
# Words and arrows of lists that are too like their ground, by WCAG 2. What is disabled may be faint.
FAINT = """least => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  paint.canvas.width = paint.canvas.height = 1;
  const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const over = (colours) => {
    paint.clearRect(0, 0, 1, 1);
    for (const colour of colours) { paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); }
    const [red, green, blue] = paint.getImageData(0, 0, 1, 1).data;
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  };
  const found = new Set();
  for (const element of document.querySelectorAll(".lrp-explore *")) {
    if (!element.checkVisibility({ visibilityProperty: true })) continue;
    if (element.closest("svg, :disabled, option, [aria-disabled=true]")) continue;
    const words = [...element.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!words && element.tagName !== "SELECT") continue;
    const grounds = ["white"];
    for (let at = element; at; at = at.parentElement) grounds.splice(1, 0, getComputedStyle(at).backgroundColor);
    const ground = over(grounds);
    const check = (colour, what) => {
      const letter = over([...grounds, colour]);
      const contrast = (Math.max(letter, ground) + 0.05) / (Math.min(letter, ground) + 0.05);
      if (contrast < least) found.add(`${what} has a contrast of ${contrast.toFixed(2)}`);
    };
    if (words) check(getComputedStyle(element).color, `"${words.data.trim().slice(0, 40)}" of ${element.className}`);
    else if (element.size < 2) {
      const fill = /fill='%23(\\w+)'/.exec(getComputedStyle(element).backgroundImage);
      check(fill ? `#${fill[1]}` : "black", `the arrow of ${element.parentElement.textContent.slice(0, 20)}`);
    }
  }
  return [...found];
}"""
# Pictures whose line around them, of a pixel, is cut on top by what they stand in.
WITHOUT_EDGE = """() => [...document.querySelectorAll(".lrp-heatmap-frame")].filter((frame) => {
  let top = -Infinity;
  for (let at = frame.parentElement; at; at = at.parentElement)
    if (getComputedStyle(at).overflowY !== "visible") top = Math.max(top, at.getBoundingClientRect().top);
  return frame.checkVisibility() && frame.getBoundingClientRect().top < top + 1;
}).map((frame) => `a picture at ${frame.getBoundingClientRect().top}`)"""
FRAMES = "() => new Promise((ready) => requestAnimationFrame(() => requestAnimationFrame(() => ready())))"


def scrolling(page: Page, axis: str) -> list[str]:
    """The elements around a dashboard that scroll: axis Height or Width."""
    return page.evaluate(SCROLLING, axis)


def sticking_out(page: Page) -> list[str]:
    """What sticks out of the window or of its column to the right."""
    return page.evaluate(STICKING_OUT)


def cut_off(page: Page) -> list[str]:
    """Words that nobody can read to their end, and what has a scroll bar to the side."""
    return page.evaluate(CUT_OFF)


def below_the_fold(page: Page, selector: str) -> list[str]:
    """What can only be read to its end after scrolling."""
    return page.evaluate(BELOW, selector)


def faint(page: Page, least: float) -> list[str]:
    """Words and arrows of a lower contrast to their ground than this."""
    return page.evaluate(FAINT, least)


def without_edge(page: Page) -> list[str]:
    """The pictures that have no line on top."""
    return page.evaluate(WITHOUT_EDGE)


def misfits(page: Page, windows: Iterable[tuple[int, int]]) -> list[str]:
    """What does not fit into windows of these widths and heights; the window is left as it was."""
    before, found = page.viewport_size, []
    for width, height in windows:
        page.set_viewport_size({"width": width, "height": height})
        for _ in range(30):  # widgets follow the size some frames later
            page.evaluate(FRAMES)
            faults = [*sticking_out(page), *cut_off(page), *(f"{each} scrolls" for each in scrolling(page, "Width"))]
            if not faults:
                break
        found += [f"{width} px: {fault}" for fault in faults]
    if before:
        page.set_viewport_size(before)
    return found
