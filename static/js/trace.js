/** Where a traceback points into the user's own file, and where it says what went wrong. */

/** Python, then Node. The file names are the ones the server gives to single-file programs. */
const PLACE = /File "\/app\/user_code\.py", line (\d+)|\/app\/user_code\.js:(\d+)(?::\d+)?/g;
/** How Node.js begins to report what nothing caught: a place, the line there, carets; the message comes next. */
const REPORT = /^.*:\d+\n.*\n[ \t]*\^+\n\n?/gm;
/** The line above the first call of a stack. */
const STACK = /^(?! {4}at ).*\n {4}at /m;

/** @param {string} text @returns {{start: number, end: number, line: number}[]} */
export function places(text) {
  return [...text.matchAll(PLACE)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    line: Number(match[1] ?? match[2]),
  }));
}

/** @param {string} text */
const lastReport = (text) => [...text.matchAll(REPORT)].at(-1);

/** The line that the error is about: Python names the innermost call last, Node first. @param {string} text */
export function failedLine(text) {
  if (text.includes('File "/app/user_code.py"')) return places(text).at(-1)?.line ?? null;
  return places(text.slice(lastReport(text)?.index ?? 0))[0]?.line ?? null;
}

/** Where in the errors of a Node.js program its message begins; -1 when there is none. @param {string} text */
export function messageStart(text) {
  const report = lastReport(text);
  return report ? report.index + report[0].length : text.search(STACK);
}
