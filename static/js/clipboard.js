/** Copying text, also where the browser allows it only the old way (a page that came over plain HTTP). */
import { announce } from "./dom.js";

const SHOWN_MILLISECONDS = 1500;

/**
 * @param {string} text
 * @param {HTMLElement} source the button that was pressed; it says what came of it for a moment
 */
export async function copyText(text, source) {
  const word = (await copied(text)) ? "Copied" : "Not allowed";
  const label = (source.dataset.label ??= source.textContent ?? "");
  source.textContent = word;
  announce(word);
  setTimeout(() => (source.textContent = label), SHOWN_MILLISECONDS);
}

/** @param {string} text */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text);
  }
}

/** @param {string} text */
function copiedBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  return isDone;
}
