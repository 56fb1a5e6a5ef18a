/** Storage of the browser that may be full or forbidden: then nothing is kept, and nothing breaks. */

const PREFIX = "sce.";

/** @param {Storage} area */
const over = (area) => ({
  /** @param {string} key @returns {string | null} */
  get(key) {
    try {
      return area.getItem(PREFIX + key);
    } catch {
      return null;
    }
  },
  /** @param {string} key @param {string} value @returns {boolean} false when it is full or forbidden */
  set(key, value) {
    try {
      area.setItem(PREFIX + key, value);
      return true;
    } catch {
      return false;
    }
  },
  /** @param {string} key */
  remove(key) {
    try {
      area.removeItem(PREFIX + key);
    } catch {
      // Forbidden.
    }
  },
});

/** @type {Pick<Storage, "getItem" | "setItem" | "removeItem">} */
const nothing = { getItem: () => null, setItem: () => {}, removeItem: () => {} };

/** @param {"localStorage" | "sessionStorage"} name */
function area(name) {
  try {
    return over(window[name]);
  } catch {
    return over(/** @type {Storage} */ (nothing));
  }
}

/** Kept until deleted. */
export const local = area("localStorage");
/** Kept as long as the tab. */
export const session = area("sessionStorage");
/** What is being written: each tab has its own, and a new tab begins with what was kept last in any. */
export const drafts = {
  /** @param {string} key */
  get: (key) => session.get(key) ?? local.get(key),
  /** @param {string} key @param {string} value @returns {boolean} whether this tab has it after a reload */
  set(key, value) {
    local.set(key, value);
    return session.set(key, value);
  },
};
