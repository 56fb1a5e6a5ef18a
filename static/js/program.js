/** The program in the editor: its language, its drafts, and what puts another one in its place. */
import { languageOf, languages } from "./config.js";
import { byId, debounced, toast } from "./dom.js";
import * as editor from "./editor.js";
import * as inputs from "./inputs.js";
import { drafts } from "./store.js";

/** @typedef {import("./types.js").Program} Program */

const select = /** @type {HTMLSelectElement} */ (byId("language"));
const WELCOME = /** @type {Record<string, string>} */ ({
  python: 'name = "world"\nprint(f"Hello, {name}!")\n',
  node: 'const name = "world";\nconsole.log(`Hello, ${name}!`);\n',
});

let shown = "";

export const language = () => select.value;

/** @returns {Program} @throws {Error} a sentence, when arguments or input cannot be sent */
export const current = () => ({ language: language(), code: editor.code(), ...inputs.read() });

const draft = (/** @type {string} */ name) => drafts.get(`draft.${name}`) ?? WELCOME[name] ?? "";
const save = () => drafts.set(`draft.${shown}`, editor.code());

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
  editor.replace(program.code);
  inputs.fill(program.args, program.stdin);
  const now = inputs.typed();
  const isLost = code !== program.code && code.trim() !== "";
  toast(sentence, isLost || (line && line !== now.line) || (text && text !== now.text) ? undo : undefined);
}

/** The button that brings back the draft as it is now, and what it is given. @param {string} from the language to show then */
function undoing(from) {
  const [name, code, typed] = [shown, editor.code(), inputs.typed()];
  const act = () => {
    choose(name);
    editor.replace(code);
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
    editor.replace("");
    editor.focus();
    if (!wasEmpty) toast("Cleared.", undo);
  });
  choose(drafts.get("language") ?? languages[0].name);
}
