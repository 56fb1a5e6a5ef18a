/** The files that a program has made: pictures are shown, all can be saved. None of them becomes part of the page. */
import { toBytes } from "./base64.js";
import { make } from "./dom.js";
import { size } from "./result.js";
import { save } from "./save.js";

/** @typedef {import("./types.js").Artifact} Artifact */

/** What `img` shows. In there, an SVG runs no script and loads nothing. */
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/svg+xml", "image/webp"];

/** Why a file is not here, by the server's word for it. @type {Record<string, string>} */
const REASONS = {
  link: "a link, or another name of a file that was sent",
  special: "no file, but a device, a pipe or a socket",
  name: "its name cannot be shown",
  depth: "too many folders in each other",
  count: "there are more files than a run may give back",
  size: "too large for what a run may give back",
  unreadable: "it cannot be read",
  not_kept: "too large to be sent with the result, and this server keeps no files",
  incomplete: "looking for them took too long",
  more: "more than can be listed",
};

/** The files of one result, in the order in which they came. */
export class Artifacts {
  #pictures = make("div", { class: "pictures" });
  #files = make("ul", { class: "made" });
  #omitted = make("ul", { class: "hint" });
  #count = 0;

  /** @param {HTMLElement} root hidden as long as there is nothing to see */
  constructor(root) {
    this.root = root;
    root.append(this.#pictures, this.#files, this.#omitted);
    this.clear();
  }

  clear() {
    for (const part of [this.#pictures, this.#files, this.#omitted]) part.replaceChildren();
    this.#count = 0;
    this.root.hidden = true;
  }

  /** @param {Artifact} artifact */
  add(artifact) {
    if (PICTURES.includes(artifact.media_type)) this.#pictures.append(picture(artifact));
    else this.#files.append(make("li", {}, ...description(artifact)));
    this.#count += 1;
    this.root.hidden = false;
  }

  /** The run is over: add what did not come while it ran. @param {import("./types.js").Result} result */
  settle({ artifacts = [], artifacts_omitted: omitted = [] }) {
    for (const artifact of artifacts.slice(this.#count)) this.add(artifact);
    this.#omitted.replaceChildren(...omitted.map(omission));
    if (omitted.length) this.root.hidden = false;
  }

  /** How many there are, in words; nothing of none. */
  words() {
    if (!this.#count) return "";
    return this.#count === 1 ? "1 file" : `${this.#count} files`;
  }
}

/** @param {import("./types.js").Omitted} omitted */
const omission = ({ path, reason }) =>
  make("li", {}, make("bdi", { class: "name" }, path || "Other files"), ` left out: ${REASONS[reason] ?? reason}.`);

/** @param {Artifact} artifact */
function picture(artifact) {
  const { path, media_type, base64, url } = artifact;
  const image = make("img", { alt: path, src: url ?? `data:${media_type};base64,${base64}` });
  image.addEventListener("error", () => image.replaceWith(make("p", { class: "hint" }, "This picture cannot be shown.")));
  return make("figure", {}, make("figcaption", {}, ...description(artifact)), image);
}

/** @param {Artifact} artifact */
const description = (artifact) => [
  make("bdi", { class: "name" }, artifact.path),
  make("span", { class: "hint" }, size(artifact.bytes)),
  download(artifact),
];

/** @param {Artifact} artifact */
function download({ path, media_type, base64, url }) {
  const name = path.split("/").at(-1) ?? path;
  const label = `Download ${path}`;
  if (url) return make("a", { class: "button", href: url, download: name, "aria-label": label }, "Download");
  const act = () => save(new Blob([toBytes(base64 ?? "")], { type: media_type }), name);
  return make("button", { type: "button", class: "quiet", "aria-label": label, onclick: act }, "Download");
}
