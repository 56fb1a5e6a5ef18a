/** The list of files of a ZIP archive, read from its central directory (APPNOTE.TXT, sections 4.3.12 and 4.3.16). */

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LONGEST_COMMENT = 0xffff;
const UTF8_FLAG = 0x800;

/** @typedef {{name: string, bytes: number}} Member */

/**
 * @param {ArrayBuffer} buffer the whole archive
 * @returns {Member[]} its files, without folders
 * @throws {Error} when it has no central directory
 */
export function members(buffer) {
  const view = new DataView(buffer);
  const end = findEnd(view);
  const count = view.getUint16(end + 10, true);
  let position = view.getUint32(end + 16, true);
  /** @type {Member[]} */
  const found = [];
  for (let index = 0; index < count; index++) {
    if (position + ENTRY_BYTES > end || view.getUint32(position, true) !== ENTRY_SIGNATURE) throw damaged();
    const nameLength = view.getUint16(position + 28, true);
    const name = decode(view, position + ENTRY_BYTES, nameLength, view.getUint16(position + 8, true));
    if (!name.endsWith("/")) found.push({ name, bytes: view.getUint32(position + 24, true) });
    position += ENTRY_BYTES + nameLength + view.getUint16(position + 30, true) + view.getUint16(position + 32, true);
  }
  return found;
}

const damaged = () => new Error("This is not a ZIP archive, or it is damaged.");

/** @param {DataView} view */
function findEnd(view) {
  const first = Math.max(0, view.byteLength - END_BYTES - LONGEST_COMMENT);
  for (let position = view.byteLength - END_BYTES; position >= first; position--) {
    if (view.getUint32(position, true) === END_SIGNATURE) return position;
  }
  throw damaged();
}

/** @param {DataView} view @param {number} start @param {number} length @param {number} flags */
function decode(view, start, length, flags) {
  if (start + length > view.byteLength) throw damaged();
  // Without the flag it is code page 437; its ASCII half is what names are made of.
  const label = flags & UTF8_FLAG ? "utf-8" : "latin1";
  return new TextDecoder(label).decode(new Uint8Array(view.buffer, start, length));
}

/**
 * The entry that the server would choose, or the best guess of one.
 * @param {Member[]} files
 * @param {import("./types.js").Language} language
 */
export function proposeEntry(files, language) {
  const names = files.map(({ name }) => name).filter((name) => !name.startsWith("__MACOSX/"));
  const fitting = names.filter((name) => language.extensions.some((extension) => name.endsWith(extension)));
  const depth = (/** @type {string} */ name) => name.split("/").length;
  for (const wanted of language.entry_names) {
    const same = fitting.filter((name) => name.split("/").at(-1) === wanted).sort((a, b) => depth(a) - depth(b));
    if (same.length) return same[0];
  }
  return fitting.length === 1 ? fitting[0] : "";
}
