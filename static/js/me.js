/** Who this browser is to the server: asked of `GET /me`, changed by signing in and out, the same in all of its tabs. */
import * as api from "./api.js";
import { limits } from "./config.js";

/** @typedef {import("./types.js").Me} Me */

/** The other tabs of this browser have the same cookie. */
const tabs = new BroadcastChannel("sce.owner");

/** @type {Me} what the server said last; nobody before that */
let me = { owner: "", is_operator: false, key_required: false, max_code_characters: limits.max_code_characters };
let isKnown = false;
/** Counts questions and changes, so that an answer to an older one is dropped. */
let asked = 0;
/** @type {() => void} called as soon as the runs of before are somebody else's */
let changed = () => {};
/** @type {() => void} called when somebody has signed in or out, in whichever tab */
let switched = () => {};

export const current = () => me;

/** The name of the key that this browser is signed in with, or "". */
export const keyName = () => (me.owner.startsWith("key:") ? me.owner.slice("key:".length) : "");

/** Whether nothing can be run or seen before somebody signs in. */
export const needsKey = () => me.key_required && !keyName();

/** Ask the server once more. @returns {Promise<boolean>} whether this is somebody else now @throws {api.Failure} */
export async function look() {
  const mine = ++asked;
  const answer = await api.json("/me");
  return mine === asked && adopt(answer);
}

/** @param {string} key @throws {api.Failure} with code `wrong_key` when it is none */
export async function signIn(key) {
  adopt(await api.json("/sign-in", api.post({ key })));
  tell();
}

/** Give the key up; this browser is itself again. @throws {api.Failure} */
export async function signOut() {
  adopt(await api.json("/sign-out", { method: "POST" }));
  tell();
}

function tell() {
  tabs.postMessage("");
  switched();
}

/** @param {Me} now @returns {boolean} whether this is somebody else */
function adopt(now) {
  asked += 1;
  const isOther =
    !isKnown || now.owner !== me.owner || now.is_operator !== me.is_operator || now.key_required !== me.key_required;
  [me, isKnown] = [now, true];
  if (isOther) changed();
  return isOther;
}

/** @param {{changed: () => void, switched: () => void}} on */
export function install(on) {
  ({ changed, switched } = on);
  tabs.addEventListener("message", switched);
  // Brought back by the Back button as it was when it was left, perhaps by somebody else.
  addEventListener("pageshow", ({ persisted }) => void (persisted && switched()));
}
