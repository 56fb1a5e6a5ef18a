/** Where errors point into the user's own file, and where they say what went wrong. */
import { languageOf, languages } from "./config.js";

/** The places of every language: a program may start an interpreter of another one. */
const PLACE = new RegExp(languages.map(({ page }) => page.errors.place).join("|"), "gm");

/** @param {string} text @returns {{start: number, end: number, line: number}[]} */
export function places(text) {
  return [...text.matchAll(PLACE)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    line: lineOf(match),
  }));
}

/** @param {RegExpExecArray} match of a place */
const lineOf = ([, ...lines]) => Number(lines.find(Boolean));

/** @param {string} text @param {string | null} pattern null: found nowhere */
const matches = (text, pattern) => (pattern === null ? [] : [...text.matchAll(new RegExp(pattern, "gm"))]);

/** The line that the error is about, in the file of a program of that language. @param {string} text @param {string} language */
export function failedLine(text, language) {
  const { place, failed, report } = languageOf(language).page.errors;
  const found = matches(text.slice(matches(text, report).at(-1)?.index), place);
  const match = found.at(failed === "first" ? 0 : -1);
  return match ? lineOf(match) : null;
}

/** Where the message begins that more follows; -1 when the language says nothing after it. @param {string} text @param {string} language */
export function messageStart(text, language) {
  const { report, stack } = languageOf(language).page.errors;
  const last = matches(text, report).at(-1);
  if (last) return last.index + last[0].length;
  return stack === null ? -1 : text.search(new RegExp(stack, "m"));
}
