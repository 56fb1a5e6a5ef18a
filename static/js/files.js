/** The tabs of a program's files, and how files come and go: by name, chosen, dropped, as a ZIP. */
import { languageOf, languages, ready } from "./config.js";
import { announce, byId, isTouch, make } from "./dom.js";
import * as editor from "./editor.js";
import * as opening from "./opening.js";
import * as program from "./program.js";
import { begin, fileAt, isIn, problemOf, renamed, single, withFiles, without } from "./project.js";
import { size } from "./result.js";
import { save } from "./save.js";
import { toast } from "./toast.js";
import { pack } from "./zipfile.js";

/** @typedef {import("./types.js").ProjectFile} ProjectFile */

const strip = byId("file-tabs");
const panel = byId("file-panel");
const name = /** @type {HTMLInputElement} */ (byId("file-name"));
const added = /** @type {HTMLInputElement} */ (byId("add-name"));
const dialog = /** @type {HTMLDialogElement} */ (byId("file-dialog"));
const addDialog = /** @type {HTMLDialogElement} */ (byId("add-dialog"));

const language = () => languageOf(program.language());
const paths = () => program.now().files.map(({ path }) => path);
const count = (/** @type {number} */ number) => `${number} ${number === 1 ? "file" : "files"}`;

// --- Tabs ------------------------------------------------------------------------------------------------

function show() {
  const hadFocus = strip.contains(document.activeElement);
  const isAlone = program.isAlone();
  document.body.classList.toggle("has-files", !isAlone);
  strip.replaceChildren(...(isAlone ? [] : program.now().files.map(tab)));
  showBinary();
  showPanel(isAlone);
  const selected = selectedTab();
  if (selected) bringIntoView(selected);
  if (hadFocus) selected?.focus();
}

/** @param {ProjectFile} file @param {number} index */
function tab({ path }, index) {
  const isShown = path === program.shownPath();
  const starts = path === program.now().entry;
  const button = make(
    "button",
    { type: "button", role: "tab", id: `file-tab-${index}`, "aria-controls": "file-panel", "aria-selected": String(isShown), "data-path": path },
    ...(starts ? [make("span", { class: "starts", "aria-hidden": "true" }, "▶")] : []),
    make("bdi", { class: "name" }, path),
  );
  if (starts) button.setAttribute("aria-label", `${path}, runs first`);
  button.tabIndex = isShown ? 0 : -1;
  button.title = starts ? `${path}: the program begins here` : path;
  button.classList.toggle("failed", path === program.failedPath());
  return button;
}

/** @param {boolean} isAlone */
function showPanel(isAlone) {
  const selected = selectedTab();
  for (const [key, value] of [["role", "tabpanel"], ["aria-labelledby", selected?.id ?? ""]]) {
    if (isAlone) panel.removeAttribute(key);
    else panel.setAttribute(key, value);
  }
}

function showBinary() {
  const file = fileAt(program.now(), program.shownPath());
  const isBinary = file !== undefined && file.text === undefined;
  byId("binary").hidden = !isBinary;
  if (isBinary) byId("binary").textContent = `${file.path} is no text. The program gets its ${size(opening.contentOf(file).content.length)} as they are.`;
}

const selectedTab = () => /** @type {HTMLElement | null} */ (strip.querySelector("[aria-selected=true]"));

/** Where everything is in one column, the tabs may be out of the window. */
export const reveal = () => selectedTab()?.scrollIntoView({ block: "nearest" });

/** @param {HTMLElement} selected */
function bringIntoView({ offsetLeft, offsetWidth }) {
  const { scrollLeft, clientWidth } = strip;
  if (offsetLeft < scrollLeft || offsetLeft + offsetWidth > scrollLeft + clientWidth) strip.scrollLeft = offsetLeft - clientWidth / 4;
}

/** @param {KeyboardEvent} event */
function press(event) {
  const all = paths();
  const at = all.indexOf(program.shownPath());
  const places = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: -1 };
  if (event.key in places) program.show(/** @type {string} */ (all.at(/** @type {any} */ (places)[event.key] % all.length)));
  else if (event.key === "Delete") remove();
  else if (event.key === "F2") ask();
  else return;
  event.preventDefault();
}

// --- One file --------------------------------------------------------------------------------------------

/** Ask what shall be done with the file that is shown. */
function ask() {
  const [path, file] = [program.shownPath(), fileAt(program.now(), program.shownPath())];
  name.value = path;
  complain("file-problem", "");
  const starts = path === program.now().entry;
  /** @type {HTMLButtonElement} */ (byId("file-start")).disabled = starts || file?.text === undefined;
  byId("file-starts").hidden = !starts;
  dialog.showModal();
  name.select();
}

/** @param {string} id @param {string} sentence */
const complain = (id, sentence) => (byId(id).textContent = sentence);

function rename() {
  const [from, to] = [program.shownPath(), name.value.trim()];
  const isEntry = from === program.now().entry;
  const problem = to === from ? "" : problemOf(to, paths().filter((path) => path !== from)) || (isEntry ? problemOfEntry(to) : "");
  complain("file-problem", problem);
  if (problem) return;
  dialog.close();
  if (to === from) return;
  const next = renamed(program.now(), from, to);
  if (isEntry) beginWith(next);
  else program.change(next, to);
}

