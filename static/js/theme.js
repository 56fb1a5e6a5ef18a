/** Light or dark: the system's choice until somebody makes one; it is remembered. */
import { byId } from "./dom.js";
import { local } from "./store.js";

const ORDER = ["system", "light", "dark"];

export function install() {
  const button = byId("theme");
  const root = document.documentElement;
  const current = () => root.dataset.theme ?? "system";
  const show = () => (byId("theme-name").textContent = current());
  button.addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(current()) + 1) % ORDER.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    local.set("theme", next);
    show();
  });
  show();
}
