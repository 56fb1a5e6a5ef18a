/**
 * Makes static/bundle from static/js, static/css and static/vendor: `npm run bundle`, after every change there.
 *
 * The page then loads one style sheet, and one script in two files: the second has what the editor shares with the
 * grammars that are fetched when somebody needs them. Each begins with a hash of what it was made from; a bundle
 * that is not of the present files is not served (web/assets.py), so that nobody has to make one to try a change.
 * `npm run bundle:check` fails when what is in git is not what this makes.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";
import { OPTIONS } from "./esbuild.mjs";

const STATIC = new URL("../static/", import.meta.url);
const SOURCES = ["css", "js", "vendor"];
const ENTRIES = ["css/page.css", "js/main.js"];

/** The same as `sources_hash` in web/assets.py. */
async function sourcesHash() {
  const digest = createHash("sha256");
  for (const folder of SOURCES) {
    const names = (await readdir(new URL(`${folder}/`, STATIC))).filter((name) => /\.(js|css)$/.test(name));
    for (const name of names.sort()) {
      digest.update(`${folder}/${name}\0`).update(await readFile(new URL(`${folder}/${name}`, STATIC))).update("\0");
    }
  }
  return digest.digest("hex");
}

/** @returns {Promise<Map<string, string>>} file name -> content */
async function make() {
  const banner = `/* Made by scripts/bundle.mjs; licences: ../vendor. Sources: ${await sourcesHash()} */`;
  const result = await build({
    entryPoints: ENTRIES.map((name) => new URL(name, STATIC).pathname),
    outdir: new URL("bundle", STATIC).pathname,
    entryNames: "[name]",
    splitting: true,
    chunkNames: "[name]-[hash]",
    banner: { js: banner, css: banner },
    ...OPTIONS,
  });
  return new Map(result.outputFiles.map(({ path, text }) => [path.split("/").at(-1) ?? "", text]));
}

const FOLDER = new URL("bundle/", STATIC);
const files = await make();
if (process.argv.includes("--check")) {
  const present = await readdir(FOLDER).catch(() => []);
  for (const name of new Set([...present, ...files.keys()])) {
    if ((await readFile(new URL(name, FOLDER), "utf8").catch(() => "")) === files.get(name)) continue;
    console.error(`static/bundle/${name} is not made of the present files: npm run bundle`);
    process.exit(1);
  }
} else {
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true });
  for (const [name, text] of files) await writeFile(new URL(name, FOLDER), text);
}
console.log(`static/bundle: ${files.size} files ${process.argv.includes("--check") ? "checked" : "written"}.`);
