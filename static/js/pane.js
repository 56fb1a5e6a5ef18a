/**
 * A panel of output that stays smooth at a megabyte: a bounded piece of text is added per animation frame, in
 * blocks of lines that the browser lays out only when they come into view. It follows the end until its reader
 * scrolls up.
 */
import { Painter } from "./ansi.js";
import { Line } from "./line.js";
import { places } from "./trace.js";
import { make } from "./dom.js";

/** @typedef {import("./types.js").StreamName} StreamName */

const CHARACTERS_PER_FRAME = 48 << 10;
const BLOCK_CHARACTERS = 8 << 10;
/** After so many coloured pieces the rest is shown without colours: each of them costs an element. */
const MOST_SPANS = 20_000;
const AT_END_PIXELS = 32;
/** Above what is scrolled to. */
const AIR_PIXELS = 4;

export class Pane {
  /** @type {{stream: StreamName, text: string}[]} */
  #queue = [];
  /** @type {HTMLElement | null} */
  #block = null;
  #blockLength = 0;
  #frame = 0;
  #spans = 0;
  #line = new Line();
  /** @type {Node[]} the line that may still change, as shown */
  #open = [];
  #painters;
  #follows = true;
  #top = 0;
  /** Wrapped blocks take their true height only when they come into view; then the end is elsewhere. */
  #watch = new ResizeObserver(() => this.#follow());

  /** @param {HTMLElement} root @param {boolean} marksErrors whether text of stderr is told apart */
  constructor(root, marksErrors) {
    this.root = root;
    this.marksErrors = marksErrors;
    this.#painters = this.#newPainters();
    root.addEventListener("scroll", () => this.#look(), { passive: true });
    this.#watch.observe(root);
  }

  #newPainters() {
    return { stdout: new Painter(), stderr: new Painter(this.marksErrors ? "e" : "") };
  }

  clear() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#queue = [];
    this.#block = null;
    this.#spans = 0;
    this.#line = new Line();
    this.#open = [];
    this.#painters = this.#newPainters();
    this.#follows = true;
    this.#watch.disconnect();
    this.#watch.observe(this.root);
    this.root.replaceChildren();
  }

  /** @param {StreamName} stream @param {string} text */
  write(stream, text) {
    for (const piece of pieces(text)) this.#queue.push({ stream, text: piece });
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.#frame = 0;
    for (let room = CHARACTERS_PER_FRAME; room > 0; ) {
      const next = this.#queue.shift();
      if (!next) break;
      room -= next.text.length;
      this.#append(next.stream, next.text);
    }
    this.#follow();
    if (this.#queue.length) this.#frame = requestAnimationFrame(() => this.#flush());
  }

  #follow() {
    if (this.#follows) this.#scroll(this.root.scrollHeight);
  }

  /** Has the reader scrolled up, or to the end again? The first pixels of a slow scroll up count. */
  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.root;
    const left = scrollHeight - clientHeight - scrollTop;
    const hasGoneUp = scrollTop < this.#top;
    if (left <= 1 || (!hasGoneUp && left < AT_END_PIXELS)) this.#follows = true;
    else if (hasGoneUp) this.#follows = false;
    this.#top = scrollTop;
  }

  /** @param {StreamName} stream @param {string} text */
  #append(stream, text) {
    this.#painters[stream].paint(text, this.#line, this.#spans < MOST_SPANS);
    const { over, open } = this.#line.take();
    for (const piece of this.#open) piece.parentNode?.removeChild(piece);
    if (over.length) this.#openBlock().append(...over.map(shown));
    this.#spans += over.length;
    this.#blockLength += over.reduce((sum, run) => sum + run.text.length, 0);
    if (this.#blockLength >= BLOCK_CHARACTERS && over.at(-1)?.text.endsWith("\n")) this.#closeBlock();
    this.#open = open.map(shown);
    if (open.length) this.#openBlock().append(...this.#open);
  }

  #openBlock() {
    if (!this.#block) {
      this.#block = make("span", { class: "block" });
      this.#blockLength = 0;
      this.root.append(this.#block);
      this.#watch.observe(this.#block);
    }
    return this.#block;
  }

  /** From now on it is laid out only in view; elsewhere it has the size that its lines will have. */
  #closeBlock() {
    const lines = (this.#block?.textContent ?? "").split("\n");
    this.#block?.style.setProperty("--lines", String(lines.length - 1));
    this.#block?.style.setProperty("--columns", String(Math.max(...lines.map((line) => line.length))));
    this.#block?.classList.add("full");
    this.#block = null;
  }

  /** What is shown: without codes, and of a progress bar only its last state. */
  text() {
    this.settle();
    return this.root.textContent ?? "";
  }

  /** Make the places of a traceback buttons. To be called when the run is over. @param {import("./trace.js").Names} names */
  link(names) {
    this.settle();
    this.root.normalize();
    for (const text of texts(this.root)) if (!text.parentElement?.closest("button")) linkPlaces(text, names);
  }

  /** Everything that waits, now: for results that are shown at once. */
  settle() {
    while (this.#queue.length) this.#flush();
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  /** Scroll so that the text that begins there is the first in view. @param {(text: string) => number} find -1: nowhere */
  showFrom(find) {
    let index = find(this.text());
    if (index < 0) return;
    const range = document.createRange();
    for (const text of texts(this.root)) {
      if (index < text.length) {
        range.setStart(text, index);
        break;
      }
      index -= text.length;
    }
    range.setEnd(range.startContainer, range.startOffset + 1);
    this.#follows = false;
    const below = range.getBoundingClientRect().top - this.root.getBoundingClientRect().top;
    this.#scroll(this.root.scrollTop + below - AIR_PIXELS);
  }

  /** The beginning of a text that is all there. */
  showTop() {
    this.settle();
    this.#follows = false;
    this.#scroll(0);
  }

  /** @param {number} top */
  #scroll(top) {
    this.root.scrollTop = top;
    this.#top = this.root.scrollTop;
  }
}

/** @param {import("./line.js").Run} run @returns {Node} */
function shown({ text, style }) {
  if (!style.classes && !style.colours.length) return document.createTextNode(text);
  const span = make("span", { class: style.classes }, text);
  for (const [property, value] of style.colours) span.style.setProperty(property, value);
  return span;
}

/** @param {Node} root */
function texts(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) found.push(/** @type {Text} */ (walker.currentNode));
  return found;
}

/** @param {Text} text @param {import("./trace.js").Names} names */
function linkPlaces(text, names) {
  for (const { start, end, path, line } of places(text.data, names).reverse()) {
    const place = text.splitText(start);
    place.splitText(end - start);
    place.replaceWith(make("button", { type: "button", class: "line", "data-path": path, "data-line": String(line) }, place.data));
  }
}

/** @param {string} text @returns {string[]} pieces of about a block, cut after line ends where there are any */
function pieces(text) {
  const found = [];
  for (let start = 0; start < text.length; ) {
    const lineEnd = text.indexOf("\n", start + BLOCK_CHARACTERS);
    const near = lineEnd >= 0 && lineEnd - start < 2 * CHARACTERS_PER_FRAME;
    const end = near ? lineEnd + 1 : Math.min(text.length, start + CHARACTERS_PER_FRAME);
    found.push(text.slice(start, end));
    start = end;
  }
  return found;
}
