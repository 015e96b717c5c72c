/**
 * Makes an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, className, attributes = {}, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * The root element of a widget. It keeps plain keys from Jupyter, where "d d" would delete the cell.
 * @param {HTMLElement} el
 * @param {string} className
 */
export function makeRoot(el, className) {
  const root = make("div", `lrp-widget ${className}`);
  root.addEventListener("keydown", (event) => {
    if (!isShortcut(event)) event.stopPropagation();
  });
  el.append(root);
  return root;
}

/**
 * Whether a key belongs to the page or the browser: Ctrl+S and the like.
 * @param {KeyboardEvent} event
 */
export const isShortcut = (event) => event.ctrlKey || event.metaKey || event.altKey;

/**
 * Sets a text only where it changed, so that nothing is laid out or read aloud twice.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A text of at most so many letters: of a longer one its beginning and its end, where a file's name has its ending.
 * @param {string} text
 * @param {number} most
 */
export function shortened(text, most) {
  const end = Math.floor(most / 3);
  return text.length <= most ? text : `${text.slice(0, most - end - 1)}…${text.slice(-end)}`;
}

/**
 * Calls `react` once after a message in which any of the traits changed, in time for the next frame (to wait for
 * that frame would draw for the one after it); the returned function ends that.
 * @template Traits
 * @param {import("./anywidget").Model<Traits>} model
 * @param {(keyof Traits & string)[]} names
 * @param {() => void} react
 */
export function watch(model, names, react) {
  let [waits, ended] = [false, false];
  const run = () => {
    waits = false;
    if (!ended) react();
  };
  const changed = () => {
    if (!waits) queueMicrotask(run);
    waits = true;
  };
  for (const name of names) model.on(`change:${name}`, changed);
  return () => {
    ended = true;
    for (const name of names) model.off(`change:${name}`, changed);
  };
}

/**
 * Runs `act` in the next frame, once however often it is requested.
 * @param {() => void} act
 */
export function nextFrame(act) {
  let handle = 0;
  const run = () => {
    handle = 0;
    act();
  };
  return {
    request: () => {
      handle ||= requestAnimationFrame(run);
    },
    cancel: () => cancelAnimationFrame(handle),
  };
}

/**
 * Where an arrow key (or Home, End, Page Up, Page Down) leads from `index`, or null for another key.
 * @param {string} key
 * @param {number} index
 * @param {number} count
 * @param {{across?: number, down?: number, page?: number}} [steps] what one key moves; 0 leaves that key alone
 */
export function stepTo(key, index, count, { across = 1, down = 1, page = 10 } = {}) {
  /** @type {Record<string, number>} */
  const moves = {
    ArrowLeft: -across,
    ArrowRight: across,
    ArrowUp: -down,
    ArrowDown: down,
    PageUp: -page,
    PageDown: page,
    Home: -count,
    End: count,
  };
  if (!moves[key] || !count) return null;
  return Math.min(count - 1, Math.max(0, index + moves[key]));
}

/**
 * Which of some elements an event comes from, -1 for none.
 * @param {Event} event
 * @param {readonly Element[]} elements
 */
export const placeOf = (event, elements) =>
  elements.findIndex((element) => element.contains(/** @type {Node} */ (event.target)));

/**
 * Arrow keys that go over the entries of a CSS grid.
 * @param {HTMLElement} list
 * @param {() => readonly Element[]} entries
 * @param {(index: number) => void} go
 */
export function walkGrid(list, entries, go) {
  list.addEventListener("keydown", (event) => {
    if (isShortcut(event)) return;
    const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
    const all = entries();
    const next = stepTo(event.key, placeOf(event, all), all.length, { down: columns, page: 3 * columns });
    if (next === null) return;
    go(next);
    event.preventDefault();
  });
}

/**
 * Scrolls a list just so far that one of its entries is in sight, and nothing but the list.
 * @param {HTMLElement} list its offset parent must be that of the entry, or itself
 * @param {HTMLElement} entry
 */
export function scrollTo(list, entry) {
  const frame = list.getBoundingClientRect();
  const box = entry.getBoundingClientRect();
  if (box.top < frame.top) list.scrollTop -= frame.top - box.top;
  else if (box.bottom > frame.bottom) list.scrollTop += box.bottom - frame.bottom;
}
