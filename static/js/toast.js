/** A sentence for some seconds, with at most one action: at the lowest place where it covers no control. */
import { announce, byId, make } from "./dom.js";

const SHOWN_MILLISECONDS = 4000;
/** With an action there is something to decide. */
const OFFERED_MILLISECONDS = 8000;
const GAP_PIXELS = 8;
const CONTROLS = ":is(.top, .examples, .bar, .actions, .filters, .notice, dialog) :is(button, select, input), summary, #history-again";

const box = byId("toast");
/** @type {number | undefined} */
let timer;
let shownMilliseconds = 0;
/** @type {HTMLElement | null} where the focus was */
let source = null;

/** @param {string} sentence @param {{label: string, act: () => void}} [action] */
export function toast(sentence, action) {
  close();
  box.replaceChildren(make("span", {}, sentence));
  if (action) {
    box.append(make("button", { type: "button", onclick: () => (close(), action.act()) }, action.label));
  }
  open();
  announce(sentence);
  shownMilliseconds = action ? OFFERED_MILLISECONDS : SHOWN_MILLISECONDS;
  wait();
}

function open() {
  source = /** @type {HTMLElement | null} */ (document.activeElement);
  // With a source, Tab leads from there into the toast. TypeScript does not know it yet.
  /** @type {any} */ (box).showPopover({ source });
  place();
}

function close() {
  const hadFocus = box.contains(document.activeElement);
  clearTimeout(timer);
  if (isOpen()) box.hidePopover();
  if (hadFocus) source?.focus();
}

const isOpen = () => box.matches(":popover-open");

/** Nobody loses it while deciding. */
function wait() {
  clearTimeout(timer);
  if (!box.matches(":hover, :focus-within")) timer = setTimeout(close, shownMilliseconds);
}

function place() {
  if (isOpen()) box.style.top = `${lowest(box.getBoundingClientRect())}px`;
}

/** @param {DOMRect} own @returns {number} the top edge; the lowest of all when everything is covered with controls */
function lowest({ left, right, height }) {
  const bottom = innerHeight - GAP_PIXELS - height;
  const others = [...document.querySelectorAll(CONTROLS)].map((control) => control.getBoundingClientRect());
  let top = bottom;
  for (const other of others.sort((a, b) => b.bottom - a.bottom)) {
    const isInWay = other.left < right && other.right > left && other.top < top + height && other.bottom > top;
    if (isInWay) top = other.top - GAP_PIXELS - height;
  }
  return top < 0 ? bottom : top;
}

export function install() {
  for (const name of ["mouseenter", "mouseleave", "focusin", "focusout"]) box.addEventListener(name, wait);
  box.addEventListener("keydown", ({ key }) => void (key === "Escape" && close()));
  // What moves controls: they are where they belong a frame later.
  for (const name of ["scroll", "resize", "toggle", "click"]) {
    addEventListener(name, () => requestAnimationFrame(place), { capture: true, passive: true });
  }
}
