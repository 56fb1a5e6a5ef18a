/** The program being written: the page's textarea, upgraded in place to one that colours and indents. */
import {
  createEditor,
  defaultKeymap,
  editHistory,
  editorCommands,
  grammars,
  highlightBracketPairs,
  insertText,
  languageMap,
  matchBrackets,
} from "../vendor/editor.js";
import { languages, limits } from "./config.js";
import { byId, isTouch, make } from "./dom.js";

/** What comments a line out, by grammar: it is toggled even where the vendored library knows nothing of a language. */
function adoptComments() {
  for (const { page } of languages) {
    const known = languageMap[page.grammar];
    languageMap[page.grammar] = { ...known, comments: { ...known?.comments, line: page.comment } };
  }
}
adoptComments();

const editor = upgrade(/** @type {HTMLTextAreaElement} */ (byId("code")));
/** @type {(() => void)[]} */
const listeners = [];
/** How many characters may be written. */
let most = limits.max_code_characters;

/** @param {HTMLTextAreaElement} plain */
function upgrade(plain) {
  const upgraded = createEditor(null, { value: plain.value });
  const { textarea } = upgraded;
  for (const name of ["name", "aria-describedby"]) textarea.setAttribute(name, plain.getAttribute(name) ?? "");
  const hadFocus = document.activeElement === plain;
  plain.replaceWith(upgraded.container);
  textarea.id = plain.id;
  if (hadFocus) textarea.focus();
  const keymap = { ...defaultKeymap };
  // These run the program instead.
  delete keymap["Mod+Enter"];
  delete keymap["8+Enter"];
  upgraded.addExtensions(editorCommands(keymap), editHistory(), matchBrackets(false), highlightBracketPairs());
  upgraded.on("update", () => {
    clearMarks();
    countCharacters();
    for (const listener of listeners) listener();
  });
  return upgraded;
}

export const code = () => editor.value;
export const focus = () => editor.textarea.focus();

/** @param {() => void} listener called after every change, typed or not */
export const onChange = (listener) => listeners.push(listener);

/** Put `text` in place of everything; undo brings back what was there, unless that took a keyboard. @param {string} text */
export function replace(text) {
  const isShown = editor.textarea.getClientRects().length > 0;
  // A browser types into nothing that is hidden, and only into what has the focus.
  if (!isShown || isTouch()) put({ value: text });
  else if (text !== editor.value) insertText(editor, text, 0, editor.value.length, 0, 0);
  editor.container.scrollTo(0, 0);
}

const PLAIN = { grammar: "plain", tab_size: 4 };

/**
 * @param {import("./types.js").Language | undefined} language none: plain text
 * @param {string} text another one than before: no step that undo could take back
 */
export function show(language, text) {
  const { grammar, tab_size: tabSize } = language?.page ?? PLAIN;
  put({ language: grammar, tabSize, value: text });
  look({ cursor: 0, top: 0 });
  if (language && !(grammar in grammars)) fetchGrammars();
}

/** @param {number} characters that may be written */
export function allow(characters) {
  most = characters;
  countCharacters();
}

/** Colour what is shown as soon as the other grammars are here; without them it stays plain. */
async function fetchGrammars() {
  const isFetched = await import("../vendor/grammars.js").then(() => true, () => false);
  if (!isFetched || !(editor.options.language in grammars)) return;
  adoptComments();
  editor.update();
}

/** @typedef {{cursor: number, top: number}} View where somebody is in a text */

/** @returns {View} */
export const view = () => ({ cursor: editor.textarea.selectionStart, top: editor.container.scrollTop });

/** @param {View} view */
export function look({ cursor, top }) {
  putCursor(cursor);
  editor.container.scrollTop = top;
}

/** @param {number} at */
function putCursor(at) {
  editor.textarea.setSelectionRange(at, at);
  // As the editor does it: its own line is marked by an event that no browser sends for this.
  editor.textarea.dispatchEvent(new Event("selectionchange"));
}

/** @param {Parameters<typeof editor.setOptions>[0]} options */
function put(options) {
  editor.setOptions(options);
  countCharacters();
}

/** As the server counts: code points, not UTF-16 units. */
export function characters() {
  let count = 0;
  for (const _ of editor.value) count++;
  return count;
}

function countCharacters() {
  const counter = byId("counter");
  const count = characters();
  const counted = [count, most].filter(Number.isFinite).map((number) => number.toLocaleString("en")).join(" / ");
  counter.replaceChildren(counted, make("span", { class: "unit" }, " characters"));
  counter.classList.toggle("over", count > most);
}

export function clearMarks() {
  for (const line of document.querySelectorAll(".pce-line.failed")) line.classList.remove("failed");
}

/** @param {number} number the line to mark, from 1 */
export function mark(number) {
  clearMarks();
  editor.lines[number]?.classList.add("failed");
}

/** Put the cursor on a line and show it. @param {number} number from 1 */
export function goTo(number) {
  const before = editor.value.split("\n").slice(0, number - 1);
  const start = before.reduce((sum, line) => sum + line.length + 1, 0);
  if (!isTouch()) editor.textarea.focus({ preventScroll: true });
  putCursor(start);
  editor.lines[number]?.scrollIntoView({ block: "nearest" });
}
