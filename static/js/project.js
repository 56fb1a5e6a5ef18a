/** The files of a program, and which of them it begins with: values that are never changed, and what is made of them. */

/** @typedef {import("./types.js").ProjectFile} ProjectFile */
/** @typedef {import("./types.js").Project} Project */
/** @typedef {import("./types.js").Language} Language */

const LONGEST_PART = 255;

/** A program of one file. @param {Language} language @param {string} code @returns {Project} */
export function single({ entry_names, file_name }, code) {
  const path = entry_names[0] ?? file_name;
  return { entry: path, files: [{ path, text: code }] };
}

/** Whether it is one file whose name nobody cares about: it is sent as `code`, and shown without tabs. @param {Project} project @param {Language} language */
export const isSingle = ({ entry, files }, { entry_names, file_name }) =>
  files.length === 1 && files[0].text !== undefined && [file_name, ...entry_names].includes(entry);

/** @param {Project} project @param {string} path @returns {ProjectFile | undefined} */
export const fileAt = ({ files }, path) => files.find((file) => file.path === path);

/** @param {Project} project @param {string} [path] @returns {string} nothing of what is no text */
export const textAt = (project, path = project.entry) => fileAt(project, path)?.text ?? "";

/** With these files, instead of those with the same names. @param {Project} project @param {ProjectFile[]} added @returns {Project} */
export function withFiles(project, added) {
  const byPath = new Map([...project.files, ...added].map((file) => [file.path, file]));
  return { ...project, files: [...byPath.values()] };
}

/** @param {Project} project @param {string} path @param {Language} language @returns {Project} it keeps a file to begin with */
export function without({ entry, files }, path, language) {
  const left = files.filter((file) => file.path !== path);
  return { entry: entry === path ? begin(left, language) : entry, files: left };
}

/** @param {Project} project @param {string} from @param {string} to @returns {Project} */
export const renamed = ({ entry, files }, from, to) => ({
  entry: entry === from ? to : entry,
  files: files.map((file) => (file.path === from ? { ...file, path: to } : file)),
});

/** The file that a program begins with when nobody has said so. @param {ProjectFile[]} files at least one @param {Language} language */
export const begin = (files, language) =>
  (proposeEntry(files.map(({ path }) => path), language) || files.find(({ text }) => text !== undefined)?.path) ?? files[0].path;

/**
 * The entry that the server would choose, or the best guess of one; "" when there is none.
 * @param {string[]} paths
 * @param {Language} language
 */
export function proposeEntry(paths, language) {
  const fitting = paths.filter((path) => !path.startsWith("__MACOSX/") && isIn(path, language));
  const depth = (/** @type {string} */ path) => path.split("/").length;
  for (const wanted of language.entry_names) {
    const same = fitting.filter((path) => path.split("/").at(-1) === wanted).sort((a, b) => depth(a) - depth(b));
    if (same.length) return same[0];
  }
  return fitting.length === 1 ? fitting[0] : "";
}

/** Whether a file of that name is a program of the language. @param {string} path @param {Language} language */
export const isIn = (path, { extensions }) => extensions.some((extension) => path.endsWith(extension));

/** As a request takes it. @param {Project} project @param {Language} language */
export function asRequest(project, language) {
  if (isSingle(project, language)) return { code: textAt(project) };
  const files = project.files.map(({ path, text, base64 }) => [path, text ?? { base64: base64 ?? "" }]);
  return { files: /** @type {import("./types.js").Files} */ (Object.fromEntries(files)), entry: project.entry };
}

/** What a request, a link or the history holds. @param {import("./types.js").Code} program @param {Language} language @returns {Project} */
export function fromRequest({ code = "", files, entry }, language) {
  if (!files || !entry) return single(language, code);
  return { entry, files: Object.entries(files).map(([path, file]) => ({ path, ...(typeof file === "string" ? { text: file } : file) })) };
}

/** What the program's files are called where it runs, and here. @param {Project} project @param {Language} language @returns {Map<string, string>} */
export const placesOf = (project, language) =>
  new Map(isSingle(project, language) ? [[language.file_name, project.entry]] : [project.entry, ...project.files.map(({ path }) => path)].map((path) => [path, path]));

/** What is wrong with a name; "" when it can be given to a file. @param {string} path @param {string[]} others names there are */
export function problemOf(path, others) {
  const parts = path.split("/");
  if (!path) return "A file needs a name.";
  if (others.includes(path)) return `There is a file ${path} already.`;
  if (/[\x00-\x1f\x7f\\]/.test(path)) return "A name has neither backslashes nor control characters.";
  if (parts.some((part) => ["", ".", ".."].includes(part))) return "A name says the way from the program's folder: folder/file.py.";
  if (parts.some((part) => part.length > LONGEST_PART)) return `No part of a name has more than ${LONGEST_PART} characters.`;
  const folder = others.find((other) => other.startsWith(`${path}/`) || path.startsWith(`${other}/`));
  return folder ? `${folder} is in the way: a name is that of a file or that of a folder.` : "";
}
