/** Numbers and results in words. */
/** @import {HistoryRow, Result} from "./types.js" */

/** @typedef {"idle" | "busy" | "ok" | "bad" | "warn"} Tone */

/** @param {number} milliseconds */
export function duration(milliseconds) {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

/** @param {number} count @param {string} noun */
export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/**
 * How a run ended, in a word or three.
 *
 * @param {Pick<Result, "status" | "exit_code" | "signal">} result
 * @returns {{text: string, tone: Tone}}
 */
export function verdict({ status, exit_code, signal }) {
  switch (status) {
    case "ok":
      return { text: "Finished", tone: "ok" };
    case "error":
      return { text: signal ? `Killed by ${signal}` : `Exit ${exit_code}`, tone: "bad" };
    case "timeout":
      return { text: "Timed out", tone: "warn" };
    case "memory":
      return { text: "Out of memory", tone: "warn" };
    case "output_limit":
      return { text: "Too much output", tone: "warn" };
    case "cancelled":
      return { text: "Stopped", tone: "idle" };
    default:
      return { text: String(status), tone: "idle" };
  }
}

/**
 * Time, CPU and memory of a run; what nobody could measure is left out.
 *
 * @param {Result} result
 * @returns {[string, string][]}
 */
export function figures({ duration_ms, cpu_ms, memory_kb, queued_ms }) {
  /** @type {[string, string][]} */
  const pairs = [["Time", duration(duration_ms)]];
  if (cpu_ms !== null) pairs.push(["CPU", duration(cpu_ms)]);
  if (memory_kb !== null) pairs.push(["Peak memory", size(memory_kb * 1024)]);
  if (queued_ms >= 100) pairs.push(["Waited", duration(queued_ms)]);
  return pairs;
}

/** @param {string} timestamp ISO 8601 */
export function when(timestamp) {
  const date = new Date(timestamp);
  const isToday = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return isToday ? time : `${date.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time.slice(0, 5)}`;
}

/** @param {HistoryRow} row its name in a list: the archive's entry, or the first line that says something */
export function title(row) {
  if (row.kind === "zip") return `${row.archive}: ${row.entry}`;
  return row.code.split("\n").find((line) => line.trim())?.trim() ?? "(empty)";
}
