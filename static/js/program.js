/** The program in the editor: its language, its drafts, and what puts another one in its place. */
import { languageOf, languages } from "./config.js";
import { byId, debounced } from "./dom.js";
import * as editor from "./editor.js";
import * as inputs from "./inputs.js";
import { drafts } from "./store.js";
import { toast } from "./toast.js";

/** @typedef {import("./types.js").Program} Program */
/** @typedef {import("./types.js").Source} Source */

const select = /** @type {HTMLSelectElement} */ (byId("language"));

let shown = "";
/** How often a program was put in place of another since the page was loaded. */
let editions = 0;
/** Of each draft; 0 when it is the one of before. @type {Record<string, number>} */
const editionOf = {};

export const language = () => select.value;

/** @returns {Program} @throws {Error} a sentence, when arguments or input cannot be sent */
export const current = () => ({ language: language(), code: editor.code(), ...inputs.read() });

const draft = (/** @type {string} */ name) => drafts.get(`draft.${name}`) ?? languageOf(name).page.welcome;
const save = () => drafts.set(`draft.${shown}`, editor.code());

/** @returns {Source} the program in the editor as it is now */
export const source = () => ({ language: shown, code: editor.code(), edition: editionOf[shown] ?? 0 });

/** Whether the draft of its language still is that program, be it with changes. @param {Source} past */
function isKept({ language: name, code, edition }) {
  const now = name === shown ? editor.code() : draft(name);
  return now === code || (editionOf[name] ?? 0) === edition;
}

/** Show that program again, unless another one has taken its place. @param {Source} past @returns {boolean} whether it is shown */
export function bring(past) {
  if (!isKept(past)) return false;
  if (past.language !== shown) choose(past.language);
  return true;
}

/** Mark a line of that program, when it is shown and has the line as it was. @param {Source} past @param {number} line from 1 */
export function mark(past, line) {
  const isSame = past.code.split("\n")[line - 1] === editor.code().split("\n")[line - 1];
  if (past.language === shown && isSame && isKept(past)) editor.mark(line);
}

/** Put another program in place of the one that is shown. @param {string} code @param {number} [edition] */
function put(code, edition = ++editions) {
  editor.replace(code);
  editionOf[shown] = edition;
}

/** Show the draft of a language; the one shown before is kept. @param {string} name */
export function choose(name) {
  if (shown) save();
  shown = select.value = languageOf(name).name;
  drafts.set("language", shown);
  editor.show(shown, draft(shown));
}

/**
 * Put another program in place of the current one, and offer to take that back.
 * @param {Program} program
 * @param {string} sentence what has happened
 */
export function load(program, sentence) {
  const from = shown;
  choose(program.language);
  const undo = undoing(from);
  const [code, { line, text }] = [editor.code(), inputs.typed()];
  put(program.code);
  inputs.fill(program.args, program.stdin);
  const now = inputs.typed();
  const isLost = code !== program.code && code.trim() !== "";
  toast(sentence, isLost || (line && line !== now.line) || (text && text !== now.text) ? undo : undefined);
}

/** The button that brings back the draft as it is now, and what it is given. @param {string} from the language to show then */
function undoing(from) {
  const [{ language: name, code, edition }, typed] = [source(), inputs.typed()];
  const act = () => {
    choose(name);
    put(code, edition);
    inputs.put(typed);
    choose(from);
  };
  return { label: "Undo", act };
}

export function install() {
  const saveSoon = debounced(300, save);
  editor.onChange(saveSoon);
  addEventListener("pagehide", save);
  select.addEventListener("change", () => choose(select.value));
  byId("clear").addEventListener("click", () => {
    const undo = undoing(shown);
    const wasEmpty = !editor.code();
    put("");
    editor.focus();
    if (!wasEmpty) toast("Cleared.", undo);
  });
  choose(drafts.get("language") ?? languages[0].name);
}
