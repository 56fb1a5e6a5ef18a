"""How the scripts say what they are doing: one line a stage, with what came of it and how long it took."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
"""Logs of what the scripts start. Not in git."""


class Failed(Exception):
    """A stage cannot be done from here; the message says what to type."""


class Stage:
    """One stage under way. Lines said meanwhile are indented below it."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._open = True
        self._started = time.monotonic()
        print(f"==> {title} …", end="", flush=True)

    def say(self, line: str) -> None:
        if self._open:
            print()
            self._open = False
        print(f"    {line}", flush=True)

    def done(self, outcome: str) -> None:
        lead = "" if self._open else f"==> {self._title}"
        print(f"{lead} {outcome} ({time.monotonic() - self._started:.1f} s)", flush=True)

    def abandon(self) -> None:
        if self._open:
            print(flush=True)


@contextmanager
def stage(title: str) -> Iterator[Stage]:
    """A stage that its body ends with `done`."""
    current = Stage(title)
    try:
        yield current
    except BaseException:
        current.abandon()
        raise


def run_logged(command: Sequence[str], log_name: str, *, timeout_seconds: float) -> None:
    """Run a long command with its output in `build/<log_name>`.

    :raises Failed: it failed or took too long; the message ends with its last lines.
    """
    BUILD.mkdir(exist_ok=True)
    log = BUILD / log_name
    log.unlink(missing_ok=True)  # it may belong to root after a `sudo make`
    try:
        with log.open("wb") as output:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=timeout_seconds, check=True
            )
    except (subprocess.SubprocessError, OSError) as problem:
        raise Failed(f"{command[0]} failed: {tail(log) or problem}") from problem


def tail(log: Path, lines: int = 12) -> str:
    """The end of a log, ready to be put below a sentence."""
    try:
        return "\n    ".join(["", *log.read_text(errors="replace").splitlines()[-lines:]])
    except OSError:
        return ""


def apt_install(now: Stage, program: str, *packages: str) -> None:
    """Make sure a program is there, from Debian packages.

    :raises Failed: it cannot be installed; what to type has been printed.
    """
    if shutil.which(program):
        return
    now.say(f"apt-get install {' '.join(packages)} (log: build/apt.log)")
    if subprocess.run([str(ROOT / "scripts" / "apt-install"), program, *packages], cwd=ROOT).returncode:
        raise Failed(f"`{program}` is needed for this stage.")


def guarded(main: Callable[[], int]) -> int:
    """Run a script's main: what goes wrong as foreseen becomes one sentence and exit code 1."""
    from sandbox.errors import EngineError
    from sandbox.settings import SettingsError

    try:
        return main()
    except (Failed, EngineError, SettingsError) as problem:
        print(f"    {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
