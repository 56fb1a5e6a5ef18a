"""What is known of a language: one value of `Language` in each of the files beside this one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Manifest:
    """A file by which an archive says where its program begins."""

    name: str
    main_of: Callable[[bytes], tuple[str, ...]]
    """Contents of that file (at most their first 64 KiB) -> where the program may be, beside it: the first of these
    that exists. Nothing when the contents do not say. Never fails, whatever it is given."""


@dataclass(frozen=True)
class Waiting:
    """How an interpreter waits that is started before its program is known (docs/architecture.md)."""

    not_for: re.Pattern[str]
    """Found in a program that such an interpreter cannot run unnoticeably. Taken generously: a match too many costs a
    few milliseconds, one too few a wrong answer."""
    warm_up: tuple[tuple[str, str], ...] = ()
    """Of its environment; it removes this again."""


MADE = "/dev/shm/program"  # noqa: S108 - inside the container
"""Where a compiler puts the program. The supervisor moves it to where it can be executed."""
PATH_TO_MADE = ("PATH", "/exe:/usr/local/bin:/usr/bin:/bin")
"""Where it is found then."""
INSTALLED = "/exe/program"
"""Where it is then."""


@dataclass(frozen=True)
class Compiler:
    """What makes the program before it is run: a step of its own, with limits of its own."""

    command: tuple[str, ...]
    """Followed by the sources: the entry, then all others whose names end as its does. It makes `MADE`."""
    finds_others: bool = False
    """Whether the entry says which others there are; then they do not follow."""
    runner: tuple[str, ...] = ("program",)
    """What runs what was made, and its options: the program itself, or what is given `INSTALLED`."""
    timeout_seconds: float = 10.0
    output_bytes: int = 64 << 10
    """Kept of each stream."""
    environment: tuple[tuple[str, str], ...] = (("TMPDIR", "/dev/shm"),)  # noqa: S108 - inside the container
    program_mb: int = 16
    """The largest program."""

    def command_for(self, entry: str, names: tuple[str, ...]) -> list[str]:
        """The argv that makes a program of these files, below /app."""
        if self.finds_others:
            return [*self.command, f"/app/{entry}"]
        ending = entry[entry.rindex(".") :] if "." in entry else ""
        others = [name for name in names if name != entry and ending and name.endswith(ending)]
        return [*self.command, *(f"/app/{name}" for name in (entry, *others))]

    def variables(self) -> list[str]:
        """The environment as env(1) takes it."""
        return [f"{name}={value}" for name, value in self.environment]


@dataclass(frozen=True)
class Edition:
    """The same language in the image of a pack that has more for it."""

    pack: str
    is_wanted_by: Callable[[bytes, Collection[str]], bool]
    """The first 64 KiB of a program, and the paths of the files beside it, from its folder -> whether it needs that.
    Never fails, and takes no more than some milliseconds, whatever it is given."""
    memory_mb: int
    """Of a container, unless the settings say more or a request says otherwise."""
    environment: tuple[tuple[str, str], ...] = ()
    """Beside that of the language."""
    artifacts: tuple[str, ...] = ()
    """What its programs give back beside what they are asked for: what their pictures are called."""


@dataclass(frozen=True)
class Errors:
    """How the page finds its way in what a program wrote to stderr: regular expressions as JavaScript reads them, with
    `^` as the beginning of a line."""

    place: str
    """What names a line of a single-file program. Its only group is the line; the file's name stands for those of all
    files of a program that has several."""
    failed: Literal["first", "last"]
    """Which of several places is the one where the program failed; the others are those who called it."""
    report: str | None = None
    """What the interpreter writes before the message of an error that nothing caught. The last one counts, and of the
    places only those from there on. None: the message is the last thing written, where the page is anyway."""
    stack: str | None = None
    """The line of the message and what follows it, for errors without a report."""


@dataclass(frozen=True)
class Example:
    """A program that the page offers."""

    id: str
    label: str
    code: str
    is_last: bool = False
    """After those of all languages."""


@dataclass(frozen=True)
class Page:
    """What the page has to know of a language. `GET /config` tells it all of this."""

    grammar: str
    """Its name in prism-code-editor. scripts/vendor.mjs puts it into static/vendor."""
    tab_size: int
    comment: str
    """What makes the rest of a line a comment."""
    errors: Errors
    welcome: str
    """In the editor until something else was written."""
    examples: tuple[Example, ...]


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
    pool: int
    """How many containers wait for its programs, unless the settings say otherwise."""
    proof: str
    """A program that prints 42."""
    page: Page
    waiting: Waiting | None = None
    """None: the interpreter is started when its program is there."""
    environment: tuple[tuple[str, str], ...] = ()
    manifest: Manifest | None = None
    pack: str = ""
    """Whose image has the interpreter (sandbox/packs); empty: the one that is always there."""
    compiler: Compiler | None = None
    """None: the interpreter is given the source."""
    editions: tuple[Edition, ...] = ()
    """The same in other packs."""
    memory_mb: int = 0
    """Of a container, when the settings have less."""
    artifacts: tuple[str, ...] = ()
    """What its programs give back beside what they are asked for."""
    group: str = ""
    """Under which the page lists it; empty: its own name."""
    options: tuple[str, ...] = ()
    """Of the interpreter, before the program's name."""
    source_options: Callable[[str], tuple[str, ...]] = lambda _: ()
    """More of them, for a single-file program of this source. A waiting interpreter has none."""
    version_command: tuple[str, ...] = ()
    """Prints the version; empty: the interpreter with `--version`."""

    @property
    def asks_version(self) -> tuple[str, ...]:
        """The command that prints which version an image has."""
        return self.version_command or (self.interpreter, "--version")

    @property
    def packs(self) -> tuple[str, ...]:
        """Those that it is in: its own first."""
        return (self.pack, *(edition.pack for edition in self.editions))

    def in_pack(self, pack: str) -> Language:
        """The language as it is in one of its packs."""
        if pack in ("", self.pack):
            return self
        edition = next(edition for edition in self.editions if edition.pack == pack)
        environment = self.environment + edition.environment
        return replace(
            self,
            pack=pack,
            environment=environment,
            memory_mb=edition.memory_mb,
            artifacts=edition.artifacts,
            waiting=None,
        )

    def command(self, entry: str, args: tuple[str, ...] = (), source: str = "") -> list[str]:
        """The argv that runs `entry` (relative to /app), a program of one file if its source is given.

        An absolute path is never taken for an option. What a compiler has made is run as that says.
        """
        if self.compiler:
            return [*self.compiler.runner, *args]
        return [self.interpreter, *self.options, *self.source_options(source), f"/app/{entry}", *args]

    def variables(self, *, waiting: bool) -> list[str]:
        """The environment as env(1) takes it: `NAME=VALUE` each."""
        warm_up = self.waiting.warm_up if self.waiting and waiting else ()
        return [f"{name}={value}" for name, value in self.environment + warm_up]

    def fits_waiting(self, code: str) -> bool:
        """Whether an interpreter that already waits for its script can run this one unnoticeably."""
        return self.waiting is not None and self.waiting.not_for.search(code) is None and not self.source_options(code)
