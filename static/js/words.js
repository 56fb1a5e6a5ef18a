/** A line of arguments as a shell would split it: spaces separate, quotes and backslashes keep together. */

/** @param {string} line @returns {string[]} @throws {Error} when a quote is left open */
export function split(line) {
  /** @type {string[]} */
  const words = [];
  let word = "";
  let isWord = false;
  let quote = "";
  for (let index = 0; index < line.length; index++) {
    const letter = line[index];
    if (letter === "\\" && quote !== "'" && index + 1 < line.length) {
      word += line[++index];
      isWord = true;
    } else if (quote) {
      if (letter === quote) quote = "";
      else word += letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      isWord = true;
    } else if (/\s/.test(letter)) {
      if (isWord) words.push(word);
      word = "";
      isWord = false;
    } else {
      word += letter;
      isWord = true;
    }
  }
  if (quote) throw new Error(`The arguments have an open ${quote}.`);
  if (isWord) words.push(word);
  return words;
}

/** The line that `split` takes apart again. @param {string[]} words */
export const join = (words) => words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quoted(word))).join(" ");

/** One word for a POSIX shell. @param {string} word */
export const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;
