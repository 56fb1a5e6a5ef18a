/** The keyboard help. */
import { byId } from "./dom.js";

export function install() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("help-dialog"));
  byId("help").addEventListener("click", () => dialog.showModal());
  addEventListener("keydown", (event) => {
    const { target } = event;
    const isTyping =
      target instanceof HTMLElement && target.matches("input:not([type=checkbox]), textarea, select");
    if (event.key === "?" && !isTyping && !document.querySelector("dialog[open]")) dialog.showModal();
  });
}
