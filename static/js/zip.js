/** The panel for ZIP projects: choose or drop an archive, see its files, choose the entry. */
import { asked, languageOf, limits, ready } from "./config.js";
import { announce, byId, make } from "./dom.js";
import * as program from "./program.js";
import { proposeEntry } from "./project.js";
import { members } from "./zipfile.js";

/** More rows than this help nobody. */
const SHOWN_FILES = 200;

const input = /** @type {HTMLInputElement} */ (byId("zip-file"));
const entry = /** @type {HTMLInputElement} */ (byId("entry"));
/** @type {File | null} */
let archive = null;
/** @type {import("./zipfile.js").Member[]} */
let files = [];

/** @param {string} language @param {{args: string[], stdin: string}} given @returns {Promise<FormData>} @throws {Error} a sentence */
export async function form(language, given) {
  const file = chosen();
  await checkUnchanged(file);
  const data = new FormData();
  data.set("file", file, file.name);
  data.set("language", language);
  if (entryName()) data.set("entry", entryName());
  if (given.stdin) data.set("stdin", given.stdin);
  if (given.args.length) data.set("args", JSON.stringify(given.args));
  if (asked.artifacts) data.set("artifacts", JSON.stringify(asked.artifacts));
  return data;
}

/** @returns {File} @throws {Error} when there is none yet */
export function chosen() {
  if (!archive) throw new Error("Choose a ZIP archive first.");
  return archive;
}

export const entryName = () => entry.value.trim();

/** A browser reads a file only as it was when it was chosen; sending another one would look like a lost connection. */
async function checkUnchanged(/** @type {File} */ file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Error(`${file.name} has changed on disk since it was chosen. Choose it again.`);
  }
}

/** @param {File} file */
async function choose(file) {
  archive = null;
  files = [];
  try {
    if (file.size > limits.max_upload_bytes) {
      throw new Error(`${file.name} has ${file.size} bytes; the limit is ${limits.max_upload_bytes}.`);
    }
    files = members(await file.arrayBuffer());
    archive = file;
    adoptLanguage();
    show();
  } catch (problem) {
    complain(/** @type {Error} */ (problem).message);
  }
}

/** Switch to the language whose files the archive has, when only one has any. */
function adoptLanguage() {
  const fitting = ready.filter(({ extensions }) =>
    files.some(({ name }) => extensions.some((extension) => name.endsWith(extension))),
  );
  if (fitting.length === 1) program.choose(fitting[0].name);
}

/** @param {string} sentence */
function complain(sentence) {
  byId("zip-chosen").hidden = true;
  const problem = byId("zip-problem");
  problem.textContent = sentence;
  problem.hidden = false;
  announce(sentence);
}

function show() {
  byId("zip-problem").hidden = true;
  byId("zip-chosen").hidden = false;
  const count = `${files.length} ${files.length === 1 ? "file" : "files"}`;
  byId("zip-title").textContent = `${archive?.name}: ${count}`;
  const rows = files.slice(0, SHOWN_FILES).map(({ name, bytes }) =>
    make("li", {}, make("span", { class: "name" }, name), make("span", { class: "hint" }, `${bytes.toLocaleString("en")} B`)),
  );
  if (files.length > SHOWN_FILES) rows.push(make("li", {}, `and ${files.length - SHOWN_FILES} more`));
  byId("zip-files").replaceChildren(...rows);
  byId("entries").replaceChildren(...files.slice(0, SHOWN_FILES).map(({ name }) => make("option", { value: name })));
  propose();
  announce(`${archive?.name} has ${count}.`);
}

function propose() {
  entry.value = proposeEntry(files.map(({ name }) => name), languageOf(program.language()));
}

/** @param {{open: (file: File) => void}} on */
export function install(on) {
  const drop = byId("drop");
  byId("zip-open").addEventListener("click", () => on.open(chosen()));
  // The same file once more, packed again, is a choice too.
  input.addEventListener("click", () => (input.value = ""));
  input.addEventListener("change", () => void (input.files?.[0] && choose(input.files[0])));
  byId("language").addEventListener("change", () => void (archive && propose()));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const { files: dropped } = event.dataTransfer ?? {};
    if (!dropped?.length) return;
    input.files = dropped;
    choose(dropped[0]);
  });
}
