"""The languages, one row each. Adding one means adding a row here and its interpreter to the image."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.errors import InvalidRequest

# What a waiting interpreter cannot do unnoticeably. All of these are taken generously: a match too many costs a
# few milliseconds, one too few a wrong answer.
#
# PEP 263: an encoding is declared by a comment in line one or two. A waiting interpreter reads its script from a
# FIFO, which cannot seek, and CPython's tokenizer seeks back at such a line. For the same reason it does not find
# out that a script is a zip archive, which Python would run (`runpy`, "valid sys.path entry").
_PYTHON_NOT_PARKED = re.compile(r"\A(?:[^\r\n]*(?:\r\n?|\n))?[^\r\n]*#[^\r\n]*coding[:=]|PK\x05\x06")
# The words by which a program asks Node how long ago its process was started. And what still tells of the warm-up: the
# environment as the kernel remembers it, the scripts that V8 has compiled, and the list of modules that Node has
# loaded, also as a part of `process`.
_NODE_NOT_PARKED = re.compile(
    r"uptime|performance|perf_hooks|timeOrigin|timeStamp|environ\b|inspector|moduleLoadList|\(\s*process\s*[,)]"
)


@dataclass(frozen=True)
class Language:
    """How programs of one language are named, started and tried out."""

    name: str
    title: str
    """The name people know it by, with the version the image carries."""
    aliases: tuple[str, ...]
    file_name: str
    """What a single-file program is called inside the container, below /app."""
    extensions: tuple[str, ...]
    entry_names: tuple[str, ...]
    """Entries an archive may leave unnamed, in order of preference."""
    interpreter: str
    """Found on the image's PATH."""
    environment: tuple[tuple[str, str], ...]
    warm_up: tuple[tuple[str, str], ...]
    """Environment, too, of an interpreter that is started before its program is known. It removes this again."""
    proof: str
    """A program that prints 42."""
    not_parked: re.Pattern[str]
    """Found in a program that must have an interpreter of its own, started when the program is there."""

    def command(self, entry: str, args: tuple[str, ...] = ()) -> list[str]:
        """The argv that runs `entry` (relative to /app). An absolute path is never taken for an option."""
        return [self.interpreter, f"/app/{entry}", *args]

    def settings(self, *, parked: bool) -> list[str]:
        """The environment as env(1) takes it: `NAME=VALUE` each."""
        return [f"{name}={value}" for name, value in self.environment + (self.warm_up if parked else ())]


PYTHON = Language(
    name="python",
    title="Python 3.11",
    aliases=("py", "python3"),
    file_name="user_code.py",
    extensions=(".py",),
    entry_names=("main.py", "app.py"),
    interpreter="python3",
    # Unbuffered, so that what was printed before a timeout is not lost in the program's own buffer.
    environment=(("PYTHONUNBUFFERED", "1"),),
    warm_up=(),
    proof="print(6 * 7)",
    not_parked=_PYTHON_NOT_PARKED,
)

NODE = Language(
    name="node",
    title="Node.js 20",
    aliases=("js", "javascript", "nodejs"),
    file_name="user_code.js",
    extensions=(".js", ".mjs", ".cjs"),
    entry_names=("index.js", "main.js"),
    interpreter="node",
    environment=(),
    warm_up=(("NODE_OPTIONS", "-r /sandbox/warm_up.cjs"),),
    proof="console.log(6 * 7)",
    not_parked=_NODE_NOT_PARKED,
)

LANGUAGES: dict[str, Language] = {language.name: language for language in (PYTHON, NODE)}

_BY_ALIAS = {alias: language for language in LANGUAGES.values() for alias in (language.name, *language.aliases)}


def resolve(name: str) -> Language:
    """The language called `name`, in any case, by name or alias.

    :raises InvalidRequest: with code `unsupported_language`, listing the known names.
    """
    language = _BY_ALIAS.get(name.strip().lower())
    if language is None:
        known = ", ".join(sorted(_BY_ALIAS))
        raise InvalidRequest(f"Unsupported language {name[:40]!r}. Known: {known}.", code="unsupported_language")
    return language


def can_be_parked(language: Language, code: str) -> bool:
    """Whether an interpreter that already waits for its script can run this one unnoticeably."""
    return language.not_parked.search(code) is None
