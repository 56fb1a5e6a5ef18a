/** What the program is given beside its code: arguments and standard input. */
import { limits } from "./config.js";
import { byId, debounced } from "./dom.js";
import { drafts } from "./store.js";
import { join, split } from "./words.js";

const args = /** @type {HTMLInputElement} */ (byId("args"));
const stdin = /** @type {HTMLTextAreaElement} */ (byId("stdin"));
const details = /** @type {HTMLDetailsElement} */ (byId("inputs"));

/** @returns {{args: string[], stdin: string}} @throws {Error} a sentence, when they cannot be sent */
export function read() {
  return checked(args.value, stdin.value);
}

/** @param {string} line @param {string} text */
export function checked(line, text) {
  const words = split(line);
  if (words.length > limits.max_args) {
    throw new Error(`There are ${words.length} arguments; the limit is ${limits.max_args}.`);
  }
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > limits.max_stdin_bytes) {
    throw new Error(`The standard input has ${bytes} bytes; the limit is ${limits.max_stdin_bytes}.`);
  }
  return { args: words, stdin: text };
}

/** @param {string[]} words @param {string} text */
export const fill = (words, text) => put({ line: join(words), text });

/** As typed, sound or not: for `put`. */
export const typed = () => ({ line: args.value, text: stdin.value });

/** @param {{line: string, text: string}} typed */
export function put({ line, text }) {
  args.value = line;
  stdin.value = text;
  if (line || text) details.open = true;
  summarise();
  save();
}

/** Whether something that was typed is gone when these are put in its place. @param {string[]} words @param {string} text */
export function willLose(words, text) {
  const now = typed();
  return Boolean((now.line && now.line !== join(words)) || (now.text && now.text !== text));
}

function save() {
  drafts.set("args", args.value);
  drafts.set("stdin", stdin.value);
}

function summarise() {
  const parts = [];
  if (args.value.trim()) parts.push("arguments");
  if (stdin.value) parts.push(`${stdin.value.length.toLocaleString("en")} characters of input`);
  byId("inputs-summary").textContent = parts.length ? `(${parts.join(", ")})` : "";
}

/** Show where input is written. */
export function focus() {
  details.open = true;
  stdin.focus();
}

export function install() {
  const saveSoon = debounced(300, save);
  for (const field of [args, stdin]) {
    field.addEventListener("input", summarise);
    field.addEventListener("input", saveSoon);
  }
  addEventListener("pagehide", save);
  put({ line: drafts.get("args") ?? "", text: drafts.get("stdin") ?? "" });
}
