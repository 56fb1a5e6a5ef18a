/**
 * A panel of output that stays smooth at a megabyte: a bounded piece of text is added per animation frame, in
 * blocks of lines that the browser lays out only when they come into view.
 */
import { Painter, plain } from "./ansi.js";
import { places } from "./trace.js";
import { make } from "./dom.js";

/** @typedef {import("./types.js").StreamName} StreamName */

const CHARACTERS_PER_FRAME = 48 << 10;
const BLOCK_CHARACTERS = 8 << 10;
/** After so many coloured pieces the rest is shown without colours: each of them costs an element. */
const MOST_SPANS = 20_000;
const AT_END_PIXELS = 32;

export class Pane {
  /** @type {{stream: StreamName, text: string}[]} */
  #queue = [];
  /** @type {HTMLElement | null} */
  #block = null;
  #blockLength = 0;
  #frame = 0;
  #spans = 0;
  #painters = { stdout: new Painter(), stderr: new Painter(), note: new Painter() };

  /** @param {HTMLElement} root @param {boolean} marksErrors whether text of stderr is told apart */
  constructor(root, marksErrors) {
    this.root = root;
    this.marksErrors = marksErrors;
  }

  clear() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#queue = [];
    this.#block = null;
    this.#spans = 0;
    this.#painters = { stdout: new Painter(), stderr: new Painter(), note: new Painter() };
    this.root.replaceChildren();
  }

  /** @param {StreamName} stream @param {string} text */
  write(stream, text) {
    for (const piece of pieces(text)) this.#queue.push({ stream, text: piece });
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.#frame = 0;
    const { root } = this;
    const follows = root.scrollHeight - root.scrollTop - root.clientHeight < AT_END_PIXELS;
    for (let room = CHARACTERS_PER_FRAME; room > 0; ) {
      const next = this.#queue.shift();
      if (!next) break;
      room -= next.text.length;
      this.#append(next.stream, next.text);
    }
    if (follows) root.scrollTop = root.scrollHeight;
    if (this.#queue.length) this.#frame = requestAnimationFrame(() => this.#flush());
  }

  /** @param {StreamName} stream @param {string} text */
  #append(stream, text) {
    const nodes =
      this.#spans < MOST_SPANS ? this.#painters[stream].paint(text) : [document.createTextNode(plain(text))];
    this.#spans += nodes.length;
    const isMarked = stream === "note" || (stream === "stderr" && this.marksErrors);
    const block = this.#openBlock();
    (isMarked ? span(block, stream === "note" ? "note" : "e") : block).append(...nodes);
    this.#blockLength += text.length;
    if (this.#blockLength >= BLOCK_CHARACTERS && text.endsWith("\n")) {
      block.classList.add("full");
      this.#block = null;
    }
  }

  #openBlock() {
    if (!this.#block) {
      this.#block = make("span", { class: "block" });
      this.#blockLength = 0;
      this.root.append(this.#block);
    }
    return this.#block;
  }

  /** Make the places of a traceback buttons. To be called when the run is over. */
  link() {
    this.settle();
    this.root.normalize();
    const walker = document.createTreeWalker(this.root, NodeFilter.SHOW_TEXT);
    /** @type {Text[]} */
    const texts = [];
    while (walker.nextNode()) texts.push(/** @type {Text} */ (walker.currentNode));
    for (const text of texts) linkPlaces(text);
  }

  /** Everything that waits, now: for results that are shown at once. */
  settle() {
    while (this.#queue.length) this.#flush();
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  /** The first place that `link` has found, at the top of the panel. */
  showFirstPlace() {
    const place = this.root.querySelector("button.line");
    if (place instanceof HTMLElement) this.root.scrollTop = place.offsetTop - this.root.offsetTop;
  }

  /** The beginning of a text that is all there. */
  showTop() {
    this.settle();
    this.root.scrollTop = 0;
  }
}

/** The span of that class at the block's end. @param {HTMLElement} block @param {string} name */
function span(block, name) {
  const last = block.lastChild;
  if (last instanceof HTMLElement && last.className === name) return last;
  return block.appendChild(make("span", { class: name }));
}

/** @param {Text} text */
function linkPlaces(text) {
  for (const { start, end, line } of places(text.data).reverse()) {
    const place = text.splitText(start);
    place.splitText(end - start);
    place.replaceWith(make("button", { type: "button", class: "line", "data-line": String(line) }, place.data));
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
