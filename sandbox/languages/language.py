"""What is known of a language: one value of `Language` in each of the files beside this one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Manifest:
    """A file by which an archive says where its program begins."""

    name: str
    main_of: Callable[[bytes], tuple[str, ...]]
    """Contents of that file (at most their first 64 KiB) -> where the program may be, beside it: the first of these
    that exists. Nothing when the contents do not say. Never fails, whatever it is given."""


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
    needs_own_interpreter: re.Pattern[str]
    """Found in a program that an interpreter which waits for its script cannot run unnoticeably. Taken generously: a
    match too many costs a few milliseconds, one too few a wrong answer."""
    environment: tuple[tuple[str, str], ...] = ()
    warm_up: tuple[tuple[str, str], ...] = ()
    """Environment, too, of an interpreter that is started before its program is known. It removes this again."""
    manifest: Manifest | None = None

    def command(self, entry: str, args: tuple[str, ...] = ()) -> list[str]:
        """The argv that runs `entry` (relative to /app). An absolute path is never taken for an option."""
        return [self.interpreter, f"/app/{entry}", *args]

    def settings(self, *, waiting: bool) -> list[str]:
        """The environment as env(1) takes it: `NAME=VALUE` each."""
        return [f"{name}={value}" for name, value in self.environment + (self.warm_up if waiting else ())]

    def fits_waiting(self, code: str) -> bool:
        """Whether an interpreter that already waits for its script can run this one unnoticeably."""
        return self.needs_own_interpreter.search(code) is None
