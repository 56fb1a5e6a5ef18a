/** Whose runs are seen, and by whom, in words. */
import * as me from "./me.js";

/** What "anyone's" means, wherever it is said. */
const ANYONES = "anyone's (sent without this page and without a key)";

export const title = () => (me.current().is_operator ? "Everybody's history" : "Your history");

/** The line under the heading: who sees what. */
export function whoSees() {
  const { owner, is_operator } = me.current();
  if (me.needsKey()) return "This server asks for a key: sign in to run programs and to see your runs.";
  if (is_operator) return `Signed in as ${me.keyName()}, an operator: you see everybody's runs.`;
  if (me.keyName()) return `Signed in as ${me.keyName()}: whoever has this key sees these runs.`;
  if (owner) return "Only this browser sees these runs. If you clear its cookies, you lose sight of them.";
  return "This browser has no cookie of this page, so your runs are anyone's: everybody sees them. Reload the page to get one.";
}

/** What the mark on a run of nobody means. */
export const whoSeesAnyones = () =>
  `“Anyone's” runs were sent without this page and without a key, as by curl: ${me.current().key_required ? "only operators see" : "everybody sees"} them.`;

/** The mark of a run: nothing where it can only be one's own. @param {string} owner */
export function mark(owner) {
  if (!owner) return "anyone's";
  if (!me.current().is_operator) return "";
  if (owner === me.current().owner) return "yours";
  const [kind, name] = owner.split(":");
  return kind === "key" ? name : `browser ${name.slice(0, 4)}`;
}

/** What the button deletes. */
export function whatIsDeleted() {
  const { owner, is_operator, key_required } = me.current();
  const name = me.keyName();
  const own = name ? `the runs of the key ${name}, for everybody who has it` : "the runs of this browser";
  if (is_operator) return `Mine are ${own}; ${ANYONES} are deleted with them. Everybody's are all runs that this server has kept.`;
  if (key_required) return `This deletes ${own}.`;
  const anyones = `for everybody, those that are ${ANYONES}`;
  return owner ? `This deletes ${own} and, ${anyones}.` : `This deletes, ${anyones}.`;
}
