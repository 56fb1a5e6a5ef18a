/** Where a traceback points into the user's own file. */

/** Python, then Node. The file names are the ones the server gives to single-file programs. */
const PLACE = /File "\/app\/user_code\.py", line (\d+)|\/app\/user_code\.js:(\d+)(?::\d+)?/g;

/** @param {string} text @returns {{start: number, end: number, line: number}[]} */
export function places(text) {
  return [...text.matchAll(PLACE)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
    line: Number(match[1] ?? match[2]),
  }));
}

/** The line that the error is about: Python names the innermost call last, Node first. @param {string} text */
export function failedLine(text) {
  const found = places(text);
  const chosen = text.includes('File "/app/user_code.py"') ? found.at(-1) : found[0];
  return chosen?.line ?? null;
}
