/**
 * Makes static/vendor from the pinned npm packages: `npm run vendor`.
 *
 * `npm run vendor:check` builds the same in memory and fails when one byte differs from what is in git. The
 * packages are bundled, not copied, so that the page loads two files instead of forty.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";
import { OPTIONS } from "./esbuild.mjs";

const ROOT = new URL("..", import.meta.url);
const FOLDER = new URL("static/vendor/", ROOT);

/** What the files in sandbox/languages call their grammars. An editor colours nothing in a language without one. */
const GRAMMARS = ["python", "javascript", "bash", "ruby", "php", "perl", "lua", "sql", "c", "cpp"];

/** By these it indents. The one of JavaScript is that of all languages like C. */
const INDENTATIONS = ["python", "clike", "bash", "ruby", "php", "perl", "lua", "sql"];

/** What each bundle offers. The text is valid as a module and as its type declaration. */
const BUNDLES = [
  {
    name: "editor",
    library: "prism-code-editor",
    exports: [
      'export { createEditor, languageMap } from "prism-code-editor";',
      'export { defaultKeymap, editorCommands, editHistory } from "prism-code-editor/commands";',
      'export { insertText, setSelection } from "prism-code-editor/utils";',
      'export { matchBrackets } from "prism-code-editor/match-brackets";',
      'export { highlightBracketPairs } from "prism-code-editor/highlight-brackets";',
    ],
    sideEffects: [
      ...GRAMMARS.map((name) => `import "prism-code-editor/prism/languages/${name}";`),
      ...INDENTATIONS.map((name) => `import "prism-code-editor/languages/${name}";`),
    ],
  },
  { name: "anser", library: "anser", exports: ['export { default } from "anser";'], sideEffects: [] },
];

const STYLES = [{ name: "editor.css", library: "prism-code-editor", file: "dist/layout.css" }];

/** @param {string} library @param {string} file */
const read = (library, file) => readFile(new URL(`node_modules/${library}/${file}`, ROOT), "utf8");

/** @param {string} library */
const manifestOf = async (library) => JSON.parse(await read(library, "package.json"));

/** @param {string} library */
async function banner(library) {
  const { version, license } = await manifestOf(library);
  return `/* ${library} ${version}, ${license}; see LICENSE-${library}.txt. Made by scripts/vendor.mjs, not edited. */`;
}

/** @param {typeof BUNDLES[number]} bundle @returns {Promise<string>} */
async function bundled({ library, exports, sideEffects }) {
  const result = await build({
    stdin: { contents: [...sideEffects, ...exports].join("\n"), resolveDir: new URL(".", ROOT).pathname },
    ...OPTIONS,
    banner: { js: await banner(library) },
  });
  return result.outputFiles[0].text;
}

/** @returns {Promise<Map<string, string>>} file name -> content */
async function make() {
  const files = new Map();
  for (const bundle of BUNDLES) {
    files.set(`${bundle.name}.js`, await bundled(bundle));
    files.set(`${bundle.name}.d.ts`, `${bundle.exports.join("\n")}\n`);
    files.set(`LICENSE-${bundle.library}.txt`, await read(bundle.library, "LICENSE"));
  }
  for (const { name, library, file } of STYLES) {
    files.set(name, `${await banner(library)}\n${await read(library, file)}\n`);
  }
  files.set("manifest.json", await manifest(files));
  return files;
}

/** @param {Map<string, string>} files */
async function manifest(files) {
  const libraries = [];
  for (const { library } of BUNDLES) {
    const { version, license } = await manifestOf(library);
    libraries.push({ name: library, version, license });
  }
  const digest = (/** @type {string} */ text) => createHash("sha256").update(text).digest("hex");
  const sha256 = Object.fromEntries([...files].map(([name, text]) => [name, digest(text)]).sort());
  return `${JSON.stringify({ libraries, sha256 }, null, 2)}\n`;
}

/** @param {Map<string, string>} files @returns {Promise<string[]>} names of files that differ */
async function differing(files) {
  const present = await readdir(FOLDER).catch(() => []);
  const names = [...new Set([...files.keys(), ...present])];
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, FOLDER), "utf8").catch(() => undefined)));
  return names.filter((name, index) => files.get(name) !== texts[index]);
}

const files = await make();
if (process.argv.includes("--check")) {
  const names = await differing(files);
  if (names.length) {
    console.error(`static/vendor differs from what the pinned packages give: ${names.join(", ")}`);
    process.exit(1);
  }
  console.log(`static/vendor is what the pinned packages give (${files.size} files).`);
} else {
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true });
  for (const [name, text] of files) await writeFile(new URL(name, FOLDER), text);
  console.log(`static/vendor: ${files.size} files written.`);
}
