/** The runs of before: searched, filtered, loaded further on scrolling; opened without running. */
import * as api from "./api.js";
import { languageOf } from "./config.js";
import { byId, debounced, make } from "./dom.js";
import * as me from "./me.js";
import { ago, duration, verdict } from "./result.js";
import * as signin from "./signin.js";
import { toast } from "./toast.js";
import * as whose from "./whose.js";

/** @typedef {import("./types.js").PastRun} PastRun */

const PAGE_ROWS = 30;
const NEAR_END_PIXELS = 160;
const AGE_MILLISECONDS = 30_000;

const NO_ROWS = { history: [], next: null };

const list = byId("history-list");
const scroller = byId("history-scroll");
const search = /** @type {HTMLInputElement} */ (byId("history-search"));
const language = /** @type {HTMLSelectElement} */ (byId("history-language"));
const status = /** @type {HTMLSelectElement} */ (byId("history-status"));
const dialog = /** @type {HTMLDialogElement} */ (byId("confirm-dialog"));
/** @type {{open: (past: PastRun) => void, rerun: (past: PastRun) => void}} */
let on;
/** @type {string | null} */
let next = null;
/** Counts the lists asked for, so that answers to an older question are dropped. */
let question = 0;
let isLoading = false;
/** @type {{before: string | null} | null} what was asked for last, when it could not be loaded */
let failed = null;

/** Load the first page again. */
export async function refresh() {
  const top = scroller.scrollTop;
  await load(null);
  scroller.scrollTop = top;
}

/** Ask once more for what could not be loaded, if anything. */
export function retry() {
  if (failed) load(failed.before);
}

/** Whoever looks at the page now is somebody else: nothing of before stays. */
export function disown() {
  dialog.close();
  list.replaceChildren();
  next = null;
  say("Loading");
  byId("history-title").textContent = whose.title();
  byId("history-who").textContent = whose.whoSees();
  showAnyones();
}

/** @param {string | null} before */
async function load(before) {
  const asked = ++question;
  isLoading = true;
  setFailed(null);
  try {
    const older = (await me.look()) ? null : before;
    const page = me.needsKey() ? NO_ROWS : await api.json(`/history?${query(older)}`);
    if (asked !== question) return;
    show(page, older !== null);
  } catch (problem) {
    if (asked !== question) return;
    say(/** @type {Error} */ (problem).message);
    setFailed({ before });
  } finally {
    if (asked === question) isLoading = false;
  }
  loadMore();
}

/** @param {string | null} before */
function query(before) {
  const words = new URLSearchParams({ limit: String(PAGE_ROWS), q: search.value.trim() });
  words.set("language", language.value);
  words.set("status", status.value);
  if (before) words.set("before", before);
  return words;
}

/** @param {{history: PastRun[], next: string | null}} page @param {boolean} isMore */
function show(page, isMore) {
  const items = page.history.map(item);
  if (isMore) list.append(...items);
  else list.replaceChildren(...items);
  next = page.next;
  say(list.childElementCount ? (next ? "Scroll for more." : "") : emptySentence());
  showAnyones();
}

/** What "anyone's" means is said where it can be read. */
function showAnyones() {
  const line = byId("history-anyones");
  line.hidden = !list.querySelector("[data-owner='']");
  line.textContent = whose.whoSeesAnyones();
}

/** @param {{before: string | null} | null} what */
function setFailed(what) {
  failed = what;
  byId("history-again").hidden = !what;
}

/** @param {string} sentence */
const say = (sentence) => (byId("history-state").textContent = sentence);

const isFiltered = () => Boolean(search.value.trim() || language.value || status.value);

function emptySentence() {
  if (me.needsKey()) return "Sign in to see your runs.";
  return isFiltered() ? "No run matches." : "Nothing has been run yet.";
}

function loadMore() {
  const isNearEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PIXELS;
  if (next && !isLoading && !failed && isNearEnd && scroller.clientHeight) load(next);
}

/** What a run is called, by its kind. @type {Record<PastRun["kind"], (past: PastRun) => string>} */
const WHAT = {
  code: ({ code }) => firstLine(code ?? ""),
  files: ({ entry }) => entry ?? "",
  zip: ({ archive, entry }) => `${archive} (${entry})`,
};

