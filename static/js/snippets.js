/** The example programs of all languages that are here: what works, and what the sandbox must stop. */
import { ready } from "./config.js";

/** @typedef {import("./types.js").Example & {language: string}} Snippet */

/** @type {Snippet[]} */
const all = ready.flatMap(({ name, page }) => page.examples.map((example) => ({ ...example, language: name })));

export const snippets = [...all.filter((example) => !example.is_last), ...all.filter((example) => example.is_last)];
