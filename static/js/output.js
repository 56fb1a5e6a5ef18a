/** What a run has written: kept whole, shown as two panels or as one, copied, saved, cleared. */
import { byId } from "./dom.js";
import { copyText } from "./clipboard.js";
import { size } from "./format.js";
import { Pane } from "./pane.js";
import { recall, remember } from "./store.js";
/** @import {Stream} from "./types.js" */

/** @type {{stream: Stream, text: string}[]} */
let written = [];
const texts = { stdout: "", stderr: "" };
const panes = { stdout: new Pane(byId("stdout")), stderr: new Pane(byId("stderr")), both: new Pane(byId("both")) };
const encoder = new TextEncoder();
let isCombined = false;

export function clear() {
  written = [];
  texts.stdout = texts.stderr = "";
  for (const pane of Object.values(panes)) pane.clear();
  showSizes();
}

/** @param {Stream} stream @param {string} text */
export function write(stream, text) {
  texts[stream] += text;
  written.push({ stream, text });
  (isCombined ? panes.both : panes[stream]).write(stream, text);
}

/**
 * The run is over: show what its result has beyond what was seen live, or instead of it.
 *
 * @param {string} output
 * @param {string} error
 */
export function settle(output, error) {
  if (!output.startsWith(texts.stdout) || !error.startsWith(texts.stderr)) clear();
  if (output.length > texts.stdout.length) write("stdout", output.slice(texts.stdout.length));
  if (error.length > texts.stderr.length) write("stderr", error.slice(texts.stderr.length));
  finish();
}

/** Nothing more follows. */
export function finish() {
  for (const pane of Object.values(panes)) pane.end();
  showSizes();
}

function showSizes() {
  const bytes = { stdout: encoder.encode(texts.stdout).length, stderr: encoder.encode(texts.stderr).length };
  const both = bytes.stdout + bytes.stderr;
  for (const [name, count] of Object.entries({ ...bytes, both })) {
    byId(`size-${name}`).textContent = count ? size(count) : "";
  }
}

/** The text of both streams, in the order it was written. */
const all = () => written.map(({ text }) => text).join("");

/** @param {boolean} combined */
function setView(combined) {
  isCombined = combined;
  remember("view", combined ? "combined" : "separate");
  byId("panes").dataset.view = combined ? "combined" : "separate";
  byId("view-separate").setAttribute("aria-pressed", String(!combined));
  byId("view-combined").setAttribute("aria-pressed", String(combined));
  byId("pane-stdout").hidden = byId("pane-stderr").hidden = combined;
  byId("pane-both").hidden = !combined;
  for (const pane of Object.values(panes)) pane.clear();
  for (const { stream, text } of written) (combined ? panes.both : panes[stream]).write(stream, text);
  for (const pane of Object.values(panes)) pane.end();
}

/** @param {boolean} wraps */
function setWrap(wraps) {
  remember("wrap", String(wraps));
  byId("panes").dataset.wrap = String(wraps);
  byId("output-wrap").setAttribute("aria-pressed", String(wraps));
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([all()], { type: "text/plain" }));
  link.download = "output.txt";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/**
 * @param {() => void} onClear
 * @param {(line: number) => void} onPlace a place in a traceback was chosen
 */
export function install(onClear, onPlace) {
  byId("view-separate").addEventListener("click", () => setView(false));
  byId("view-combined").addEventListener("click", () => setView(true));
  byId("output-wrap").addEventListener("click", () => setWrap(byId("panes").dataset.wrap !== "true"));
  byId("output-copy").addEventListener("click", () => copyText(all(), byId("output-copy")));
  byId("output-download").addEventListener("click", download);
  byId("output-clear").addEventListener("click", () => {
    clear();
    onClear();
  });
  byId("panes").addEventListener("click", ({ target }) => {
    if (target instanceof HTMLElement && target.dataset.line) onPlace(Number(target.dataset.line));
  });
  setWrap(recall("wrap") !== "false");
  setView(recall("view") === "combined");
}
