/** The line above the output: badge, measures, the bar of time, and notices that say what to do next. */
import { limits } from "./config.js";
import { announce, byId, isNarrow, make } from "./dom.js";
import { duration, waiting } from "./result.js";

/** @typedef {import("./types.js").Tone} Tone */

const TICK_MILLISECONDS = 100;

/** @param {string} words @param {Tone} tone @param {string} [meta] */
export function badge(words, tone, meta = "") {
  const element = byId("badge");
  element.textContent = words;
  element.dataset.state = tone;
  byId("meta").textContent = meta;
}

/** @type {number | undefined} */
let clock;

/** Start the bar of time. */
export function startClock() {
  const began = performance.now();
  const bar = /** @type {HTMLProgressElement} */ (byId("elapsed"));
  const tick = () => {
    const passed = performance.now() - began;
    bar.value = Math.min(passed / 1000, limits.timeout_seconds);
    byId("meta").textContent = `${(passed / 1000).toFixed(1)} s of ${limits.timeout_seconds} s`;
  };
  stopClock();
  tick();
  clock = setInterval(tick, TICK_MILLISECONDS);
}

/** @param {number} [milliseconds] what the run took */
export function stopClock(milliseconds = 0) {
  clearInterval(clock);
  const bar = /** @type {HTMLProgressElement} */ (byId("elapsed"));
  bar.value = Math.min(milliseconds / 1000, limits.timeout_seconds);
}

/** Of each notice that counts down. @type {Record<string, number>} */
const countdowns = {};

/** @param {string} [id] which notice */
export function clearNotice(id = "notice") {
  clearInterval(countdowns[id]);
  const notice = byId(id);
  notice.hidden = true;
  notice.replaceChildren();
}

/** What is true only as long as no program can be run. */
export const OUTAGES = ["offline", "engine_unavailable", "image_missing", "engine_error"];

/** Programs can be run again: what says otherwise goes. @param {string[]} codes of what is over */
export function recover(codes) {
  for (const id of ["notice", "batch-notice"]) {
    const { hidden, dataset } = byId(id);
    if (hidden || !codes.includes(dataset.code ?? "")) continue;
    clearNotice(id);
    if (id === "notice") badge("Ready", "idle");
  }
}

/** On a screen of one column the result may be out of view. */
export function reveal() {
  if (isNarrow()) document.querySelector(".result")?.scrollIntoView({ block: "nearest" });
}

/**
 * Say what happened, with a button that tries again; with a countdown when the server named a time.
 * @param {import("./api.js").Failure} failure
 * @param {(() => void) | null} again null when trying again cannot help
 * @param {string} [id] which notice
 */
export function notice(failure, again, id = "notice") {
  const box = say(failure, id);
  announce(failure.message);
  if (!again) return;
  const label = failure.needsKey ? "Sign in" : "Try again";
  const button = make("button", { type: "button", onclick: () => (clearNotice(id), again()) }, label);
  const wait = make("span", { class: "wait" });
  box.append(wait, button);
  countDown(failure.retryAfter, wait, button, id);
}

/** Say what to do about a result, with a button that leads there. @param {string} sentence @param {string} label @param {() => void} act */
export function advise(sentence, label, act) {
  say({ message: sentence, code: "advice" }).append(make("button", { type: "button", onclick: act }, label));
}

/** @param {{message: string, code: string}} what @param {string} [id] which notice */
function say({ message, code }, id = "notice") {
  clearNotice(id);
  const box = byId(id);
  box.append(message);
  box.dataset.code = code;
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
  return box;
}

/** @param {number} seconds @param {HTMLElement} wait @param {HTMLButtonElement} button @param {string} id which notice */
function countDown(seconds, wait, button, id) {
  // By the clock: a browser lets the timers of a tab in the background rest.
  const end = Date.now() + seconds * 1000;
  const show = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    button.disabled = left > 0;
    wait.textContent = left > 0 ? ` Ready to try again in ${waiting(left)}.` : "";
    if (left <= 0) clearInterval(countdowns[id]);
  };
  countdowns[id] = setInterval(show, 1000);
  show();
}

/** @param {string} words @param {number} milliseconds @param {string} more */
export const spoken = (words, milliseconds, more) => `${[words, duration(milliseconds), more].filter(Boolean).join(", ")}.`;
