import { make, makeRoot, setText, watch } from "../dom.js";

/**
 * @typedef {{
 *   can_undo: boolean, can_redo: boolean, can_save: boolean, state: string, python: string, progress: number | null,
 *   file: DataView, file_name: string, file_sequence: number, scope: string, offers_page: boolean, app: string, thing: string,
 *   asked: {action?: string, count?: number}, query: string,
 * }} Traits
 */

const LONGEST = 16000; // characters of a query that are sent
const TOLD = 1600; // ms that a button says what it did
const EDITABLE = "input:not([type=range], [type=checkbox], [type=radio]), textarea, [contenteditable=true]";

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-sharebar");
  const bar = make("div", "lrp-sharebar-buttons", { role: "toolbar", "aria-label": "Dashboard" });
  const message = make("span", "lrp-sharebar-said lrp-muted", { role: "status", "aria-live": "polite" });
  const undo = button("undo", "Undo (Ctrl+Z)", () => ask("undo"));
  const redo = button("redo", "Redo (Ctrl+Shift+Z)", () => ask("redo"));
  const link = button("copy link", "Copy a link that opens what is shown", copyLink);
  const python = button("copy Python", `Copy the Python that makes ${model.get("thing")} again`, () => copy(model.get("python"), "Python"));
  const save = button("save page", "Save one HTML file whose sliders move without Python", () =>
    ask(model.get("progress") === null ? "save" : "stop"),
  );
  bar.append(undo, redo, link, python, ...(model.get("offers_page") ? [save] : []));
  root.append(bar, message);
  let fading = 0;
  let saved = model.get("file_sequence");

  /**
   * @param {string} text
   * @param {string} title
   * @param {() => void} act
   */
  function button(text, title, act) {
    const element = make("button", "lrp-sharebar-button", { type: "button", title }, text);
    element.addEventListener("click", () => {
      if (element.getAttribute("aria-disabled") !== "true") act();
    });
    return element;
  }

  /** @param {string} action */
  function ask(action) {
    model.set("asked", { action, count: (model.get("asked").count ?? 0) + 1 });
    model.save_changes();
  }

  /** @param {string} text */
  function tell(text) {
    clearTimeout(fading);
    setText(message, text);
    fading = setTimeout(() => setText(message, ""), TOLD);
  }

  function copyLink() {
    const address = new URL(location.href);
    // Only a page that is the dashboard has an address of its own; in a notebook the state goes to the function that makes the app.
    if (!isPage()) return copy(model.get("state"), `state for ${model.get("app")}(…, state=…)`);
    address.searchParams.set("state", model.get("state"));
    return copy(address.href, "link");
  }

  /**
   * @param {string} text
   * @param {string} what
   */
  function copy(text, what) {
    const old = () => {
      // Without https only localhost has a clipboard; this way is older and works anywhere.
      const area = make("textarea", "lrp-sharebar-copied", { "aria-hidden": "true", tabindex: "-1" });
      area.value = text;
      root.append(area);
      const before = /** @type {HTMLElement | null} */ (document.activeElement);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      before?.focus();
      tell(done ? `copied the ${what}` : "the browser did not allow to copy");
    };
    if (!navigator.clipboard?.writeText) return old();
    return void navigator.clipboard.writeText(text).then(() => tell(`copied the ${what}`), old);
  }

  function saveFile() {
    const sequence = model.get("file_sequence");
    const bytes = model.get("file");
    if (sequence === saved || !bytes?.byteLength) return;
    saved = sequence;
    const address = URL.createObjectURL(new Blob([/** @type {ArrayBufferView<ArrayBuffer>} */ (bytes)]));
    const anchor = make("a", "", { href: address, download: model.get("file_name"), hidden: "" });
    root.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60000); // the download reads it until it is done
    tell(`saved ${model.get("file_name")}`);
  }

  function update() {
    const progress = model.get("progress");
    enable(undo, model.get("can_undo"));
    enable(redo, model.get("can_redo"));
    enable(link, model.get("state") !== "");
    root.dataset.state = model.get("state"); // for a page that has lost its kernel and is loaded again
    enable(python, model.get("python") !== "");
    enable(save, model.get("can_save") || progress !== null);
    setText(link, isPage() ? "copy link" : "copy state");
    setText(save, progress === null ? "save page" : `stop · ${String(Math.round(100 * progress)).padStart(2)} %`);
    save.style.setProperty("--lrp-done", String(progress ?? 0));
    save.toggleAttribute("data-busy", progress !== null);
  }

  /**
   * By attribute: a button that is disabled loses the keyboard's focus.
   * @param {HTMLElement} which
   * @param {boolean} enabled
   */
  function enable(which, enabled) {
    which.setAttribute("aria-disabled", String(!enabled));
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const at = /** @type {HTMLElement} */ (event.target);
    const key = event.key.toLowerCase();
    const redoes = key === "y" || (key === "z" && event.shiftKey);
    if (!(event.ctrlKey || event.metaKey) || event.altKey || (key !== "z" && !redoes)) return;
    const scope = root.closest(`.${CSS.escape(model.get("scope") || "lrp-sharebar")}`);
    // Alone on a page the keys hold also where nothing has the focus; in a notebook they belong to the notebook.
    const alone = () => isPage() && document.getElementsByClassName(model.get("scope")).length === 1;
    if (!scope || !(scope.contains(at) || (at === document.body && alone())) || at.matches(EDITABLE)) return;
    event.preventDefault();
    event.stopPropagation();
    if (model.get(redoes ? "can_redo" : "can_undo")) ask(redoes ? "redo" : "undo");
  }

  document.addEventListener("keydown", onKey, true);
  const endings = [
    watch(model, ["can_undo", "can_redo", "can_save", "state", "python", "progress"], update),
    () => document.removeEventListener("keydown", onKey, true),
    () => clearTimeout(fading),
    () => root.remove(),
  ];
  // Not through `watch`: the file is gone again in the next message.
  model.on("change:file_sequence", saveFile);
  endings.push(() => model.off("change:file_sequence", saveFile));
  update();
  if (isPage() && location.search.length > 1) {
    model.set("query", location.search.slice(0, LONGEST));
    model.save_changes();
  }
  return () => endings.forEach((end) => end());
}

/** Whether the whole page is the dashboard (Voila), not a notebook that holds it. */
function isPage() {
  return document.querySelector("body[data-voila]") !== null;
}

export default { render };
