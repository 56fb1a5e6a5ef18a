/** Running: one program at a time. A new run replaces the old one; Stop kills the container. */
import * as api from "./api.js";
import { Artifacts } from "./artifacts.js";
import { byId, announce } from "./dom.js";
import * as inputs from "./inputs.js";
import * as output from "./output.js";
import * as program from "./program.js";
import { compilerText, lacksInput, measures, verdict } from "./result.js";
import * as signin from "./signin.js";
import * as status from "./status.js";
import { session } from "./store.js";
import { failedPlace } from "./trace.js";

/** @typedef {import("./types.js").Result} Result */
/** @typedef {import("./types.js").Source} Source */
/** @typedef {{path: string, options: RequestInit, source: Source | null}} Order the source of no archive */

/** How long a stopped run may take to send its result. */
const STOP_MILLISECONDS = 4000;
/** A second click within this time of one that ran or stopped a program is the same double click. */
const DOUBLE_CLICK_MILLISECONDS = 400;
/** The session's note that the page was left while a run was under way. */
const RUNNING = "running";

/** While it runs nobody can be asked. */
const ASKS = "The program asked for more input than it was given. Write it before you run: a line for each question.";

/** @type {{id: string, isStopping: boolean, controller: AbortController} | null} */
let running = null;
/** @type {(isFine: boolean) => void} called after each run, and told whether it left a result */
let finished = () => {};

/** The page is being left; the browser breaks the connection, and the note must outlive that. */
let isLeaving = false;

/** Written no earlier: a copy of this tab, made while the program runs, has not been reloaded. */
function noteLeaving() {
  isLeaving = true;
  if (running?.id) session.set(RUNNING, running.id);
}

/** The program whose output is shown. @type {Source | null} */
let shown = null;
const made = new Artifacts(byId("artifacts"));

export const isRunning = () => running !== null;
/** The program that the places in tracebacks belong to. */
export const source = () => shown;
/** @returns {import("./trace.js").Names} what its files are called */
export const names = () => (shown ? program.places(shown) : new Map());

/** @param {() => Promise<Order>} order what to run; fails with a sentence when that cannot be run */
export async function start(order) {
  abandon();
  const mine = { id: "", isStopping: false, controller: new AbortController() };
  running = mine;
  begin();
  /** @type {Order} */
  let next;
  try {
    next = await order();
  } catch (problem) {
    if (running === mine) refuse(/** @type {Error} */ (problem).message);
    return;
  }
  if (running !== mine) return;
  shown = next.source;
  try {
    const result = await api.follow(next.path, { ...next.options, signal: mine.controller.signal }, {
      id(id) {
        mine.id = id;
        if (mine.isStopping) api.cancel(id);
      },
      started() {
        if (running !== mine) return;
        status.badge("Running", "running");
        status.startClock();
      },
      text: (stream, text) => void (running === mine && output.write(stream, text)),
      artifact: (artifact) => void (running === mine && made.add(artifact)),
    });
    if (running !== mine) return;
    output.settle(result.output, result.error);
    show(result);
    leave(true);
  } catch (problem) {
    if (running !== mine) return;
    leave(false);
    fail(problem, order);
  }
}

function begin() {
  shown = null;
  program.clearMarks();
  clearResult();
  status.clearNotice();
  status.stopClock();
  status.badge("Waiting for a place", "running");
  setButton(true);
}

/** What the program printed, and what it has made. */
export function clearResult() {
  output.clear();
  made.clear();
}

/** @param {boolean} isFine */
function leave(isFine) {
  running = null;
  if (isLeaving) return;
  session.remove(RUNNING);
  setButton(false);
  finished(isFine);
}

/** The run that is under way is not wanted any more. */
function abandon() {
  if (!running) return;
  running.controller.abort();
  if (running.id) api.cancel(running.id);
  running = null;
}

/** Kill the run; what it has printed so far stays. */
export function stop() {
  const mine = running;
  if (!mine || mine.isStopping) return;
  mine.isStopping = true;
  status.badge("Stopping", "running");
  if (mine.id) api.cancel(mine.id);
  setTimeout(() => mine.controller.abort(), STOP_MILLISECONDS);
}

/** When the button last did something, in milliseconds since the page began. */
let clicked = -Infinity;

/** Run, or Stop while a program runs. @param {MouseEvent} click @param {() => Promise<Order>} order */
function toggle({ detail, timeStamp }, order) {
  if (detail > 1 && timeStamp - clicked < DOUBLE_CLICK_MILLISECONDS) return;
  clicked = timeStamp;
  if (running) stop();
  else start(order);
}

/** @param {boolean} isStop */
function setButton(isStop) {
  byId("run-label").textContent = isStop ? "Stop" : "Run";
  byId("run").classList.toggle("stop", isStop);
  byId("run-key").hidden = isStop;
}

/**
 * Show a result from the history.
 * @param {import("./types.js").PastRun} past
 * @param {Source | null} itsSource null: its files are not known
 */
export function showPast(past, itsSource) {
  shown = itsSource;
  output.showWhole(past.output, past.error);
  made.clear();
  show(past);
}

