"""Node.js."""

from __future__ import annotations

import json
import re

from sandbox.languages.language import Errors, Example, Language, Manifest, Page, Waiting

EXTENSIONS = (".js", ".mjs", ".cjs")

# The words by which a program asks Node how long ago its process was started. And what still tells of the warm-up: the
# environment as the kernel remembers it, the scripts that V8 has compiled, and the list of modules that Node has
# loaded, also as a part of `process`.
LOOKS_BACK = re.compile(
    r"uptime|performance|perf_hooks|timeOrigin|timeStamp|environ\b|inspector|moduleLoadList|\(\s*process\s*[,)]"
)

# What only modules may have. Whether a source is one is for Node to find out by trying: a match too many costs the time
# of an interpreter's start. `import(` is a call, which every program may make.
MODULE = re.compile(r"\b(?:import\b(?!\s*\()|export\b|await\b)")

DETECT = ("--experimental-detect-module", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON")


def options_of(source: str) -> tuple[str, ...]:
    """Have Node take a source for a module that is no script: as if it were called `.mjs`."""
    return DETECT if MODULE.search(source) else ()


def main_of(manifest: bytes) -> tuple[str, ...]:
    """Where Node looks for the `main` of a package.json: as it is, with `.js`, and as a folder with an index.js."""
    try:
        main = json.loads(manifest)["main"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ()
    if not isinstance(main, str):
        return ()
    path = main.removeprefix("./").rstrip("/")
    itself = (path,) if path.endswith(EXTENSIONS) else ()
    return (*itself, f"{path}.js", f"{path}/index.js")


HELLO = """\
console.log("Hello from Node.js", process.version);
"""
LOOP = """\
for (let number = 1; number <= 5; number++) {
  console.log(`${number} squared is ${number * number}`);
}
"""
NETWORK = """\
require("node:https")
  .get("https://example.com", (answer) => console.log(answer.statusCode))
  .on("error", (problem) => {
    console.error(problem.message);
    process.exitCode = 1;
  });
"""

ERRORS = Errors(
    place=r"/app/user_code\.js:(\d+)(?::\d+)?",
    # The innermost call comes first.
    failed="first",
    # A place, the line there, carets.
    report=r"^.*:\d+\n.*\n[ \t]*\^+\n\n?",
    # The line above the first call.
    stack=r"^(?! {4}at ).*\n {4}at ",
)

PAGE = Page(
    grammar="javascript",
    tab_size=2,
    comment="//",
    errors=ERRORS,
    welcome='const name = "world";\nconsole.log(`Hello, ${name}!`);\n',
    examples=(
        Example("node-hello", "Node hello", HELLO),
        Example("node-loop", "Node loop", LOOP),
        Example("node-network", "Node network", NETWORK),
    ),
)

LANGUAGE = Language(
    name="node",
    title="Node.js 20",
    aliases=("js", "javascript", "nodejs"),
    file_name="user_code.js",
    extensions=EXTENSIONS,
    entry_names=("index.js", "main.js"),
    interpreter="node",
    source_options=options_of,
    pool=2,
    proof="console.log(6 * 7)",
    page=PAGE,
    waiting=Waiting(not_for=LOOKS_BACK, warm_up=(("NODE_OPTIONS", "-r /sandbox/warm_up.cjs"),)),
    manifest=Manifest("package.json", main_of),
)
