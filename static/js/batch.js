/** Several programs in parallel: examples that were marked, or a list that was edited; results side by side. */
import * as api from "./api.js";
import { Artifacts } from "./artifacts.js";
import { asked, limits, ready } from "./config.js";
import { announce, byId, make } from "./dom.js";
import { checked } from "./inputs.js";
import { Pane } from "./pane.js";
import { compilerText, measures, verdict } from "./result.js";
import * as signin from "./signin.js";
import { snippets } from "./snippets.js";
import * as status from "./status.js";
import { drafts } from "./store.js";
import { toast } from "./toast.js";
import { join } from "./words.js";

/** @typedef {import("./types.js").Program} Program */
/** What was typed: the arguments as a line, sound or not. @typedef {{language: string, code?: string, line: string, stdin: string}} Typed */
/** @typedef {{element: HTMLElement, typed: () => Typed, read: () => Program, show: (result: import("./types.js").Result) => void,
 *   clear: () => void, snippet: string}} Task */

/** @type {Task[]} */
let tasks = [];
/** @type {() => void} */
let finished = () => {};

/** @param {Typed} program @param {string} [snippet] the example it came from @returns {boolean} whether there was room */
function add(program, snippet = "") {
  if (tasks.length >= limits.max_batch_tasks) {
    toast(`A batch has at most ${limits.max_batch_tasks} tasks.`);
    return false;
  }
  const task = makeTask(program, snippet);
  tasks.push(task);
  byId("batch-tasks").append(task.element);
  renumber();
  return true;
}

/** @param {Task} task */
function remove(task) {
  tasks = tasks.filter((other) => other !== task);
  task.element.remove();
  const mark = markOf(task.snippet);
  if (mark) mark.checked = false;
  renumber();
}

function renumber() {
  tasks.forEach(({ element }, index) => {
    const number = element.querySelector(".number");
    if (number) number.textContent = `${index + 1}.`;
    for (const label of element.querySelectorAll("[data-label]")) {
      label.setAttribute("aria-label", `${label.getAttribute("data-label")} ${index + 1}`);
    }
  });
  const count = `${tasks.length} of ${limits.max_batch_tasks} tasks`;
  byId("batch-state").textContent = count;
  /** @type {HTMLButtonElement} */ (byId("batch-run")).disabled = tasks.length === 0;
}

/** @param {Typed} program @param {string} snippet @returns {Task} */
function makeTask(program, snippet) {
  const language = make("select", { "data-label": "Language of task" }, ...byId("language").cloneNode(true).childNodes);
  language.value = program.language;
  const code = make("textarea", { spellcheck: "false", rows: "7", "data-label": "Code of task" });
  code.value = program.code ?? "";
  const args = make("input", { "data-label": "Arguments of task", placeholder: "Arguments", autocomplete: "off" });
  args.value = program.line;
  const stdin = make("textarea", { rows: "2", class: "short", "data-label": "Input of task", placeholder: "Standard input" });
  stdin.value = program.stdin;
  const given = make("details", {}, make("summary", {}, "Input"), args, stdin);
  given.open = Boolean(args.value || stdin.value);
  const badge = make("span", { class: "badge", "data-state": "idle" }, "Not run");
  const meta = make("span", { class: "meta" });
  const output = make("pre", { class: "console", tabindex: "0", role: "region", "data-label": "Output of task" });
  const pane = new Pane(output, true);
  const made = new Artifacts(make("div", { class: "artifacts", role: "group", "data-label": "Files of task" }));
  const drop = make("button", { type: "button", class: "quiet", "data-label": "Remove task", title: "Remove", onclick: () => remove(task) }, "×");
  const number = make("span", { class: "number" });
  const head = make("div", { class: "head" }, number, language, drop);
  const element = make("li", { class: "task" }, head, code, given, make("div", { class: "verdict" }, badge, meta), made.root, output);
  /** @type {Task} */
  const task = {
    element,
    snippet,
    typed: () => ({ language: language.value, code: code.value, line: args.value, stdin: stdin.value }),
    read: () => ({ language: language.value, code: code.value, ...checked(args.value, stdin.value) }),
    clear() {
      pane.clear();
      made.clear();
      badge.textContent = "Running";
      badge.dataset.state = "running";
      meta.textContent = "";
    },
    show(result) {
      const { words, tone } = verdict(result);
      badge.textContent = words;
      badge.dataset.state = tone;
      meta.textContent = measures(result);
      pane.clear();
      pane.write("stderr", compilerText(result));
      pane.write("stdout", result.output);
      pane.write("stderr", result.error);
      pane.showTop();
      made.settle(result);
    },
  };
  return task;
}

