/** Whether the server can run programs right now, and whether there is a connection at all. */
import { byId } from "./dom.js";

const LOOK_AGAIN_MILLISECONDS = 15_000;

/** @param {"ready" | "down" | "unknown"} state @param {string} words @param {string} [why] */
function show(state, words, why = "") {
  const element = byId("service");
  element.dataset.state = state;
  element.textContent = words;
  element.title = why;
}

export async function look() {
  if (!navigator.onLine) return show("down", "Offline", "This device has no connection.");
  try {
    const response = await fetch("/readyz", { cache: "no-store" });
    if (response.ok) return show("ready", "Ready");
    const body = await response.json().catch(() => ({}));
    show("down", "Engine down", String(body.error ?? ""));
  } catch {
    show("down", "No connection", "The server does not answer.");
  }
}

/** A run has left a result, so the engine works. */
export const isFine = () => show("ready", "Ready");

export function install() {
  look();
  addEventListener("online", look);
  addEventListener("offline", look);
  setInterval(() => void (document.hidden || look()), LOOK_AGAIN_MILLISECONDS);
}
