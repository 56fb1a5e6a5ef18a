/** Puts the page together: each module has one concern, and this one knows them all. */
import * as api from "./api.js";
import * as batch from "./batch.js";
import { asked, ready } from "./config.js";
import { byId, make } from "./dom.js";
import * as editor from "./editor.js";
import * as files from "./files.js";
import * as help from "./help.js";
import * as history from "./history.js";
import * as inputs from "./inputs.js";
import * as me from "./me.js";
import * as output from "./output.js";
import * as program from "./program.js";
import { textAt } from "./project.js";
import * as run from "./run.js";
import * as service from "./service.js";
import * as share from "./share.js";
import * as signin from "./signin.js";
import { snippets } from "./snippets.js";
import * as status from "./status.js";
import * as tabs from "./tabs.js";
import * as theme from "./theme.js";
import * as toasts from "./toast.js";
import * as zip from "./zip.js";

/** @returns {Promise<run.Order>} what Run runs now @throws {Error} a sentence, when it cannot be run */
const order = async () => (tabs.mode() === "zip" ? zipOrder() : codeOrder());

/** @returns {run.Order} */
function codeOrder() {
  const [count, most] = [editor.characters(), me.current().max_code_characters];
  if (!textAt(program.now()).trim()) throw new Error("There is no code to run. Write some, or choose an example.");
  if (program.isAlone() && count > most) {
    throw new Error(
      `The code has ${count} characters; the limit is ${most}. Shorten it, or make it two files with +.`,
    );
  }
  return { path: "/run", options: api.post({ ...program.current(), ...asked }), source: program.source() };
}

/** @returns {Promise<run.Order>} */
async function zipOrder() {
  const body = await zip.form(program.language(), inputs.read());
  return { path: "/run-zip", options: { method: "POST", body }, source: null };
}

/** @param {import("./snippets.js").Snippet} snippet */
function useSnippet(snippet) {
  program.load({ language: snippet.language, code: snippet.code, args: [], stdin: "" }, `Example: ${snippet.label}.`);
}

/** @param {import("./types.js").Language} language */
function examplesOf({ name, title }) {
  const buttons = snippets.filter((snippet) => snippet.language === name).map((snippet) => {
    const attributes = { type: "button", "data-snippet": snippet.id, onclick: () => useSnippet(snippet) };
    return make("button", attributes, snippet.label);
  });
  const heading = make("span", { class: "hint", "aria-hidden": "true" }, title);
  return make("div", { role: "group", "aria-label": title, "data-language": name }, heading, ...buttons);
}

function installExamples() {
  const groups = ready.map(examplesOf);
  const isChosen = (/** @type {HTMLElement} */ group) => group.dataset.language === program.language();
  // Only when a language is chosen: an example of another one does not move away under the pointer.
  const show = () => {
    byId("examples").replaceChildren(...groups.filter(isChosen), ...groups.filter((group) => !isChosen(group)));
    byId("examples").scrollLeft = 0;
  };
  byId("language").addEventListener("change", show);
  show();
}

/** @param {import("./types.js").PastRun} past */
function reopen(past) {
  tabs.choose(past.kind === "zip" ? "zip" : "code");
  if (past.kind === "code") program.load(past, "Loaded from the history; nothing was run.");
  else toasts.toast("This is its result. The history does not keep the files of a program.");
  if (run.isRunning()) return;
  run.showPast(past, past.kind === "code" ? program.source() : null);
  status.reveal();
}

/** @param {import("./types.js").PastRun} past */
function rerun(past) {
  tabs.choose("code");
  program.load(past, "Running again.");
  run.start(order);
}

/** @param {import("./types.js").Place} place in the program whose output is shown */
function goTo(place) {
  const source = run.source();
  if (!source || !program.bring(source, place.path)) return toasts.toast("The program of this line is not in the editor any more.");
  tabs.choose("code");
  files.reveal();
  editor.goTo(place.line);
  program.mark(source, place);
}

toasts.install();
inputs.install();
program.install();
files.install();
tabs.install();
theme.install();
help.install();
output.install({
  cleared: () => {
    run.clearResult();
    if (!run.isRunning()) status.badge("Ready", "idle");
    status.clearNotice();
    program.clearMarks();
  },
  goTo,
  names: run.names,
});
installExamples();
zip.install({
  open: (file) => {
    tabs.choose("code");
    files.receive([{ path: file.name, blob: file }]);
  },
});
batch.install({ program: program.current, finished: history.refresh });
signin.install();
me.install({
  changed: () => {
    history.disown();
    signin.show();
    program.count();
  },
  switched: history.refresh,
});
history.install({ open: reopen, rerun });
run.install({
  order,
  finished: (isFine) => {
    history.refresh();
    status.reveal();
    if (isFine) service.isFine();
    else service.look();
  },
});
share.install();
service.install({ ready: history.retry });
run.recall();
document.body.dataset.ready = "true";
