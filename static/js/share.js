/**
 * Links and commands that carry the program. The code is in the address behind the #, which browsers never send;
 * opening such a link puts the program into the editor and runs nothing.
 */
import { fromBytes, toBytes } from "./base64.js";
import { asked, languages, limits } from "./config.js";
import { copyText } from "./copy.js";
import { byId } from "./dom.js";
import * as me from "./me.js";
import * as program from "./program.js";
import { problemOf } from "./project.js";
import * as tabs from "./tabs.js";
import { toast } from "./toast.js";
import { quoted } from "./words.js";
import * as zip from "./zip.js";

/** @typedef {import("./types.js").Program} Program */

const KEY = "p=";
/** Of a link, and of a command: the first gets lost on its way, the second is more than one can be given. */
const MOST_CHARACTERS = 100_000;
/** A link that unpacks to more than this is a bomb or a mistake. */
const MOST_BYTES = 4 * (limits.max_code_characters * 4 + limits.max_stdin_bytes);

const tooLarge = () => new Error("The program is too large for a link. Download it as a ZIP.");

/** @param {Program} value @returns {Promise<string>} @throws {Error} a sentence, when `unpack` would not take it */
export async function pack(value) {
  const { language, code, files, entry, args, stdin } = value;
  const text = JSON.stringify({ l: language, c: code, f: files, e: entry, a: args, i: stdin });
  if (text.length > MOST_BYTES) throw tooLarge();
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return fromBytes(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} packed @returns {Promise<Program>} @throws {Error} when it is no program */
export async function unpack(packed) {
  const bytes = toBytes(packed.replaceAll("-", "+").replaceAll("_", "/"));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const value = JSON.parse(await bounded(stream));
  const isProgram =
    languages.some(({ name }) => name === value?.l) &&
    (typeof value.c === "string" || areFiles(value.f, value.e)) &&
    typeof value.i === "string" &&
    Array.isArray(value.a) &&
    value.a.every((/** @type {unknown} */ word) => typeof word === "string");
  if (!isProgram) throw new Error("not a program");
  return { language: value.l, code: value.c, files: value.f, entry: value.e, args: value.a, stdin: value.i };
}

/** @param {any} files @param {unknown} entry */
const areFiles = (files, entry) =>
  Object.keys(files ?? {}).includes(String(entry)) &&
  Object.entries(files).every(([path, file]) => !problemOf(path, []) && (typeof file === "string" || typeof file?.base64 === "string"));

/** @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream */
async function bounded(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    text += decoder.decode(piece.value, { stream: true });
    if (text.length > MOST_BYTES) throw new Error("too large");
  }
  return text + decoder.decode();
}

/** Put the program of the address into the editor. */
async function open() {
  const fragment = location.hash.slice(1);
  if (!fragment.startsWith(KEY)) return;
  try {
    const opened = await unpack(fragment.slice(KEY.length));
    tabs.choose("code");
    program.load(opened, "Opened from a link; nothing was run. Read it before you run it.");
  } catch {
    toast("This link does not hold a program; it may have been cut off.");
  }
  // Reloading shall show the draft, not the link again.
  history.replaceState(null, "", location.pathname);
}

async function copyLink() {
  const packed = await pack(program.current());
  if (packed.length > MOST_CHARACTERS) throw tooLarge();
  const link = `${location.origin}${location.pathname}#${KEY}${packed}`;
  copyText(link, "Link copied. It holds the program itself; no server has seen it.");
}

/** Whether a terminal has to say whose run it is. */
const takesKey = () => me.keyName() !== "" || me.current().key_required;

/** The words of a command for that route. The shell puts the key in: it is nowhere in the page. @param {string} path */
const request = (path) =>
  `curl -sS ${location.origin}${path}${takesKey() ? ' -H "Authorization: Bearer $SCE_KEY"' : ""}`;

/** @param {Program} value @returns {string} a command for a POSIX shell @throws {Error} when it would be too long */
export function curl(value) {
  const { language, code, files, entry, stdin, args } = value;
  const body = { code, files, entry, language, ...(stdin && { stdin }), ...(args.length && { args }), ...asked };
  const json = quoted(JSON.stringify(body));
  if (json.length > MOST_CHARACTERS) throw new Error("The program is too large for a command. Download it as a ZIP.");
  return `${request("/run")} -H 'Content-Type: application/json' --data-binary ${json}`;
}

/** @param {Program} value @param {string} file @param {string} entry */
export function curlZip({ language, stdin, args }, file, entry) {
  const fields = [`file=@${quoted(file)}`, `language=${language}`];
  if (entry) fields.push(`entry=${entry}`);
  const form = fields.map((field, index) => `-F ${index ? quoted(field) : field}`);
  if (stdin) form.push(`--form-string ${quoted(`stdin=${stdin}`)}`);
  if (args.length) form.push(`--form-string ${quoted(`args=${JSON.stringify(args)}`)}`);
  if (asked.artifacts) form.push(`--form-string ${quoted(`artifacts=${JSON.stringify(asked.artifacts)}`)}`);
  return `${request("/run-zip")} ${form.join(" ")}`;
}

/** @param {() => void} action shows as a toast what `program.current` complains about */
function guarded(action) {
  return async () => {
    try {
      await action();
    } catch (problem) {
      toast(/** @type {Error} */ (problem).message);
    }
  };
}

export function install() {
  const command = () =>
    tabs.mode() === "zip" ? curlZip(program.current(), zip.chosen().name, zip.entryName()) : curl(program.current());
  byId("share").addEventListener("click", guarded(copyLink));
  const done = () => `curl command copied.${takesKey() ? " Set SCE_KEY to your key before you run it." : ""}`;
  byId("curl").addEventListener("click", guarded(() => copyText(command(), done())));
  addEventListener("hashchange", open);
  open();
}
