/** What programs write, read as a terminal would: colours become styles, moves go to the line, the rest is dropped. */
import Anser from "../vendor/anser.js";
import { MOVES } from "./line.js";

/** @typedef {import("./line.js").Line} Line */
/** @typedef {import("./line.js").Style} Style */

const SEQUENCE = new RegExp(
  [
    /\x1b\[[0-?]*[ -/]*[@-~]/, // CSI: colours, moves, modes
    /\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/, // OSC: titles, links
    /\x1b[PX^_][^\x1b]*\x1b\\/, // strings for devices
    /\x1b[ -/]+[0-~]/, // character sets
    /\x1b[0-OQ-WYZ\\`-~]?/, // all others, and what is no sequence
  ]
    .map(({ source }) => source)
    .join("|"),
  "g",
);
/** Sequences whose end has not arrived yet. What is longer is none. */
const UNFINISHED = /\x1b(?:\[[ -?]{0,40}|\][^\x07\x1b]{0,200}\x1b?|[PX^_][^\x1b]{0,200}\x1b?|[ -/]{1,3})?$/;
const KEPT = /^\x1b\[[\d;]*m$|^\x1b\[\d{0,4}[KG]$/;

/** Reads one stream; remembers its colour, and what has half arrived, from piece to piece. */
export class Painter {
  #anser = new Anser();
  #rest = "";
  /** @type {Style} */
  #plain;
  /** @type {Style} */
  #style;

  /** @param {string} [name] a class for everything that is written */
  constructor(name = "") {
    this.#plain = { classes: name, colours: [] };
    this.#style = this.#plain;
  }

  /** @param {string} piece @param {Line} line what it is written on @param {boolean} isColoured */
  paint(piece, line, isColoured) {
    const parts = this.#whole(piece).split(MOVES);
    for (const [index, part] of parts.entries()) {
      if (index % 2) line.move(part, this.#plain);
      else if (isColoured) this.#colour(part, line);
      else line.put(part.replace(SEQUENCE, ""), this.#plain);
    }
  }

  /** The piece with what the one before has begun, without what the next one ends. @param {string} piece */
  #whole(piece) {
    const text = this.#rest + piece;
    this.#rest = UNFINISHED.exec(text)?.[0] ?? "";
    return text.slice(0, text.length - this.#rest.length).replace(SEQUENCE, (found) => (KEPT.test(found) ? found : ""));
  }

  /** @param {string} text @param {Line} line */
  #colour(text, line) {
    if (!text.includes("\x1b")) return line.put(text, this.#style);
    const [before, ...entries] = this.#anser.ansiToJson(text, { json: true, use_classes: true });
    line.put(before.content, this.#style);
    for (const entry of entries) {
      this.#style = this.#styleOf(entry);
      line.put(entry.content, this.#style);
    }
  }

  /** @param {Entry} entry @returns {Style} */
  #styleOf(entry) {
    const names = classes(entry);
    const colours = trueColours(entry);
    if (!names.length && !colours.length) return this.#plain;
    return { classes: [this.#plain.classes, ...names].filter(Boolean).join(" "), colours };
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
