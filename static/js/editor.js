/**
 * The program being written: the page's own textarea, turned in place into an editor that colours and indents.
 *
 * The library takes over a textarea that already lies in its kind of box, as it does after rendering on a server,
 * so that box is built around ours, which keeps its name, label and text.
 */
import {
  defaultKeymap,
  editHistory,
  editorCommands,
  highlightBracketPairs,
  insertText,
  matchBrackets,
  mountEditorsUnder,
} from "../vendor/editor.js";
import { byId, make } from "./dom.js";

/** Grammars by the server's names for languages. */
const GRAMMARS = /** @type {Record<string, string>} */ ({ python: "python", node: "javascript" });
const TAB_SIZES = /** @type {Record<string, number>} */ ({ python: 4, node: 2 });

const textarea = byId("code", HTMLTextAreaElement);
const editor = upgrade();
/** @type {Set<() => void>} */
const listeners = new Set();
let isLoading = false;

function upgrade() {
  const parent = /** @type {HTMLElement} */ (textarea.parentElement);
  const text = textarea.value;
  const overlays = make("div", { class: "pce-overlays" });
  const line = make("div", { class: "pce-line", "aria-hidden": "true" }, "\n");
  const box = make("div", { class: "prism-code-editor language-python show-line-numbers pce-nowrap", "data-options": "{}" });
  box.append(make("div", { class: "pce-wrapper" }, overlays, line));
  box.style.tabSize = "4";
  parent.append(box);
  textarea.className = "pce-textarea";
  textarea.value = "";
  textarea.textContent = "";
  overlays.append(textarea);
  const keymap = /** @type {Record<string, any>} */ ({ ...defaultKeymap });
  // These run the program instead.
  delete keymap["Mod+Enter"];
  delete keymap["8+Enter"];
  const extensions = [editorCommands(keymap), editHistory(), matchBrackets(false), highlightBracketPairs()];
  const [mounted] = mountEditorsUnder(parent, () => extensions);
  mounted.setOptions({ value: text });
  mounted.on("update", () => changed());
  return mounted;
}

function changed() {
  clearMark();
  for (const listener of listeners) listener();
}

/** @param {() => void} listener called after every change, by hand or not */
export const onChange = (listener) => listeners.add(listener);

/** Whether the change that listeners hear of was made by the page and not by typing. */
export const isBeingLoaded = () => isLoading;

export const code = () => textarea.value;

/** @param {string} text the new program; what was there and its undo steps are gone */
export function load(text) {
  isLoading = true;
  editor.setOptions({ value: text });
  isLoading = false;
  textarea.setSelectionRange(0, 0);
  editor.container.scrollTo(0, 0);
}

/** @param {string} text put in place of everything, so that undo brings back what was there */
export function replace(text) {
  insertText(editor, text, 0, textarea.value.length, 0, 0);
  editor.container.scrollTo(0, 0);
}

/** @param {string} language */
export function setLanguage(language) {
  editor.setOptions({ language: GRAMMARS[language] ?? "text", tabSize: TAB_SIZES[language] ?? 4 });
}

function clearMark() {
  for (const line of editor?.container.querySelectorAll(".marked") ?? []) line.classList.remove("marked");
}

/** @param {number} number the line to mark, from 1 */
export function markLine(number) {
  clearMark();
  const line = editor.lines[number];
  line?.classList.add("marked");
  line?.scrollIntoView({ block: "nearest" });
}

/** @param {number} number the line to put the cursor on, from 1 */
export function goToLine(number) {
  const start = textarea.value.split("\n").slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
  textarea.focus();
  textarea.setSelectionRange(start, start);
  markLine(number);
}
