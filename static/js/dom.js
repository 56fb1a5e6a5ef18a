/** Small helpers over the DOM. Text only ever becomes text nodes; nothing here takes HTML. */

/**
 * The element of that id, which the template is known to have.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (element);
}

/**
 * A new element with attributes (or `on…` listeners) and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, string | boolean | ((event: Event) => void)>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key.replace(/^on/, ""), value);
    else if (typeof value === "boolean") element.toggleAttribute(key, value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Everything is in one column then. */
export const isNarrow = () => matchMedia("(max-width: 859px)").matches;
/** Where writing opens a keyboard over half of the screen. */
export const isTouch = () => matchMedia("(pointer: coarse)").matches;

/** @param {number} milliseconds @param {() => void} action @returns {() => void} the action, after a pause in calls */
export function debounced(milliseconds, action) {
  /** @type {number | undefined} */
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
}

/** Tell people who use a screen reader. @param {string} sentence */
export function announce(sentence) {
  const live = byId("live");
  // The same sentence twice would not be read again.
  live.textContent = live.textContent === sentence ? `${sentence}\u00a0` : sentence;
}
