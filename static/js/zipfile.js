/** ZIP archives, as far as projects need them: read from the central directory, written without compression (APPNOTE.TXT, 4.3). */

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const LONGEST_COMMENT = 0xffff;
const ENCRYPTED_FLAG = 1;
const UTF8_FLAG = 0x800;
const STORED = 0;
const DEFLATED = 8;

/** @typedef {{name: string, bytes: number, packedBytes: number, method: number, flags: number, position: number}} Member */
/** @typedef {{path: string, content: Uint8Array<ArrayBuffer>}} Content */

// --- Reading ---------------------------------------------------------------------------------------------

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
    const member = memberAt(view, position);
    if (!member.name.endsWith("/")) found.push(member);
    position += ENTRY_BYTES + [28, 30, 32].reduce((sum, at) => sum + view.getUint16(position + at, true), 0);
  }
  return found;
}

/** @param {DataView} view @param {number} position of its entry in the directory @returns {Member} */
function memberAt(view, position) {
  const flags = view.getUint16(position + 8, true);
  return {
    name: decode(view, position + ENTRY_BYTES, view.getUint16(position + 28, true), flags),
    flags,
    method: view.getUint16(position + 10, true),
    packedBytes: view.getUint32(position + 20, true),
    bytes: view.getUint32(position + 24, true),
    position: view.getUint32(position + 42, true),
  };
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
 * What is in the files of an archive.
 * @param {ArrayBuffer} buffer
 * @param {number} mostBytes that they may have together
 * @returns {Promise<Content[]>}
 * @throws {Error} a sentence
 */
export async function unpack(buffer, mostBytes) {
  const found = members(buffer);
  const bytes = found.reduce((sum, member) => sum + member.bytes, 0);
  if (bytes > mostBytes) throw new Error(`The archive has ${bytes} bytes when unpacked; the limit is ${mostBytes}.`);
  /** @type {Content[]} */
  const contents = [];
  for (const member of found) contents.push({ path: member.name, content: await contentOf(buffer, member) });
  return contents;
}

/** @param {ArrayBuffer} buffer @param {Member} member */
async function contentOf(buffer, member) {
  const packed = packedOf(buffer, member);
  if (member.method === STORED) return packed;
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return whole(stream, member.bytes).catch(() => Promise.reject(damaged()));
}

/** @param {ArrayBuffer} buffer @param {Member} member @throws {Error} when it cannot be read */
function packedOf(buffer, { name, flags, method, packedBytes, position }) {
  if (flags & ENCRYPTED_FLAG) throw new Error(`${name} is encrypted.`);
  if (method !== STORED && method !== DEFLATED) throw new Error(`${name} is packed in a way that browsers do not know.`);
  const view = new DataView(buffer);
  if (position + LOCAL_BYTES > buffer.byteLength || view.getUint32(position, true) !== LOCAL_SIGNATURE) throw damaged();
  const start = position + LOCAL_BYTES + view.getUint16(position + 26, true) + view.getUint16(position + 28, true);
  if (start + packedBytes > buffer.byteLength) throw damaged();
  return new Uint8Array(buffer.slice(start, start + packedBytes));
}

/** @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream @param {number} bytes that the directory says @throws {Error} when there are others */
async function whole(stream, bytes) {
  const content = new Uint8Array(bytes);
  const reader = stream.getReader();
  let length = 0;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    content.set(piece.value, length); // a RangeError when they are more
    length += piece.value.length;
  }
  if (length !== bytes) throw damaged();
  return content;
}

// --- Writing ---------------------------------------------------------------------------------------------

/** @param {Content[]} contents @returns {Blob} an archive of them */
export function pack(contents) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let position = 0;
  for (const { path, content } of contents) {
    const name = new TextEncoder().encode(path);
    const header = common(name.length, content);
    parts.push(bytesOf([LOCAL_SIGNATURE, 4], ...header), name, content);
    // Made by version 2.0; no comment, disk 0, no attributes, its place.
    directory.push(bytesOf([ENTRY_SIGNATURE, 4], [20, 2], ...header, [0, 2], [0, 2], [0, 2], [0, 4], [position, 4]), name);
    position += LOCAL_BYTES + name.length + content.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const [count, all] = [contents.length, [...parts, ...directory]];
  const end = bytesOf([END_SIGNATURE, 4], [0, 2], [0, 2], [count, 2], [count, 2], [size, 4], [position, 4], [0, 2]);
  return new Blob([...all, end], { type: "application/zip" });
}

/** What both headers of a file say: needs version 2.0, names are UTF-8, stored, 1 January 1980. @param {number} nameLength @param {Uint8Array} content @returns {[number, number][]} */
const common = (nameLength, content) => [
  [20, 2], [UTF8_FLAG, 2], [STORED, 2], [0, 2], [0x21, 2],
  [crc32(content), 4], [content.length, 4], [content.length, 4], [nameLength, 2], [0, 2],
];

/** @param {...[number, number]} fields value and size of each, in bytes */
function bytesOf(...fields) {
  const bytes = [];
  for (const [value, size] of fields) for (let index = 0; index < size; index++) bytes.push((value >>> (8 * index)) & 0xff);
  return new Uint8Array(bytes);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
