/** Whether the server can run programs right now, and whether there is a connection at all. */
import { byId } from "./dom.js";
import { OUTAGES, recover } from "./status.js";

const LOOK_AGAIN_MILLISECONDS = 15_000;

/** @param {"ready" | "down" | "unknown"} state @param {string} words @param {string} [why] */
function show(state, words, why = "") {
  const element = byId("service");
  if (element.dataset.state === "down" && state === "ready") recover(OUTAGES);
  element.dataset.state = state;
  element.textContent = words;
  element.title = why;
}

/** @returns {Promise<Parameters<typeof show>>} */
async function ask() {
  if (!navigator.onLine) return ["down", "Offline", "This device has no connection."];
  try {
    const response = await fetch("/readyz", { cache: "no-store" });
    if (response.ok) return ["ready", "Ready"];
    const body = await response.json().catch(() => ({}));
    return ["down", "Engine down", String(body.error ?? "")];
  } catch {
    return ["down", "No connection", "The server does not answer."];
  }
}

/** How often anybody has asked or has known better: an answer to an older question is not shown. */
let asked = 0;
/** @type {() => void} called whenever the server has answered that it is ready */
let ready = () => {};

export async function look() {
  const mine = ++asked;
  const answer = await ask();
  if (mine !== asked) return;
  show(...answer);
  if (answer[0] === "ready") ready();
}

/** A run has left a result, so the engine works. */
export function isFine() {
  asked += 1;
  show("ready", "Ready");
}

/** @param {{ready: () => void}} on */
export function install(on) {
  ready = on.ready;
  look();
  addEventListener("online", look);
  addEventListener("offline", look);
  setInterval(() => void (document.hidden || look()), LOOK_AGAIN_MILLISECONDS);
}
