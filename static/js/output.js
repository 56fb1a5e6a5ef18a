/** What a run has written: kept whole, shown as two panels or as one; copied, saved, cleared. */
import { copyText } from "./copy.js";
import { byId, isNarrow } from "./dom.js";
import { Pane } from "./pane.js";
import { save } from "./save.js";
import { local } from "./store.js";
import { toast } from "./toast.js";
import { messageStart } from "./trace.js";

/** @typedef {import("./types.js").StreamName} StreamName */

/** Longer texts are not searched for places in the program: that would be felt. */
const LINKED_CHARACTERS = 200_000;

const panes = {
  stdout: new Pane(byId("output"), false),
  stderr: new Pane(byId("error"), false),
  both: new Pane(byId("combined"), true),
};
/** What the compiler said is no output of the program. */
const compiler = new Pane(byId("compile-output"), false);
let compiled = "";
/** What the files are called that errors may lead to. @type {() => import("./trace.js").Names} */
let names = () => new Map();
/** @type {{stream: StreamName, text: string}[]} */
let written = [];
let texts = { stdout: "", stderr: "" };
let isCombined = false;
let hasEnded = true;

export function clear() {
  written = [];
  texts = { stdout: "", stderr: "" };
  hasEnded = false;
  showCompiler("");
  for (const pane of Object.values(panes)) pane.clear();
  sayEmpty("What the program prints appears here.", "Errors and tracebacks appear here.");
}

/** What an empty panel says. @param {string} output @param {string} error */
function sayEmpty(output, error) {
  panes.stdout.root.dataset.empty = panes.both.root.dataset.empty = output;
  panes.stderr.root.dataset.empty = error;
}

/** @param {StreamName} stream @param {string} text */
export function write(stream, text) {
  if (!text) return;
  texts[stream] += text;
  written.push({ stream, text });
  show(stream, text);
}

/** @param {StreamName} stream @param {string} text */
function show(stream, text) {
  if (isCombined) panes.both.write(stream, text);
  else panes[stream].write(stream, text);
}

/**
 * The run is over: show what its result has beyond what was seen live, or the result instead of it.
 * @param {string} output
 * @param {string} error
 */
export function settle(output, error) {
  if (!output.startsWith(texts.stdout) || !error.startsWith(texts.stderr)) clear();
  write("stdout", output.slice(texts.stdout.length));
  write("stderr", error.slice(texts.stderr.length));
  sayEmpty("The program printed nothing.", "No errors.");
  end();
}

/** Show a result of before: from its beginning. @param {string} output @param {string} error */
export function showWhole(output, error) {
  clear();
  settle(output, error);
  for (const pane of Object.values(panes)) pane.showTop();
}

/** Say what the compiler said, if anything. @param {string} text @param {boolean} [hasFailed] so that nothing was run */
export function showCompiler(text, hasFailed = false) {
  compiled = text;
  compiler.clear();
  byId("compile").hidden = !text;
  compiler.write("stderr", text);
  compiler.showTop();
  if (text.length <= LINKED_CHARACTERS) compiler.link(names());
  if (hasFailed) sayEmpty("The program was not started.", "It does not compile.");
}

/** Nothing more will be written. */
export function end() {
  hasEnded = true;
  const pane = isCombined ? panes.both : panes.stderr;
  const length = texts.stderr.length + (isCombined ? texts.stdout.length : 0);
  if (texts.stderr && length <= LINKED_CHARACTERS) pane.link(names());
}

/** Show what went wrong: a stack may follow it, and it may be below much else. @param {string} language of the program */
export function showMessage(language) {
  (isCombined ? panes.both : panes.stderr).showFrom((text) => messageStart(text, language));
}

/** As the program wrote it, for a file. */
const all = () => compiled + (isCombined ? written.map(({ text }) => text).join("") : texts.stdout + texts.stderr);
/** As it is read: without codes. */
const readable = () => compiler.text() + (isCombined ? panes.both.text() : panes.stdout.text() + panes.stderr.text());
export const errorText = () => texts.stderr;

/** @param {boolean} combined */
function setView(combined) {
  isCombined = combined;
  local.set("view", combined ? "combined" : "separate");
  byId("separate").hidden = combined;
  byId("together").hidden = !combined;
  byId("view-separate").setAttribute("aria-pressed", String(!combined));
  byId("view-combined").setAttribute("aria-pressed", String(combined));
  for (const pane of Object.values(panes)) pane.clear();
  for (const { stream, text } of written) show(stream, text);
  if (hasEnded) end();
}

/** @param {boolean} wraps */
function setWrap(wraps) {
  local.set("wrap", String(wraps));
  for (const id of ["separate", "together"]) byId(id).classList.toggle("wrapped", wraps);
  byId("wrap").setAttribute("aria-pressed", String(wraps));
}

/** @param {DOMStringMap} data of a button @returns {import("./types.js").Place} */
const placeOf = ({ path = "", line }) => ({ path, line: Number(line) });

const download = () => save(new Blob([all()], { type: "text/plain" }), "output.txt");

/** @param {{cleared: () => void, goTo: (place: import("./types.js").Place) => void, names: typeof names}} on */
export function install(on) {
  names = on.names;
  byId("view-separate").addEventListener("click", () => setView(false));
  byId("view-combined").addEventListener("click", () => setView(true));
  byId("wrap").addEventListener("click", () => setWrap(byId("wrap").getAttribute("aria-pressed") !== "true"));
  byId("copy").addEventListener("click", () =>
    all() ? copyText(readable(), "Output copied.") : toast("There is no output to copy."),
  );
  byId("download").addEventListener("click", () => (all() ? download() : toast("There is no output to save.")));
  byId("clear-output").addEventListener("click", on.cleared);
  for (const { root } of [compiler, ...Object.values(panes)]) {
    root.addEventListener("click", ({ target }) => {
      if (target instanceof HTMLElement && target.dataset.line) on.goTo(placeOf(target.dataset));
    });
  }
  const wraps = local.get("wrap");
  // A traceback or a table is truer unwrapped; on a phone it could not be read.
  setWrap(wraps === null ? isNarrow() : wraps === "true");
  setView(local.get("view") === "combined");
}
