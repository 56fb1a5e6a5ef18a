"""Node.js."""

from __future__ import annotations

import json
import re

from sandbox.languages.language import Language, Manifest, Waiting

EXTENSIONS = (".js", ".mjs", ".cjs")

# The words by which a program asks Node how long ago its process was started. And what still tells of the warm-up: the
# environment as the kernel remembers it, the scripts that V8 has compiled, and the list of modules that Node has
# loaded, also as a part of `process`.
LOOKS_BACK = re.compile(
    r"uptime|performance|perf_hooks|timeOrigin|timeStamp|environ\b|inspector|moduleLoadList|\(\s*process\s*[,)]"
)


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


LANGUAGE = Language(
    name="node",
    title="Node.js 20",
    aliases=("js", "javascript", "nodejs"),
    file_name="user_code.js",
    extensions=EXTENSIONS,
    entry_names=("index.js", "main.js"),
    interpreter="node",
    pool=2,
    proof="console.log(6 * 7)",
    waiting=Waiting(not_for=LOOKS_BACK, warm_up=(("NODE_OPTIONS", "-r /sandbox/warm_up.cjs"),)),
    manifest=Manifest("package.json", main_of),
)
