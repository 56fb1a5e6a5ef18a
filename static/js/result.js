/** Results in words. */

/** @typedef {import("./types.js").Result} Result */

/** @param {Pick<Result, "status" | "exit_code" | "signal">} result @returns {{words: string, tone: import("./types.js").Tone}} */
export function verdict({ status, exit_code, signal }) {
  switch (status) {
    case "ok":
      return { words: "Finished", tone: "good" };
    case "timeout":
      return { words: "Timed out", tone: "warn" };
    case "memory":
      return { words: "Out of memory", tone: "bad" };
    case "output_limit":
      return { words: "Too much output", tone: "warn" };
    case "cancelled":
      return { words: "Stopped", tone: "warn" };
    case "compile_error":
      return { words: "Does not compile", tone: "bad" };
    default:
      return { words: signal ? `Killed by ${signal}` : `Exit ${exit_code}`, tone: "bad" };
  }
}

/** All that its compiler said; nothing when there was none. @param {Pick<Result, "compile">} result */
export const compilerText = ({ compile }) => (compile ? compile.output + compile.error : "");

/** Whether a program that asks for input line by line found no more, as those languages say it that fail then. @param {Pick<Result, "status" | "error">} result */
export const lacksInput = ({ status, error }) =>
  status === "error" && /^EOFError: EOF when reading a line$|end of file reached \(EOFError\)$/m.test(error);

/** @param {number} milliseconds */
export function duration(milliseconds) {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

/** A time to wait, as people say it. @param {number} seconds whole ones */
export const waiting = (seconds) => (seconds <= 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`);

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const kibibytes = bytes / 1024;
  return kibibytes < 1024 ? `${kibibytes.toFixed(1)} KB` : `${(kibibytes / 1024).toFixed(1)} MB`;
}

/** @param {number} kibibytes */
const memory = (kibibytes) =>
  kibibytes < 1024 ? `${kibibytes} KB` : `${(kibibytes / 1024).toFixed(kibibytes < 10240 ? 1 : 0)} MB`;

/** Time, CPU, memory, and whether output was cut: what is known of it. @param {Result} result */
export function measures(result) {
  const parts = [duration(result.duration_ms)];
  if (result.cpu_ms !== null) parts.push(`CPU ${duration(result.cpu_ms)}`);
  if (result.memory_kb !== null) parts.push(`memory ${memory(result.memory_kb)}`);
  if (result.queued_ms >= 100) parts.push(`waited ${duration(result.queued_ms)}`);
  if (result.truncated) parts.push("output cut in the middle");
  return parts.join(" · ");
}

/** @param {string} timestamp ISO 8601 @param {number} [now] milliseconds */
export function ago(timestamp, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - Date.parse(timestamp)) / 1000));
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(timestamp).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}