/** Say what came of the run whose output is shown. @param {Result} result */
function show(result) {
  const { words, tone } = verdict(result);
  made.settle(result);
  status.clearNotice();
  status.stopClock(result.duration_ms);
  status.badge(words, tone, measures(result));
  const spoken = status.spoken(words, result.duration_ms, made.words());
  const asks = lacksInput(result);
  if (asks) status.advise(ASKS, "Write input", inputs.focus);
  announce(asks ? `${spoken} ${ASKS}` : spoken);
  const said = compilerText(result);
  const hasFailed = result.status === "compile_error";
  output.showCompiler(said, hasFailed);
  const where = hasFailed ? said : result.status === "error" ? result.error : "";
  const place = failedPlace(where, result.language, names());
  if (place && shown) program.mark(shown, place);
  if (result.status === "error") output.showMessage(result.language);
}

/** What the badge says of a request that failed, by its code. @type {Record<string, string>} */
const FAILED_WORDS = {
  busy: "Server busy",
  quota: "Limit reached",
  [api.KEY_REQUIRED]: "Not signed in",
  offline: "No connection",
  lost: "Connection lost",
  container_lost: "Lost",
};
/** What passes without anybody's mending it. */
const PASSING = ["busy", "quota"];
/** What is no fault of the program, and may go well the next time. */
const OURS = [...PASSING, "offline", "lost", "container_lost"];

/** @param {unknown} problem @param {() => Promise<Order>} order */
function fail(problem, order) {
  status.stopClock();
  output.end();
  if (api.isAbort(problem)) return status.badge("Stopped", "warn");
  if (!(problem instanceof api.Failure)) throw problem;
  if (problem.code === "cancelled") return status.badge("Stopped", "warn");
  const isOurs = problem.retryAfter > 0 || OURS.includes(problem.code);
  const words = FAILED_WORDS[problem.code] ?? (isOurs ? "Not run" : "Refused");
  status.badge(words, problem.needsKey || PASSING.includes(problem.code) ? "warn" : "bad");
  const again = () => start(order);
  if (problem.needsKey) signin.offer(problem, again);
  else status.notice(problem, isOurs ? again : null);
}

/** A refusal of our own, in the server's manner. @param {string} sentence */
function refuse(sentence) {
  running = null;
  setButton(false);
  status.badge("Refused", "bad");
  status.notice(new api.Failure(sentence, "refused"), null);
}

/** After a reload: say what became of the run that was under way. The server stops a run whose page has gone. */
export async function recall() {
  const id = session.get(RUNNING);
  if (!id) return;
  session.remove(RUNNING);
  status.badge("Page was reloaded", "warn");
  for (let attempt = 0; attempt < 8 && !running; attempt++) {
    const past = await find(id).catch(() => null);
    if (running) return;
    if (past) {
      showPast(past, past.kind === "code" ? program.sourceOf(past) : null);
      status.notice(new api.Failure(reloadSentence(past), "reloaded"), null);
      finished(true);
      return;
    }
    await new Promise((done) => setTimeout(done, 400));
  }
  const sentence = "The page was reloaded while a program ran. The run was stopped before it left a result.";
  if (!running) status.notice(new api.Failure(sentence, "reloaded"), null);
}

/** A run of the history once it is there: looked up in the list, because asking for what is missing is an error. */
async function find(/** @type {string} */ id) {
  const { history } = await api.json("/history?limit=20");
  const isThere = history.some((/** @type {Result} */ past) => past.id === id);
  return isThere ? api.json(`/history/${encodeURIComponent(id)}`) : null;
}

/** @param {Result} past */
const reloadSentence = (past) =>
  past.status === "cancelled"
    ? "The page was reloaded while this program ran, so the run was stopped. Below is what it had printed; run it again for the rest."
    : "The page was reloaded while this program ran. It had ended by then; this is its result.";

/** @param {{order: () => Promise<Order>, finished: (isFine: boolean) => void}} on */
export function install(on) {
  finished = on.finished;
  for (const name of ["beforeunload", "pagehide"]) addEventListener(name, noteLeaving);
  addEventListener("pageshow", () => (isLeaving = false));
  byId("run").addEventListener("click", (event) => toggle(event, on.order));
  byId("run").addEventListener("keydown", (event) => {
    // A key held down is one press; the browser would click again and again.
    if (event.repeat && event.key === "Enter") event.preventDefault();
  });
  addEventListener(
    "keydown",
    (event) => {
      if (!isRunKey(event) || event.isComposing || document.querySelector("dialog[open]")) return;
      if (document.body.dataset.mode === "batch") return;
      event.preventDefault();
      event.stopPropagation();
      if (!event.repeat) start(on.order);
    },
    { capture: true },
  );
  if (/Mac|iPhone|iPad/.test(navigator.platform)) byId("run-key").textContent = "⌘Enter";
}

/** Ctrl+Enter works everywhere; Shift+Enter only in the editor, for elsewhere it has a meaning. @param {KeyboardEvent} event */
const isRunKey = ({ key, ctrlKey, metaKey, shiftKey, target }) =>
  key === "Enter" && (ctrlKey || metaKey || (shiftKey && target instanceof HTMLElement && target.id === "code"));
