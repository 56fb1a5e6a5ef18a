/** What the server said about itself when it rendered the page. */

/** @type {import("./types.js").Config} */
export const config = JSON.parse(document.body.dataset.config ?? "");
export const { languages, limits } = config;
/** Those that programs can be run in here. */
export const ready = languages.filter((language) => language.ready !== false);

/** What every run asks for: whatever the program leaves in its folder, where the server gives files back at all. */
export const asked = config.artifacts ? { artifacts: ["**"] } : {};

/** @param {string} name @returns {import("./types.js").Language} the first language when there is none of that name */
export function languageOf(name) {
  return languages.find((language) => language.name === name) ?? languages[0];
}