async function run() {
  const button = /** @type {HTMLButtonElement} */ (byId("batch-run"));
  const mine = tasks;
  status.clearNotice("batch-notice");
  const began = performance.now();
  try {
    const programs = mine.map((task) => ({ ...task.read(), ...asked }));
    button.disabled = true;
    for (const task of mine) task.clear();
    const { results } = await api.json("/run-batch", api.post({ tasks: programs }));
    mine.forEach((task, index) => task.show(results[index]));
    const took = ((performance.now() - began) / 1000).toFixed(2);
    byId("batch-state").textContent = `${results.length} tasks in ${took} s`;
    announce(`Batch finished: ${results.map((/** @type {any} */ result) => verdict(result).words).join(", ")}.`);
  } catch (problem) {
    fail(problem, mine);
  } finally {
    button.disabled = tasks.length === 0;
    finished();
  }
}

/** @param {unknown} problem @param {Task[]} mine */
function fail(problem, mine) {
  for (const { element } of mine) {
    const badge = /** @type {HTMLElement} */ (element.querySelector(".badge"));
    badge.textContent = "Not run";
    badge.dataset.state = "idle";
  }
  const failure = problem instanceof api.Failure ? problem : new api.Failure(String(/** @type {Error} */ (problem).message), "refused");
  // The server counts from 0, as programs do.
  failure.message = failure.message.replace(/^tasks\[(\d+)\]/, (_, index) => `Task ${Number(index) + 1}`);
  if (failure.needsKey) signin.offer(failure, run, "batch-notice");
  else status.notice(failure, failure.retryAfter || failure.code === "offline" ? run : null, "batch-notice");
}

/** @param {Program} program @throws {Error} when it has several files */
function oneFile(program) {
  if (program.files) throw new Error("A task here is a program of one file.");
  return program;
}

/** @param {HTMLInputElement} mark @param {import("./snippets.js").Snippet} snippet */
function toggle(mark, snippet) {
  const task = tasks.find((other) => other.snippet === snippet.id);
  if (!mark.checked && task) remove(task);
  else if (mark.checked) mark.checked = add({ ...snippet, line: "", stdin: "" }, snippet.id);
}

const save = () => drafts.set("batch", JSON.stringify(tasks.map((task) => ({ ...task.typed(), snippet: task.snippet }))));

/** The tasks that this tab had before it was reloaded. */
function restore() {
  /** @type {(Typed & {snippet: string})[]} */
  const kept = JSON.parse(drafts.get("batch") || "[]");
  for (const { snippet, ...typed } of kept) {
    add(typed, snippet);
    const mark = markOf(snippet);
    if (mark) mark.checked = true;
  }
}

/** @param {string} snippet */
const markOf = (snippet) => /** @type {HTMLInputElement | null} */ (document.getElementById(`mark-${snippet}`));

/** @param {{program: () => Program, finished: () => void}} on */
export function install(on) {
  finished = on.finished;
  for (const snippet of snippets) {
    const mark = make("input", { type: "checkbox", id: `mark-${snippet.id}` });
    mark.addEventListener("change", () => toggle(mark, snippet));
    byId("batch-marks").append(make("label", {}, mark, snippet.label));
  }
  byId("batch-add").addEventListener("click", () => {
    add({ language: ready[0].name, line: "", stdin: "" });
    tasks.at(-1)?.element.querySelector("textarea")?.focus();
  });
  byId("batch-current").addEventListener("click", () => {
    try {
      const program = oneFile(on.program());
      add({ ...program, line: join(program.args) });
    } catch (problem) {
      toast(/** @type {Error} */ (problem).message);
    }
  });
  byId("batch-run").addEventListener("click", run);
  addEventListener("keydown", (event) => {
    const runs = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (runs && document.body.dataset.mode === "batch" && !(/** @type {HTMLButtonElement} */ (byId("batch-run")).disabled)) {
      event.preventDefault();
      run();
    }
  });
  addEventListener("pagehide", save);
  restore();
  renumber();
}
