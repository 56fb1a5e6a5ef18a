/** Signing in with a key, and out again. The key is sent once, and kept nowhere on this page. */
import { Failure, KEY_REQUIRED } from "./api.js";
import { byId } from "./dom.js";
import * as me from "./me.js";
import * as status from "./status.js";
import { toast } from "./toast.js";

const dialog = /** @type {HTMLDialogElement} */ (byId("key-dialog"));
const field = /** @type {HTMLInputElement} */ (byId("key"));
const submit = /** @type {HTMLButtonElement} */ (byId("key-submit"));
const button = byId("sign");

/** What could not be done without a key. @type {(() => void) | null} */
let after = null;
/** Who was signed in when that was shown last. */
let shownName = "";
/** Whoever signs out knows that it takes a key to come back. */
let isLeaving = false;

/** Ask for a key. @param {() => void} [then] done once somebody has signed in here */
export function ask(then) {
  after = then ?? after;
  if (dialog.open) return;
  complain("");
  byId("key-before").hidden = !me.current().owner.startsWith("page:");
  dialog.returnValue = "";
  dialog.showModal();
}

/**
 * Say that something could not be done without a key, and ask for one.
 * @param {Failure} failure
 * @param {() => void} again what shall be done then
 * @param {string} [id] which notice
 */
export function offer(failure, again, id) {
  status.notice(failure, () => ask(again), id);
  ask(again);
}

/** @param {string} sentence */
function complain(sentence) {
  byId("key-problem").textContent = sentence;
  field.setAttribute("aria-invalid", String(Boolean(sentence)));
}

async function send() {
  submit.disabled = true;
  try {
    await me.signIn(field.value.trim());
    dialog.close("in");
  } catch (problem) {
    complain(why(problem));
    field.select();
  } finally {
    submit.disabled = false;
  }
}

/** @param {unknown} problem */
const why = (problem) =>
  problem instanceof Failure && problem.code === "wrong_key"
    ? "This server does not know this key. It may have been cut off, or revoked."
    : /** @type {Error} */ (problem).message;

function closed() {
  const [isIn, act] = [dialog.returnValue === "in", after];
  after = null;
  field.value = "";
  if (!isIn) return;
  status.recover([KEY_REQUIRED, "quota"]);
  toast(`Signed in as ${me.keyName()}.`);
  act?.();
}

async function leave() {
  isLeaving = true;
  try {
    await me.signOut();
    toast("Signed out.");
  } catch (problem) {
    toast(/** @type {Error} */ (problem).message);
  } finally {
    isLeaving = false;
  }
}

/** Show who is signed in; ask where nothing works without. */
export function show() {
  const name = me.keyName();
  byId("who").hidden = !name;
  byId("who-name").textContent = name;
  button.hidden = false;
  button.textContent = name ? "Sign out" : "Sign in";
  if (me.needsKey() && !isLeaving) ask();
  else if (name && dialog.open) dialog.close("in");
  if (shownName && !name && !isLeaving) {
    toast(`No longer signed in as ${shownName}: the key was revoked, or you signed out elsewhere.`);
  }
  shownName = name;
}

export function install() {
  button.addEventListener("click", () => (me.keyName() ? leave() : ask()));
  byId("key-cancel").addEventListener("click", () => dialog.close());
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  dialog.addEventListener("close", closed);
}
