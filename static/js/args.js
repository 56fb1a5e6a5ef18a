/** Command-line arguments as a person types them in a shell: spaces divide, quotes and backslashes keep together. */

const WORD = /\s+|(?<quoted>'[^']*'?|"(?:\\.|[^"\\])*"?)|(?<escaped>\\[^])|(?<plain>[^\s'"\\]+|\\$)/gu;

/** @param {string} line @returns {string[]} */
export function splitArgs(line) {
  /** @type {string[]} */
  const found = [];
  let isInside = false;
  for (const { 0: text, groups } of line.matchAll(WORD)) {
    const isSpace = /^\s/u.test(text);
    if (!isSpace && !isInside) found.push("");
    if (!isSpace) found[found.length - 1] += meaning(text, groups ?? {});
    isInside = !isSpace;
  }
  return found;
}

/** @param {string} text @param {Record<string, string>} groups */
function meaning(text, { quoted, escaped }) {
  if (escaped) return text[1] ?? "";
  if (!quoted) return text;
  const inner = text.slice(1, text.length > 1 && text.endsWith(text[0]) ? -1 : undefined);
  return text.startsWith("'") ? inner : inner.replace(/\\(["\\])/g, "$1");
}

/** @param {string} text one word for a shell @returns {string} */
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** @param {string[]} args @returns {string} the line that `splitArgs` takes apart into them */
export const joinArgs = (args) => args.map(quoted).join(" ");
