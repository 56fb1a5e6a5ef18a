/** The program in the editor: its language, its files, its drafts, and what puts another one in its place. */
import { languageOf, languages, ready } from "./config.js";
import { byId, debounced } from "./dom.js";
import * as editor from "./editor.js";
import * as inputs from "./inputs.js";
import * as me from "./me.js";
import { asRequest, fileAt, fromRequest, isIn, isSingle, placesOf, single, textAt, withFiles } from "./project.js";
import { drafts } from "./store.js";
import { toast } from "./toast.js";

/** @typedef {import("./types.js").Program} Program */
/** @typedef {import("./types.js").Project} Project */
/** @typedef {import("./types.js").Source} Source */
/** @typedef {import("./types.js").Place} Place */

const select = /** @type {HTMLSelectElement} */ (byId("language"));
const TOO_LARGE = "The browser has no room to keep this project: a reload would lose it. Download it as a ZIP.";

let shown = "";
/** As it was when it was looked at last: `now` has what was typed since. @type {Project} */
let project = { entry: "", files: [] };
/** Which of its files is in the editor. */
let path = "";
/** How often a program was put in place of another since the page was loaded. */
let editions = 0;
/** Of each draft; 0 when it is the one of before. @type {Record<string, number>} */
const editionOf = {};
/** Where the cursor was in each file. @type {Map<string, editor.View>} */
const views = new Map();
/** The line that failed, and what it said. @type {Place & {text: string} | null} */
let failed = null;
/** @type {(() => void)[]} */
const listeners = [];
let hasComplained = false;

export const language = () => select.value;
/** The name of the file in the editor. */
export const shownPath = () => path;
export const failedPath = () => failed?.path;

/** @param {() => void} listener called when there are other files than before, or another one is shown */
export const onFiles = (listener) => listeners.push(listener);

/** @returns {Program} @throws {Error} a sentence, when arguments or input cannot be sent */
export const current = () => ({ language: language(), ...asRequest(now(), languageOf(shown)), ...inputs.read() });

/** The files, with what was typed. */
export function now() {
  const text = editor.code();
  // A text area has no other line ends than \n: those of a file stay until something is written in it.
  const isWritten = fileAt(project, path)?.text?.replace(/\r\n?/g, "\n") !== text;
  if (isWritten && fileAt(project, path)?.text !== undefined) project = withFiles(project, [{ path, text }]);
  return project;
}

export const isAlone = () => isSingle(now(), languageOf(shown));

/** Whether the entry is another text than what everybody begins with. */
export const isBegun = () => !["", languageOf(shown).page.welcome.trim()].includes(textAt(now()).trim());

// --- Drafts ----------------------------------------------------------------------------------------------

/** @param {string} name @returns {{project: Project, path: string}} the draft of that language, and which of its files was shown */
function draft(name) {
  try {
    const { shown: at, ...kept } = JSON.parse(drafts.get(`files.${name}`) || "null");
    if (fileAt(kept, kept.entry)) return { project: kept, path: fileAt(kept, at) ? at : kept.entry };
  } catch {
    // One file, or what is no project.
  }
  const alone = single(languageOf(name), drafts.get(`draft.${name}`) ?? languageOf(name).page.welcome);
  return { project: alone, path: alone.entry };
}

function save() {
  drafts.set(`draft.${shown}`, textAt(now()));
  const key = `files.${shown}`;
  if (isAlone()) return void drafts.set(key, "");
  if (drafts.set(key, JSON.stringify({ ...project, shown: path }))) return;
  drafts.set(key, ""); // rather none than an old one
  if (!hasComplained) toast(TOO_LARGE);
  hasComplained = true;
}

// --- What is shown ---------------------------------------------------------------------------------------

/** Put the file of that name into the editor, whatever is in there. @param {string} wanted */
function render(wanted) {
  path = wanted;
  const text = fileAt(project, path)?.text;
  editor.show([languageOf(shown), ...languages].find((one) => isIn(path, one)), text ?? "");
  count();
  byId("editor").hidden = text === undefined;
  const view = views.get(`${shown}/${path}`);
  if (view) editor.look(view);
  showFailed();
  for (const listener of listeners) listener();
}

/** What may be written depends on who it is, in a single file. */
export const count = () =>
  editor.allow(isSingle(project, languageOf(shown)) ? me.current().max_code_characters : Infinity);

/** Show a file. @param {string} wanted @returns {boolean} whether there is one of that name */
export function show(wanted) {
  if (!fileAt(now(), wanted)) return false;
  if (wanted === path) return true;
  views.set(`${shown}/${path}`, editor.view());
  render(wanted);
  saveSoon();
  return true;
}

