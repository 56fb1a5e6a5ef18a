/**
 * The shapes that travel between the server and the modules of this page. Types only.
 *
 * @typedef {{name: string, title: string, aliases: string[], file_name: string, extensions: string[],
 *   entry_names: string[], page: LanguagePage, ready?: boolean, add_with?: string | null}} Language
 * What a language is on the page; sandbox/languages/language.py says what each part means.
 * @typedef {{grammar: string, tab_size: number, comment: string, errors: Errors, welcome: string,
 *   examples: Example[]}} LanguagePage
 * @typedef {{place: string, failed: "first" | "last", report: string | null, stack: string | null}} Errors
 * @typedef {{id: string, label: string, code: string, is_last: boolean}} Example
 * @typedef {{timeout_seconds: number, memory_mb: number, max_code_characters: number, max_batch_tasks: number,
 *   max_upload_bytes: number, max_stdin_bytes: number, max_args: number, max_arg_characters: number,
 *   output_bytes: number, max_archive_members: number, max_archive_bytes: number}} Limits
 * @typedef {{languages: Language[], limits: Limits, artifacts?: {count: number, bytes: number, inline_bytes: number}}} Config
 *
 * @typedef {"ok" | "error" | "timeout" | "memory" | "output_limit" | "cancelled" | "compile_error"} Status
 * @typedef {{id: string, language: string, status: Status, output: string, error: string, exit_code: number,
 *   signal: string | null, truncated: boolean, duration_ms: number, cpu_ms: number | null,
 *   memory_kb: number | null, queued_ms: number, compile?: Compile | null, artifacts?: Artifact[], artifacts_omitted?: Omitted[]}} Result
 * What the compiler of a language that has one has left.
 * @typedef {{output: string, error: string, exit_code: number, duration_ms: number}} Compile
 * A file that the program has made: its contents, or where the server has them.
 * @typedef {{path: string, bytes: number, media_type: string, base64?: string, url?: string}} Artifact
 * @typedef {{path: string, reason: string}} Omitted
 * @typedef {Result & {owner: string, timestamp: string, kind: "code" | "files" | "zip", code: string, entry: string, archive: string,
 *   args: string[], stdin: string, shortened?: string[]}} PastRun
 * @typedef {Record<string, string | {base64: string}>} Files contents by path
 * One file, or several of which one is the entry.
 * @typedef {{code?: string, files?: Files, entry?: string}} Code
 * @typedef {{language: string, stdin: string, args: string[]} & Code} Program
 * @typedef {{path: string, text?: string, base64?: string}} ProjectFile a text, or what is none
 * @typedef {{entry: string, files: ProjectFile[]}} Project
 * The program of a run. Its edition tells what was typed since from what was put in its place.
 * @typedef {{language: string, project: Project, edition: number}} Source
 * @typedef {{path: string, line: number}} Place a line of a file, from 1
 * Whose a run is: `key:NAME`, `page:ID`, or "" when it is nobody's.
 * @typedef {{owner: string, is_operator: boolean, key_required: boolean, max_code_characters: number}} Me
 * @typedef {"stdout" | "stderr"} StreamName
 * @typedef {"good" | "bad" | "warn" | "running" | "idle"} Tone
 */
export {};
