/**
 * The line that is being written, as on a terminal: what comes after a carriage return or a backspace overwrites.
 * Of a cell it knows the letter and the style; nothing of colours and nothing of the page.
 */

/** @typedef {{classes: string, colours: [string, string][]}} Style */
/** @typedef {{text: string, style: Style}} Run text in one style */

/** What moves on a line, or ends it: `K` erases to its end, start or whole, `G` goes to a column. */
export const MOVES = /(\n|\r|\x08|\x1b\[\d{0,4}[KG])/;
/** No progress bar is longer; what is further back in a longer line stays as it is. */
const MOST_CELLS = 1000;
/** @type {Style} */
const PLAIN = { classes: "", colours: [] };

export class Line {
  /** @type {string[]} */
  #letters = [];
  /** @type {Style[]} */
  #styles = [];
  #column = 0;
  /** @type {Run[]} */
  #over = [];

  /** @param {string} text without moves @param {Style} style */
  put(text, style) {
    for (const letter of text) {
      if (this.#column >= MOST_CELLS) this.#finish();
      this.#letters[this.#column] = letter;
      this.#styles[this.#column++] = style;
    }
  }

  /** @param {string} what one of the `MOVES` @param {Style} style of a line end */
  move(what, style) {
    if (what === "\n") {
      this.#finish();
      add(this.#over, what, style);
    } else if (what === "\r") this.#column = 0;
    else if (what === "\b") this.#column = Math.max(0, this.#column - 1);
    else if (what.endsWith("G")) this.#column = Math.min(Math.max(0, Number(what.slice(2, -1)) - 1), this.#letters.length);
    else this.#erase(what.slice(2, -1));
  }

  /** @param {string} part `1` before the cursor, `2` everything, else from the cursor on */
  #erase(part) {
    if (part === "1" || part === "2") this.#blank(this.#column);
    if (part !== "1") this.#letters.length = this.#styles.length = this.#column;
  }

  /** @param {number} count how many cells from the left */
  #blank(count) {
    this.#letters.fill(" ", 0, count);
    this.#styles.fill(PLAIN, 0, count);
  }

  #finish() {
    for (const { text, style } of this.#runs()) add(this.#over, text, style);
    this.#letters = [];
    this.#styles = [];
    this.#column = 0;
  }

  #runs() {
    /** @type {Run[]} */
    const runs = [];
    for (let start = 0, end = 1; start < this.#letters.length; start = end++) {
      while (end < this.#letters.length && this.#styles[end] === this.#styles[start]) end++;
      runs.push({ text: this.#letters.slice(start, end).join(""), style: this.#styles[start] });
    }
    return runs;
  }

  /** What will not change any more since the last time, and the line as it stands. @returns {{over: Run[], open: Run[]}} */
  take() {
    const over = this.#over;
    this.#over = [];
    return { over, open: this.#runs() };
  }
}

/** @param {Run[]} runs @param {string} text @param {Style} style */
function add(runs, text, style) {
  const last = runs.at(-1);
  if (last?.style === style) last.text += text;
  else runs.push({ text, style });
}
