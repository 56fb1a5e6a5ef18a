/** The server's routes. Whatever goes wrong becomes a `Failure` that says what happened and what to do next. */
import { readEvents } from "./sse.js";

/** @typedef {import("./types.js").Result} Result */
/** @typedef {import("./types.js").PastRun} PastRun */

/** What is refused because nobody has signed in. */
export const KEY_REQUIRED = "key_required";

export class Failure extends Error {
  /**
   * @param {string} message
   * @param {string} code the server's slug, or `offline` or `lost`
   * @param {number} [retryAfter] seconds, when waiting helps
   */
  constructor(message, code, retryAfter = 0) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether it would go well for somebody who signs in. */
  get needsKey() {
    return this.code === KEY_REQUIRED;
  }
}

/** @param {unknown} problem */
export const isAbort = (problem) => problem instanceof DOMException && problem.name === "AbortError";

/** @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} only answers that went well */
async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (problem) {
    if (isAbort(problem)) throw problem;
    throw unreachable();
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

function unreachable() {
  return navigator.onLine
    ? new Failure("The server does not answer. Check that it is running, then try again.", "offline")
    : new Failure("This device is offline. Your code is kept; try again when the connection is back.", "offline");
}

/** The server's words, with the page's names of its fields, and of what is done here. @param {string} message @param {string} code */
function inWords(message, code) {
  if (code === KEY_REQUIRED) return "This server asks for a key: sign in first.";
  return message.replace(/`(\w+)`/g, (whole, field) => {
    const label = document.querySelector(`label[for="${field}"]`);
    return label ? `“${label.textContent}”` : whole;
  });
}

/** A time to wait, as the server says it: where the page counts it down, it would be said twice. */
const WAIT = / Try again in \d+ seconds\.$/;

/** @param {Response} response */
async function refusal(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  try {
    const body = await response.json();
    const code = String(body.code);
    const sentence = retryAfter ? String(body.error).replace(WAIT, "") : String(body.error);
    return new Failure(inWords(sentence, code), code, retryAfter);
  } catch {
    return new Failure(`The server answered ${response.status} without saying why.`, "unknown", retryAfter);
  }
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
export async function json(path, options) {
  return (await request(path, options)).json();
}

/** @param {unknown} value @returns {RequestInit} */
export const post = (value) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(value),
});

/**
 * Start a run and follow it to its end.
 * @param {string} path
 * @param {RequestInit} options
 * @param {{id: (id: string) => void, started: () => void,
 *   text: (stream: "stdout" | "stderr", text: string) => void,
 *   artifact: (artifact: import("./types.js").Artifact) => void}} on
 * @returns {Promise<Result>}
 */
export async function follow(path, options, on) {
  const headers = { ...options.headers, Accept: "text/event-stream" };
  const response = await request(path, { ...options, headers });
  on.id(response.headers.get("X-Run-Id") ?? "");
  try {
    for await (const { event, data } of readEvents(/** @type {any} */ (response.body))) {
      const value = JSON.parse(data);
      if (event === "started") on.started();
      else if (event === "stdout" || event === "stderr") on.text(event, value.text);
      else if (event === "artifact") on.artifact(value);
      else if (event === "result") return value;
      else if (event === "error") throw new Failure(value.error, value.code);
    }
  } catch (problem) {
    if (isAbort(problem) || problem instanceof Failure) throw problem;
  }
  throw new Failure("The connection broke while the program ran; it was stopped. Run it again.", "lost");
}

/** Stop a run from outside; one that has ended meanwhile is no problem. @param {string} id */
export async function cancel(id) {
  await fetch(`/runs/${encodeURIComponent(id)}`, { method: "DELETE" }).catch(() => undefined);
}
