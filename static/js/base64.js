/** Bytes as text that JSON and addresses can carry (RFC 4648, section 4), and back. */

/** So many arguments a function can take at once everywhere. */
const PIECE_BYTES = 8192;

/** @param {string} base64 @returns {Uint8Array<ArrayBuffer>} @throws {DOMException} when it is none */
export const toBytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

/** @param {Uint8Array} bytes */
export function fromBytes(bytes) {
  let binary = "";
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(start, start + PIECE_BYTES));
  }
  return btoa(binary);
}