/** @param {PastRun} past */
function item(past) {
  const { words, tone } = verdict(past);
  const what = WHAT[past.kind](past);
  const measured = `${languageOf(past.language).title} · ${duration(past.duration_ms)} · `;
  const when = make("time", { datetime: past.timestamp }, ago(past.timestamp));
  const open = make(
    "button",
    { type: "button", class: "open", onclick: () => fetchThen(past.id, on.open) },
    make("span", { class: "how", "data-state": tone }, words),
    make("span", { class: "what" }, what),
    make("span", { class: "when", title: past.timestamp }, ...marks(past.owner), measured, when),
  );
  const also = make("div", { class: "also" });
  if (past.kind === "code") {
    also.append(action("Run again", what, () => fetchThen(past.id, on.rerun)));
  }
  also.append(action("Delete", what, () => remove(past.id, element)));
  const element = make("li", { class: "run-item", "data-id": past.id, "data-owner": past.owner }, open, also);
  return element;
}

/** @param {string} owner */
function marks(owner) {
  const words = whose.mark(owner);
  return words ? [make("span", { class: "whose" }, words), " · "] : [];
}

/** @param {string} label @param {string} what @param {() => void} act */
const action = (label, what, act) =>
  make("button", { type: "button", class: "quiet", "aria-label": `${label}: ${what}`, onclick: act }, label);

/** @param {string} code */
const firstLine = (code) => code.split("\n").find((line) => line.trim()) ?? "(empty)";

/** @param {string} id @param {(past: PastRun) => void} use */
async function fetchThen(id, use) {
  try {
    use(await api.json(`/history/${encodeURIComponent(id)}`));
    for (const other of list.children) other.toggleAttribute("aria-current", false);
    list.querySelector(`[data-id="${CSS.escape(id)}"]`)?.setAttribute("aria-current", "true");
  } catch (problem) {
    complain(problem);
  }
}

/** @param {unknown} problem */
function complain(problem) {
  toast(/** @type {Error} */ (problem).message);
  if (problem instanceof api.Failure && problem.needsKey) signin.ask();
}

/** @param {string} id @param {HTMLElement} element */
async function remove(id, element) {
  try {
    await api.json(`/history/${encodeURIComponent(id)}`, { method: "DELETE" });
    const neighbour = element.nextElementSibling ?? element.previousElementSibling;
    element.remove();
    toast("Deleted.");
    (neighbour?.querySelector("button") ?? scroller).focus();
    if (!list.childElementCount) say(emptySentence());
    showAnyones();
    loadMore();
  } catch (problem) {
    complain(problem);
  }
}

/** @param {string} path */
async function removeAll(path) {
  try {
    const { deleted } = await api.json(path, { method: "DELETE" });
    toast(`${deleted} ${deleted === 1 ? "run" : "runs"} deleted.`);
  } catch (problem) {
    complain(problem);
  }
  load(null);
}

/** What is deleted, by the button of the dialog. @type {Record<string, string>} */
const DELETED = { own: "/history", everybodys: "/history?owner=all" };

/** Ask before everything is deleted, and say what that is. */
async function askToDelete() {
  if (await me.look().catch(() => false)) return load(null); // what was in sight was somebody else's
  if (me.needsKey()) return signin.ask();
  byId("confirm-what").textContent = whose.whatIsDeleted();
  byId("confirm-hidden").hidden = !isFiltered();
  byId("confirm-own").textContent = me.current().is_operator ? "Delete mine and anyone's" : "Delete all";
  byId("confirm-everybodys").hidden = !me.current().is_operator;
  dialog.returnValue = "";
  dialog.showModal();
}

/** The times grow older while the page stays open. */
function age() {
  for (const time of list.querySelectorAll("time")) time.textContent = ago(time.dateTime);
}

/** Back from another tab of the page, where something may have been run or deleted: unless somebody is reading. */
function look() {
  if (!document.hidden && !scroller.scrollTop && !list.contains(document.activeElement)) refresh();
}

/** @param {typeof on} handlers */
export function install(handlers) {
  on = handlers;
  search.addEventListener("input", debounced(250, () => load(null)));
  language.addEventListener("change", () => load(null));
  status.addEventListener("change", () => load(null));
  scroller.addEventListener("scroll", loadMore, { passive: true });
  byId("history-again").addEventListener("click", () => {
    scroller.focus(); // the button goes away
    retry();
  });
  setInterval(age, AGE_MILLISECONDS);
  document.addEventListener("visibilitychange", look);
  byId("history-clear").addEventListener("click", askToDelete);
  dialog.addEventListener("close", () => void (dialog.returnValue in DELETED && removeAll(DELETED[dialog.returnValue])));
  load(null);
}
