/** Server-sent events out of the body of a `fetch`. `EventSource` cannot POST. */

/**
 * Splits pieces of text into events. Comments and unknown fields are skipped, as the standard says.
 * @returns {(piece: string) => {event: string, data: string}[]}
 */
export function parser() {
  let rest = "";
  let event = "";
  /** @type {string[]} */
  let data = [];
  return (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    const events = [];
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (data.length) events.push({ event: event || "message", data: data.join("\n") });
        event = "";
        data = [];
      } else if (line.startsWith("event:")) event = line.slice(6).trimStart();
      else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
    return events;
  };
}

/**
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @returns {AsyncGenerator<{event: string, data: string}>}
 */
export async function* readEvents(body) {
  const parse = parser();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) yield* parse(piece.value);
}
