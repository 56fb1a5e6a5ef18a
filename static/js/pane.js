/**
 * A panel of output that stays smooth at a megabyte: text is added a bounded piece per animation frame, in blocks
 * of lines that the browser lays out only when they come into view.
 */
import { AnsiReader } from "./ansi.js";
import { linked } from "./traces.js";
/** @import {Stream} from "./types.js" */

const CHARACTERS_PER_FRAME = 48 << 10;
const BLOCK_CHARACTERS = 8 << 10;
const LONGEST_LINE = 64 << 10;
/** The end of a piece that may go on in the next one: an escape sequence, or a place in a traceback. */
// eslint-disable-next-line no-control-regex
const UNFINISHED = /(?:\x1b(?:\[[\d;?]*)?|\r|(?:File "|\/app\/)[^\n]{0,200})$/;
const AT_END_PIXELS = 24;

const asText = (/** @type {string} */ text) => [document.createTextNode(text)];

export class Pane {
  /** @type {{stream: Stream, text: string}[]} */
  #queue = [];
  /** @type {HTMLElement | null} */
  #block = null;
  #blockLength = 0;
  #held = { stdout: "", stderr: "" };
  #readers = { stdout: new AnsiReader(), stderr: new AnsiReader() };
  #frame = 0;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
  }

  clear() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#queue = [];
    this.#block = null;
    this.#held = { stdout: "", stderr: "" };
    this.#readers = { stdout: new AnsiReader(), stderr: new AnsiReader() };
    this.root.replaceChildren();
  }

  /** @param {Stream} stream @param {string} text */
  write(stream, text) {
    for (let start = 0; start < text.length; start += CHARACTERS_PER_FRAME) {
      this.#queue.push({ stream, text: text.slice(start, start + CHARACTERS_PER_FRAME) });
    }
    this.#schedule();
  }

  /** Show what was held back because more might have followed. */
  end() {
    for (const stream of /** @type {Stream[]} */ (["stdout", "stderr"])) this.#queue.push({ stream, text: "" });
    this.#schedule();
  }

  #schedule() {
    if (!this.#frame && this.#queue.length) this.#frame = requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.#frame = 0;
    const { root } = this;
    const follows = root.scrollHeight - root.scrollTop - root.clientHeight < AT_END_PIXELS;
    for (let room = CHARACTERS_PER_FRAME; room > 0 && this.#queue.length; ) {
      const { stream, text } = /** @type {{stream: Stream, text: string}} */ (this.#queue.shift());
      room -= text.length + 64;
      this.#add(stream, text);
    }
    if (follows) root.scrollTop = root.scrollHeight;
    this.#schedule();
  }

  /** @param {Stream} stream @param {string} text empty when nothing follows */
  #add(stream, text) {
    const whole = this.#held[stream] + text;
    const unfinished = text ? (UNFINISHED.exec(whole)?.[0] ?? "") : "";
    this.#held[stream] = unfinished;
    for (const piece of pieces(whole.slice(0, whole.length - unfinished.length))) this.#append(stream, piece);
  }

  /** @param {Stream} stream @param {string} piece */
  #append(stream, piece) {
    if (!piece) return;
    const nodes = this.#readers[stream].read(piece, stream === "stderr" ? linked : asText);
    const block = this.#openBlock();
    if (stream === "stderr" && this.root.id === "both") {
      const span = document.createElement("span");
      span.className = "from-stderr";
      span.append(...nodes);
      block.append(span);
    } else {
      block.append(...nodes);
    }
    this.#blockLength += piece.length;
    const isFull = this.#blockLength >= BLOCK_CHARACTERS && piece.endsWith("\n");
    if (isFull || this.#blockLength >= LONGEST_LINE) this.#block = null;
  }

  #openBlock() {
    if (!this.#block) {
      this.#block = document.createElement("div");
      this.#block.className = "block";
      this.#blockLength = 0;
      this.root.append(this.#block);
    }
    return this.#block;
  }
}

/** @param {string} text @returns {string[]} the text in pieces of about a block, cut after line ends where there are any */
function pieces(text) {
  const found = [];
  for (let start = 0; start < text.length; ) {
    const lineEnd = text.indexOf("\n", start + BLOCK_CHARACTERS);
    const end = lineEnd < 0 ? text.length : lineEnd + 1;
    found.push(text.slice(start, end));
    start = end;
  }
  return found;
}
