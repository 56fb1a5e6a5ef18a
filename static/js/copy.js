/** Copying: by the browser where it lets a page do that, else by hand. */
import { byId } from "./dom.js";
import { toast } from "./toast.js";

/** @param {string} text @param {string} done what to say then */
export async function copyText(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    toast(done);
  } catch {
    // Forbidden, or no secure context: plain HTTP in a LAN has no clipboard.
    offer(text);
  }
}

/** Show the text, selected. @param {string} text */
function offer(text) {
  const field = /** @type {HTMLTextAreaElement} */ (byId("copy-text"));
  field.value = text;
  /** @type {HTMLDialogElement} */ (byId("copy-dialog")).showModal();
  field.focus();
  field.select();
}
