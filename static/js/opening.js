/** Files that somebody has chosen or dropped, as files of a program. They are read here and sent nowhere. */
import { fromBytes, toBytes } from "./base64.js";
import { limits } from "./config.js";
import { problemOf } from "./project.js";
import { unpack } from "./zipfile.js";

/** @typedef {import("./types.js").ProjectFile} ProjectFile */
/** @typedef {{path: string, blob: Blob}} Found */

/** What nobody means when they drop a folder. */
const NOISE = /(^|\/)(__MACOSX|\.git|__pycache__)\/|(^|\/)\.DS_Store$/;

/** @param {Iterable<File>} files @returns {Found[]} */
export const chosen = (files) => [...files].map((file) => ({ path: file.webkitRelativePath || file.name, blob: file }));

/** @param {DataTransfer} transfer @returns {Promise<Found[]>} what was dropped, folders with all that is in them */
export async function dropped(transfer) {
  // Asked for at once: when the event is over, the list is empty.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  /** @type {Found[]} */
  const found = [];
  for (const entry of entries) if (entry) await gather(entry, found);
  return found;
}

/** @param {FileSystemEntry | File} entry @param {Found[]} found */
async function gather(entry, found) {
  if (entry instanceof File) return void found.push(...chosen([entry]));
  if (entry.isDirectory) return gatherFolder(/** @type {FileSystemDirectoryEntry} */ (entry), found);
  const file = /** @type {FileSystemFileEntry} */ (entry);
  found.push({ path: entry.fullPath.slice(1), blob: await new Promise((done, failed) => file.file(done, failed)) });
}

/** @param {FileSystemDirectoryEntry} folder @param {Found[]} found @throws {Error} when there are too many */
async function gatherFolder(folder, found) {
  const reader = folder.createReader();
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const entries = await new Promise((done, failed) => reader.readEntries(done, failed)); // some at a time
    if (!entries.length) return;
    for (const entry of entries) if (!NOISE.test(`${entry.fullPath}/`)) await gather(entry, found);
    checkCount(found.length);
  }
}

/**
 * @param {Found[]} found
 * @returns {Promise<ProjectFile[]>} archives among them unpacked
 * @throws {Error} a sentence
 */
export async function read(found) {
  const contents = (await Promise.all(found.map(contentsOf))).flat().filter(({ path }) => !NOISE.test(path));
  if (!contents.length) throw new Error("There are no files in it.");
  checkCount(contents.length);
  for (const { path } of contents) {
    const problem = problemOf(path, []);
    if (problem) throw new Error(`${path}: ${problem}`);
  }
  return contents.map(({ path, content }) => ({ path, ...textOf(content) }));
}

/** Whether it is an archive of a project, and no file in one. @param {Found} found */
export const isArchive = ({ path }) => /^[^/]+\.zip$/i.test(path);

/** @param {number} count */
function checkCount(count) {
  const most = limits.max_archive_members;
  if (count > most) throw new Error(`There are more than ${most} files, which is the limit of a program.`);
}

/** @param {Found} found @returns {Promise<import("./zipfile.js").Content[]>} */
async function contentsOf(found) {
  const { path, blob } = found;
  if (blob.size > limits.max_archive_bytes) throw new Error(`${path} has ${blob.size} bytes; the limit is ${limits.max_archive_bytes}.`);
  const buffer = await blob.arrayBuffer().catch(() => {
    throw new Error(`${path} cannot be read. It may have changed since it was chosen.`);
  });
  return isArchive(found) ? unpack(buffer, limits.max_archive_bytes) : [{ path, content: new Uint8Array(buffer) }];
}

/** As text where it is text, the same to the byte. @param {Uint8Array} content @returns {{text: string} | {base64: string}} */
function textOf(content) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
    if (!text.includes("\0")) return { text };
  } catch {
    // Not UTF-8.
  }
  return { base64: fromBytes(content) };
}

/** @param {ProjectFile} file @returns {import("./zipfile.js").Content} */
export const contentOf = ({ path, text, base64 }) => ({
  path,
  content: text === undefined ? toBytes(base64 ?? "") : new TextEncoder().encode(text),
});

/** Without the one folder that all of them are in, if there is one. @param {ProjectFile[]} files */
export function withoutFolder(files) {
  const top = files[0].path.split("/")[0];
  if (!files.every(({ path }) => path.startsWith(`${top}/`))) return files;
  return files.map((file) => ({ ...file, path: file.path.slice(top.length + 1) }));
}