/** Why no program can begin with a file of that name; "" when one can. @param {string} path */
function problemOfEntry(path) {
  if ([language(), ...ready].some((one) => isIn(path, one))) return "";
  const missing = languages.find((one) => isIn(path, one));
  if (missing) return `${missing.title} is not on this server: no program can begin with ${path}.`;
  return `A program in ${language().title} begins with a file whose name ends in ${language().extensions.join(" or ")}.`;
}

function remove() {
  const [path, before] = [program.shownPath(), program.now()];
  const left = before.files.length > 1 ? without(before, path, language()) : single(language(), "");
  const at = Math.min(paths().indexOf(path), left.files.length - 1);
  program.change(left, left.files[at].path, `${path} deleted.`);
}

/** Let the program begin with the file that is shown. */
function start() {
  const entry = program.shownPath();
  const problem = problemOfEntry(entry);
  if (problem) return toast(problem);
  beginWith({ ...program.now(), entry });
  announce(`The program begins with ${entry}.`);
}

/** An entry of another language makes it a program of that one. @param {import("./types.js").Project} next */
function beginWith(next) {
  const { entry } = next;
  const other = isIn(entry, language()) ? undefined : ready.find((one) => isIn(entry, one));
  if (other) program.open(other.name, next, `The program is one of ${other.title} now.`);
  else program.change(next, entry);
}

// --- More files ------------------------------------------------------------------------------------------

function offer() {
  const [extension, taken] = [language().extensions[0] ?? "", paths()];
  const names = ["helper", ...Array.from(taken, (_, index) => `helper${index + 2}`)].map((stem) => stem + extension);
  added.value = names.find((one) => !taken.includes(one)) ?? "";
  complain("add-problem", "");
  addDialog.showModal();
  added.select();
}

function create() {
  const path = added.value.trim();
  const problem = problemOf(path, paths());
  complain("add-problem", problem);
  if (problem) return;
  addDialog.close();
  program.change(withFiles(program.now(), [{ path, text: "" }]), path);
  announce(`${path} added.`);
  if (!isTouch()) editor.focus();
}

/** Add what was chosen or dropped; a project that comes as a whole is put in place of what is there. @param {opening.Found[]} found @param {boolean} [asMore] beside one file that somebody has written, too */
export async function receive(found, asMore = false) {
  addDialog.close();
  try {
    const files = await opening.read(found);
    const its = languageOfFiles(files);
    const isReplaced = program.isAlone() && !(asMore && program.isBegun());
    if (its && (isReplaced || found.some(opening.isArchive))) openAll(opening.withoutFolder(files), its);
    else program.change(withFiles(program.now(), files), files[0].path, `${count(files.length)} added.`);
  } catch (problem) {
    toast(/** @type {Error} */ (problem).message);
  }
}

/** @param {ProjectFile[]} files @param {import("./types.js").Language} its */
function openAll(files, its) {
  program.open(its.name, { entry: begin(files, its), files }, `${count(files.length)} opened; nothing was run.`);
}

/** The language that a program of these files is in: the present one if it can be. @param {ProjectFile[]} files */
function languageOfFiles(files) {
  const fitting = ready.filter((one) => files.some(({ path }) => isIn(path, one)));
  return fitting.find((one) => one.name === program.language()) ?? fitting[0];
}

const download = () => save(pack(program.now().files.map(opening.contentOf)), "project.zip");

// --- Events ----------------------------------------------------------------------------------------------

/** @param {HTMLElement} place */
function installDrop(place) {
  const isOver = (/** @type {boolean} */ over) => place.classList.toggle("over", over);
  place.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    isOver(true);
  });
  place.addEventListener("dragleave", () => isOver(false));
  place.addEventListener("drop", async (event) => {
    isOver(false);
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    receive(await opening.dropped(event.dataTransfer));
  });
}

/** A button that opens the chooser of a hidden input. @param {string} button @param {string} input @param {boolean} asMore */
function installChooser(button, input, asMore) {
  const chooser = /** @type {HTMLInputElement} */ (byId(input));
  byId(button).addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    const found = opening.chosen(chooser.files ?? []);
    chooser.value = ""; // the same file once more is a choice, too
    if (found.length) receive(found, asMore);
  });
}

/** @param {string} form @param {() => void} act */
function installForm(form, act) {
  byId(form).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}

export function install() {
  program.onFiles(show);
  strip.addEventListener("click", ({ target }) => {
    const chosen = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest("[role=tab]")) : null;
    if (chosen?.dataset.path) program.show(chosen.dataset.path);
  });
  strip.addEventListener("dblclick", ask);
  strip.addEventListener("keydown", press);
  installForm("file-form", rename);
  installForm("add-form", create);
  installChooser("add-files", "add-files-input", true);
  installChooser("add-folder", "add-folder-input", false);
  byId("file-add").addEventListener("click", offer);
  byId("file-menu").addEventListener("click", ask);
  byId("file-start").addEventListener("click", () => (dialog.close(), start()));
  byId("file-delete").addEventListener("click", () => (dialog.close(), remove()));
  byId("file-close").addEventListener("click", () => dialog.close());
  byId("add-close").addEventListener("click", () => addDialog.close());
  byId("file-zip").addEventListener("click", download);
  installDrop(byId("panel-code"));
  show();
}
