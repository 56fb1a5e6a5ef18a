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

/**
 * What the files in sandbox/languages call their grammars, and by what the editor indents: the one of JavaScript is that
 * of all languages like C. It colours nothing in a language without one.
 */
const FIRST = { grammars: ["python", "javascript", "bash"], indentations: ["python", "clike", "bash"] };

/** The same for languages that not everybody uses: fetched with the first program in one of them. */
const LATER = {
  grammars: ["typescript", "c", "cpp", "rust", "go", "java", "ruby", "php", "perl", "lua", "sql"],
  indentations: ["rust", "ruby", "php", "perl", "lua", "sql"],
};

/** @param {typeof FIRST} languages */
const imports = ({ grammars, indentations }) => [
  ...grammars.map((name) => `import "prism-code-editor/prism/languages/${name}";`),
  ...indentations.map((name) => `import "prism-code-editor/languages/${name}";`),
];

/** What each bundle offers. The text is valid as a module and as its type declaration. */
const BUNDLES = [
  {
    name: "editor",
    library: "prism-code-editor",
    exports: [
      'export { createEditor, languageMap } from "prism-code-editor";',
      'export { languages as grammars } from "prism-code-editor/prism";',
      'export { defaultKeymap, editorCommands, editHistory } from "prism-code-editor/commands";',
      'export { insertText, setSelection } from "prism-code-editor/utils";',
      'export { matchBrackets } from "prism-code-editor/match-brackets";',
      'export { highlightBracketPairs } from "prism-code-editor/highlight-brackets";',
    ],
    sideEffects: imports(FIRST),
  },
  { name: "grammars", library: "prism-code-editor", exports: ["export {};"], sideEffects: imports(LATER) },
  { name: "anser", library: "anser", exports: ['export { default } from "anser";'], sideEffects: [] },
];

const LIBRARIES = [...new Set(BUNDLES.map(({ library }) => library))];

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

/** The modules that are bundled, which are nowhere on disk. @type {import("esbuild").Plugin} */
const MODULES = {
  name: "bundles",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^bundle:/ }, ({ path }) => ({ path: path.slice("bundle:".length), namespace: "bundle" }));
    onLoad({ filter: /./, namespace: "bundle" }, ({ path }) => {
      const { sideEffects, exports } = /** @type {typeof BUNDLES[number]} */ (BUNDLES.find(({ name }) => name === path));
      return { contents: [...sideEffects, ...exports].join("\n"), resolveDir: new URL(".", ROOT).pathname };
    });
  },
};

/** All bundles of a library; what they share is in a file of its own. @param {string} library @returns {Promise<[string, string][]>} name -> text */
async function bundled(library) {
  const names = BUNDLES.filter((bundle) => bundle.library === library).map(({ name }) => name);
  const result = await build({
    entryPoints: names.map((name) => ({ in: `bundle:${name}`, out: name })),
    outdir: FOLDER.pathname,
    splitting: true,
    chunkNames: `${library}-[hash]`,
    plugins: [MODULES],
    ...OPTIONS,
    banner: { js: await banner(library) },
  });
  return result.outputFiles.map(({ path, text }) => [path.split("/").at(-1) ?? "", text]);
}

/** @returns {Promise<Map<string, string>>} file name -> content */
async function make() {
  const files = new Map();
  for (const library of LIBRARIES) {
    for (const [name, text] of await bundled(library)) files.set(name, text);
    files.set(`LICENSE-${library}.txt`, await read(library, "LICENSE"));
  }
  for (const { name, exports } of BUNDLES) files.set(`${name}.d.ts`, `${exports.join("\n")}\n`);
  for (const { name, library, file } of STYLES) {
    files.set(name, `${await banner(library)}\n${await read(library, file)}\n`);
  }
  files.set("manifest.json", await manifest(files));
  return files;
}

/** @param {Map<string, string>} files */
async function manifest(files) {
  const libraries = [];
  for (const library of LIBRARIES) {
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
