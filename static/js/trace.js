/** Where errors point into the user's own files, and where they say what went wrong. */
import { languageOf, languages } from "./config.js";

/** @typedef {import("./types.js").Place} Place */
/** @typedef {Map<string, string>} Names what the files are called where the program runs -> on this page */

/** @param {string} text */
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/**
 * The pattern of a place with two groups, file and line: in a language's file, that of a single-file program stands for all.
 * @param {import("./types.js").Language} language
 * @param {Names} names
 */
function patternOf({ file_name, page }, names) {
  const longestFirst = [...names.keys()].sort((a, b) => b.length - a.length);
  return page.errors.place.replaceAll(escaped(file_name), () => `(${longestFirst.map(escaped).join("|")})`);
}

/** @param {string} text @param {Names} names @returns {(Place & {start: number, end: number})[]} places of every language: a program may start an interpreter of another one */
export function places(text, names) {
  if (!names.size) return [];
  const pattern = new RegExp(languages.map((language) => patternOf(language, names)).join("|"), "gm");
  return [...text.matchAll(pattern)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    ...placeOf(match, names),
  }));
}

/** @param {RegExpExecArray} match @param {Names} names @returns {Place} */
function placeOf([, ...groups], names) {
  const found = groups.filter(Boolean);
  // Some languages do not say which file it is: then it is the first, the entry.
  const file = found.length > 1 ? found[0] : [...names.keys()][0];
  return { path: names.get(file) ?? "", line: Number(found.at(-1)) };
}

/** @param {string} text @param {string | null} pattern null: found nowhere */
const matches = (text, pattern) => (pattern === null ? [] : [...text.matchAll(new RegExp(pattern, "gm"))]);

/** The place that the error is about, in a program of that language. @param {string} text @param {string} language @param {Names} names @returns {Place | null} */
export function failedPlace(text, language, names) {
  if (!names.size) return null;
  const { failed, report } = languageOf(language).page.errors;
  const found = matches(text.slice(matches(text, report).at(-1)?.index), patternOf(languageOf(language), names));
  const match = found.at(failed === "first" ? 0 : -1);
  return match ? placeOf(match, names) : null;
}

/** Where the message begins that more follows; -1 when the language says nothing after it. @param {string} text @param {string} language */
export function messageStart(text, language) {
  const { report, stack } = languageOf(language).page.errors;
  const last = matches(text, report).at(-1);
  if (last) return last.index + last[0].length;
  return stack === null ? -1 : text.search(new RegExp(stack, "m"));
}
