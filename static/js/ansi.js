/** ANSI colours as spans of text nodes. Everything that is no colour (cursor moves, titles) is dropped. */
import Anser from "../vendor/anser.js";

/** Escape sequences whose end has not arrived yet. A lone ESC further back than this is no sequence. */
const UNFINISHED = /\x1b(?:\[[0-9;?]{0,40}|\][^\x07\x1b]{0,200})?$/;
const NO_COLOUR = /\x1b(?:\[[0-9;?]*[A-Za-ln-z~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78cDEHM])/g;

/** Text with every escape sequence taken out. @param {string} text */
export const plain = (text) => text.replace(NO_COLOUR, "").replace(/\x1b\[[0-9;]*m/g, "");

/** The colours of one stream; remembers the current one from piece to piece. */
export class Painter {
  #anser = new Anser();
  #rest = "";

  /** @param {string} piece @returns {Node[]} */
  paint(piece) {
    let text = this.#rest + piece;
    const open = UNFINISHED.exec(text);
    this.#rest = open ? open[0] : "";
    if (open) text = text.slice(0, open.index);
    text = text.replace(NO_COLOUR, "");
    if (!text.includes("\x1b") && !this.#isColoured) return text ? [document.createTextNode(text)] : [];
    return this.#spans(text);
  }

  #isColoured = false;

  /** @param {string} text */
  #spans(text) {
    /** @type {Node[]} */
    const nodes = [];
    for (const entry of this.#anser.ansiToJson(text, { json: true, use_classes: true, remove_empty: true })) {
      const names = classes(entry);
      const colours = trueColours(entry);
      this.#isColoured = names.length > 0 || colours.length > 0;
      if (!this.#isColoured) {
        nodes.push(document.createTextNode(entry.content));
        continue;
      }
      const span = document.createElement("span");
      span.className = names.join(" ");
      for (const [property, value] of colours) span.style.setProperty(property, value);
      span.textContent = entry.content;
      nodes.push(span);
    }
    return nodes;
  }
}

/** @typedef {ReturnType<typeof Anser.ansiToJson>[number]} Entry */

/** @param {Entry} entry */
function classes(entry) {
  const names = (entry.decorations ?? []).filter((name) => name !== "reverse" && name !== "blink").map((name) => `ansi-${name}`);
  if (isNamed(entry.fg)) names.push(`${entry.fg}-fg`);
  if (isNamed(entry.bg)) names.push(`${entry.bg}-bg`);
  return names;
}

/** @param {string | null} colour */
const isNamed = (colour) => Boolean(colour) && /^ansi-(bright-)?[a-z]+$/.test(String(colour)) && colour !== "ansi-truecolor";

/** Colours of the large palette, as CSS. @param {Entry} entry @returns {[string, string][]} */
function trueColours(entry) {
  /** @type {[string, string][]} */
  const found = [];
  const fg = rgb(entry.fg, entry.fg_truecolor);
  const bg = rgb(entry.bg, entry.bg_truecolor);
  if (fg) found.push(["color", fg]);
  if (bg) found.push(["background-color", bg]);
  return found;
}

/** @param {string | null} name @param {string | null} truecolor */
function rgb(name, truecolor) {
  if (name === "ansi-truecolor" && truecolor && /^[\d, ]+$/.test(truecolor)) return `rgb(${truecolor})`;
  const index = /^ansi-palette-(\d+)$/.exec(name ?? "");
  return index ? palette(Number(index[1])) : "";
}

/** xterm's 256 colours from 16 on: a cube of 6×6×6, then 24 greys. @param {number} index */
function palette(index) {
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return `rgb(${grey}, ${grey}, ${grey})`;
  }
  const level = (/** @type {number} */ part) => (part ? 55 + part * 40 : 0);
  const cube = index - 16;
  return `rgb(${level(Math.floor(cube / 36))}, ${level(Math.floor(cube / 6) % 6)}, ${level(cube % 6)})`;
}
