/** Program, ZIP project or batch: tabs as the ARIA practices describe them. */
import { byId } from "./dom.js";

/** @typedef {"code" | "zip" | "batch"} Mode */

/** Where the skip link leads, which opens nothing that is hidden. */
const SKIPS = {
  code: ["#code", "Skip to the editor"],
  zip: ["#zip-file", "Skip to the archive"],
  batch: ["#panel-batch", "Skip to the batch"],
};

const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".tabs [role=tab]")]);

export const mode = () => /** @type {Mode} */ (document.body.dataset.mode);

/** @param {Mode} wanted */
export function choose(wanted) {
  document.body.dataset.mode = wanted;
  const skip = /** @type {HTMLAnchorElement} */ (byId("skip"));
  [skip.href, skip.textContent] = SKIPS[wanted];
  for (const tab of tabs) {
    const isChosen = tab.id === `tab-${wanted}`;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    byId(tab.getAttribute("aria-controls") ?? "").hidden = !isChosen;
  }
}

/** @param {HTMLElement} tab */
const modeOf = (tab) => /** @type {Mode} */ (tab.id.replace("tab-", ""));

export function install() {
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => choose(modeOf(tab)));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      choose(modeOf(next));
      next.focus();
    });
  }
}