/** Put another program in place of the one that is shown. @param {Project} next @param {number} [edition] */
function put(next, edition = ++editions) {
  const isInPlace = isAlone() && isSingle(next, languageOf(shown));
  [project, path] = [next, next.entry];
  editionOf[shown] = edition;
  if (isInPlace) editor.replace(textAt(next));
  else render(path);
  saveSoon();
}

/** Show the draft of a language; the one shown before is kept. @param {string} name */
export function choose(name) {
  if (shown) save();
  shown = select.value = languageOf(name).name;
  drafts.set("language", shown);
  const kept = draft(shown);
  project = kept.project;
  render(kept.path);
}

/**
 * Put another program in place of the current one, and offer to take that back.
 * @param {Program} program
 * @param {string} sentence what has happened
 */
export function load(program, sentence) {
  const isOther = inputs.willLose(program.args, program.stdin);
  open(program.language, fromRequest(program, languageOf(program.language)), sentence, isOther, () =>
    inputs.fill(program.args, program.stdin),
  );
}

/**
 * The same, with what it is given as it was.
 * @param {string} name of its language
 * @param {Project} next
 * @param {string} sentence
 * @param {boolean} [losesMore] whether more is lost than the program
 * @param {() => void} [also] what else is to be put in place
 */
export function open(name, next, sentence, losesMore = false, also = () => {}) {
  const from = shown;
  choose(name);
  const undo = undoing(from);
  const before = now();
  put(next);
  also();
  const isLost = !isSame(before, next) && before.files.some(({ text }) => text === undefined || text.trim() !== "");
  toast(sentence, isLost || losesMore ? undo : undefined);
}

/** The button that brings back the draft as it is now, and what it is given. @param {string} from the language to show then */
function undoing(from) {
  const [{ language: name, project: before, edition }, typed, at] = [source(), inputs.typed(), path];
  const act = () => {
    choose(name);
    put(before, edition);
    show(at);
    inputs.put(typed);
    choose(from);
  };
  return { label: "Undo", act };
}

/** Change which files there are: it stays the same program. @param {Project} next @param {string} at the file to show @param {string} [sentence] with it, this can be undone */
export function change(next, at, sentence) {
  const undo = undoing(shown);
  now();
  project = next;
  render(at);
  save();
  if (sentence) toast(sentence, undo);
}

// --- The program of a run --------------------------------------------------------------------------------

/** @returns {Source} the program as it is now */
export const source = () => ({ language: shown, project: now(), edition: editionOf[shown] ?? 0 });

/** The program of a past run of one file. @param {{language: string, code: string}} past @returns {Source} */
export const sourceOf = ({ language: name, code }) => ({ language: name, project: single(languageOf(name), code), edition: 0 });

/** @param {Project} one @param {Project} other */
const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** Whether the draft of its language still is that program, be it with changes. @param {Source} past */
function isKept({ language: name, project: then, edition }) {
  const today = name === shown ? now() : draft(name).project;
  return isSame(today, then) || (editionOf[name] ?? 0) === edition;
}

/** Show that file again, unless another program has taken its place. @param {Source} past @param {string} wanted @returns {boolean} whether it is shown */
export function bring(past, wanted) {
  if (!isKept(past)) return false;
  if (past.language !== shown) choose(past.language);
  return show(wanted);
}

/** Mark a line of that program, as soon as its file is shown and while it has the line as it was. @param {Source} past @param {Place} place */
export function mark(past, { path: where, line }) {
  if (past.language !== shown || !isKept(past)) return;
  failed = { path: where, line, text: lineOf(past.project, where, line) };
  showFailed();
  for (const listener of listeners) listener();
}

/** @param {Project} one @param {string} where @param {number} line from 1 */
const lineOf = (one, where, line) => textAt(one, where).split(/\r\n?|\n/)[line - 1];

function showFailed() {
  if (failed?.path === path && lineOf(now(), path, failed.line) === failed.text) editor.mark(failed.line);
}

export function clearMarks() {
  editor.clearMarks();
  if (!failed) return;
  failed = null;
  for (const listener of listeners) listener();
}

/** What the files of a program are called where it runs, and here. @param {Source} past */
export const places = (past) => placesOf(past.project, languageOf(past.language));

const saveSoon = debounced(300, save);

export function install() {
  editor.onChange(saveSoon);
  addEventListener("pagehide", save);
  select.addEventListener("change", () => choose(select.value));
  byId("clear").addEventListener("click", () => {
    const undo = undoing(shown);
    const wasEmpty = isAlone() && !editor.code();
    put(single(languageOf(shown), ""));
    editor.focus();
    if (!wasEmpty) toast("Cleared.", undo);
  });
  const last = drafts.get("language");
  choose((ready.find(({ name }) => name === last) ?? ready[0]).name);
}
