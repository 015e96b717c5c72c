import { make, makeRoot, setText } from "../dom.js";
import { keepDrawn } from "../lifecycle.js";
import { megabytes, objection, parts } from "./file.js";
import { readImage } from "../raster.js";

/**
 * @typedef {{
 *   content: DataView, filename: string, sequence: number, most_bytes: number, accepted: string, endings: string,
 *   image: DataView, shape: number[], said: string, refused: string, answered: number, description: string,
 * }} Traits
 */

const SMALL = 64; // px: a picture up to this wide is shown with its pixels
const LONGEST_NAME = 255;

/** @param {import("../anywidget").Context<Traits>} context */
function render({ model, el }) {
  const root = makeRoot(el, "lrp-upload");
  const canvas = make("canvas", "lrp-upload-picture", { role: "img" });
  const name = make("div", "lrp-upload-name lrp-cut");
  const conversion = make("div", "lrp-upload-said lrp-muted");
  const seen = make("div", "lrp-upload-seen lrp-muted", {}, canvas, "as the network sees it");
  const words = make("div", "lrp-upload-words", { role: "status" }, name, conversion);
  const shown = make("div", "lrp-upload-shown", {}, seen, words);
  const hint = make("div", "lrp-upload-hint", {}, "Drop or paste a picture");
  const busy = make("div", "lrp-upload-busy", { role: "status" });
  const choose = make("button", "lrp-upload-choose", { type: "button" });
  const limit = make("div", "lrp-upload-limit lrp-muted");
  const input = make("input", "", { type: "file", hidden: "", tabindex: "-1" });
  const refused = make("div", "lrp-upload-refused", { role: "alert" });
  const zone = make("div", "lrp-upload-zone", { role: "group" }, shown, hint,
    make("div", "lrp-upload-foot", {}, choose, busy, limit), input);
  root.append(zone, refused);

  let own = ""; // why this page sent nothing
  let waits = ""; // the name of the file that is being read
  let latest = 0; // of the files that were begun to be read
  let inside = 0; // how many elements of the zone are under what is dragged

  function show() {
    const [, width] = model.get("shape");
    const picture = readImage(model.get("image"), model.get("shape"), false);
    const [title, text] = parts(model.get("said"));
    const problem = own || (waits ? "" : model.get("refused"));
    seen.hidden = !picture;
    if (picture) {
      canvas.width = picture.width;
      canvas.height = picture.height;
      canvas.getContext("2d")?.putImageData(picture, 0, 0);
      canvas.classList.toggle("lrp-upload-small", width <= SMALL);
      canvas.setAttribute("aria-label", `${title || "The picture"} as the network sees it`);
    }
    setText(name, title);
    name.title = title;
    setText(conversion, text.replace(/ × |\[\S+ \S+\]/g, (numbers) => numbers.replaceAll(" ", "\u00a0"))); // these stay on one line
    setText(busy, waits ? `Reading ${waits} …` : "");
    busy.title = waits;
    setText(refused, problem);
    shown.hidden = !model.get("said");
    hint.hidden = !shown.hidden;
    busy.hidden = !waits;
    limit.hidden = !!waits;
    refused.hidden = !problem;
    zone.setAttribute("aria-busy", String(!!waits));
    zone.setAttribute("aria-label", model.get("description"));
    zone.dataset.state = inside ? "over" : waits ? "loading" : problem ? "refused" : shown.hidden ? "empty" : "shown";
    setText(choose, shown.hidden ? "Choose a file…" : "Another file…");
    const most = `up to ${megabytes(model.get("most_bytes"))}`;
    setText(limit, shown.hidden ? `${model.get("accepted")}, ${most}` : most);
    input.accept = model.get("endings");
  }

  /** @param {string} reason */
  function object(reason) {
    own = reason;
    latest++; // whatever is still being read is no longer wanted
    waits = "";
    show();
  }

  /** @param {File} file */
  async function send(file) {
    const reason = objection(file, model.get("most_bytes"));
    if (reason) return object(reason);
    const turn = ++latest;
    own = "";
    waits = file.name || "the picture";
    show();
    /** @type {ArrayBuffer} */
    let content;
    try {
      content = await file.arrayBuffer();
    } catch {
      if (turn === latest) object(`${waits} must be a file that can be read, got an error. Choose another one.`);
      return;
    }
    if (turn !== latest) return;
    model.set("content", new DataView(content));
    model.set("filename", file.name.slice(-LONGEST_NAME));
    model.set("sequence", model.get("sequence") + 1);
    model.save_changes();
  }

  /** @param {FileList | undefined} files */
  function take(files) {
    if (files?.length === 1) send(files[0]);
    else if (files?.length) object(`The pad must get one file, got ${files.length}. Drop them one at a time.`);
    else object("The pad must get a file, got a link or a text. Save the picture first, then drop its file.");
  }

  function answer() {
    waits = own = "";
    show();
  }

  /** @param {DragEvent} event */
  function drag(event) {
    event.preventDefault(); // else the browser leaves the page for the file
    event.stopPropagation();
    if (event.type === "dragenter") inside++;
    else if (event.type === "dragleave") inside = Math.max(0, inside - 1);
    else if (event.type === "drop") inside = 0;
    else if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    if (event.type === "drop") take(event.dataTransfer?.files);
    if (event.type !== "dragover") show();
  }

  /** Takes what is pasted while the pad has the focus or the pointer. @param {ClipboardEvent} event */
  function paste(event) {
    const target = /** @type {Element | null} */ (event.target);
    if (!root.matches(":hover, :focus-within") || target?.closest?.("input, textarea, [contenteditable]")) return;
    const { files, types } = event.clipboardData ?? {};
    if (!types?.length) return;
    event.preventDefault();
    take(files);
  }

  choose.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files?.length) take(input.files);
    input.value = ""; // so that the same file can be chosen again
  });
  for (const type of /** @type {const} */ (["dragenter", "dragover", "dragleave", "drop"]))
    zone.addEventListener(type, drag);
  document.addEventListener("paste", paste);
  return keepDrawn(model, root, show, [
    [["answered"], answer],
    [["most_bytes", "accepted", "endings", "description"], show],
  ], () => document.removeEventListener("paste", paste), () => latest++);
}

export default { render };
