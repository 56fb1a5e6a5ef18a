/** Where an error message points into the program that was typed here. */

/** What Python and Node write for a line of the single-file program. */
const PLACE = /File "\/app\/user_code\.py", line (\d+)|(?:file:\/\/)?\/app\/user_code\.js:(\d+)(?::\d+)?/g;

/**
 * The text as nodes, with a button for every place.
 *
 * @param {string} text
 * @returns {Node[]}
 */
export function linked(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(PLACE)) {
    nodes.push(document.createTextNode(text.slice(end, match.index)));
    const link = document.createElement("button");
    link.type = "button";
    link.className = "place";
    link.dataset.line = match[1] ?? match[2];
    link.textContent = match[0];
    link.title = `Go to line ${link.dataset.line}`;
    nodes.push(link);
    end = match.index + match[0].length;
  }
  nodes.push(document.createTextNode(text.slice(end)));
  return nodes;
}

/**
 * The line that the error is about: Python names it last, Node first.
 *
 * @param {string} text
 * @returns {number | null}
 */
export function culprit(text) {
  const places = [...text.matchAll(PLACE)];
  const match = places.at(-1)?.[1] ? places.at(-1) : places[0];
  return match ? Number(match[1] ?? match[2]) : null;
}
