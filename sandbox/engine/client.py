"""The docker client, by which everything is asked of the engine and done. Only here the sandbox starts a process."""

from __future__ import annotations

import functools
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.errors import EngineError, EngineUnavailable

ANSWER_SECONDS = 5.0
"""An engine that takes longer than this for a simple question counts as not answering."""

ENVIRONMENT = {"GOGC": "400", "GOMAXPROCS": "1"}
"""The docker client is a Go program that lives for one container: collecting garbage rarely, and on one thread at a
time, saves 5 of its 22 ms of CPU."""

OnLine = Callable[[str], float | None]


class ClientRefused(EngineError):
    """The client ended with a failure; `words` is what it printed, for the log and for telling causes apart."""

    def __init__(self, words: str) -> None:
        super().__init__("The container engine refused a command.")
        self.words = words


class Client:
    """A docker-compatible client: docker, podman, or the path of one."""

    def __init__(self, program: str) -> None:
        self.program = program

    @property
    def name(self) -> str:
        """As messages name it: without the host's path."""
        return Path(self.program).name

    @functools.cached_property
    def is_podman(self) -> bool:
        """Whether it is podman, under whatever name. False when it cannot be run at all."""
        if self.name.startswith("podman"):
            return True
        try:
            return "podman" in self.ask("--version").lower()
        except EngineError:
            return False

    def ask(self, *arguments: str, timeout_seconds: float = ANSWER_SECONDS) -> str:
        """Run the client and return its stdout.

        :raises EngineUnavailable: it is not installed, may not be run, or did not end in time (it is killed then).
        :raises ClientRefused: it ended with a failure.
        """
        try:
            done = subprocess.run(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout_seconds,
                env=_environment(),
            )
        except subprocess.TimeoutExpired as problem:
            raise EngineUnavailable(
                f"The container engine did not answer within {timeout_seconds:g} seconds. "
                "If it stays that way, restart it: `make doctor` shows what it says."
            ) from problem
        except OSError as problem:
            raise EngineUnavailable(self._problem(problem)) from problem
        if done.returncode:
            raise ClientRefused(done.stderr)
        return done.stdout

    def attach(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the client with pipes for its three streams, in a session of its own: Ctrl+C in our terminal must
        reach us, not the containers.

        :raises EngineUnavailable: it is not installed, or may not be run.
        """
        try:
            return subprocess.Popen(
                [self.program, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as problem:
            raise EngineUnavailable(self._problem(problem)) from problem

    def watch(
        self, *arguments: str, seconds: float, on_line: OnLine, environment: Mapping[str, str] | None = None
    ) -> int | None:
        """Run the client, handing on each line that it prints. Its exit status; None when its time was up.

        `on_line` may return how many seconds it has from then on.

        :raises EngineUnavailable: it is not installed, or may not be run.
        """
        try:
            process = subprocess.Popen(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**_environment(), **(environment or {})},
            )
        except OSError as problem:
            raise EngineUnavailable(self._problem(problem)) from problem
        with process:
            return _follow(process, seconds, on_line)

    def _problem(self, problem: OSError) -> str:
        if isinstance(problem, FileNotFoundError):
            return (
                f"The client `{self.name}` is not installed here. `make engine` sets it up (on Debian and Ubuntu: "
                "apt-get install docker.io); SCE_DOCKER names another one."
            )
        return f"The client `{self.name}` cannot be run. SCE_DOCKER must name a docker-compatible program."


def has_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether an attached client has ended within the time."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _environment() -> dict[str, str]:
    return {**ENVIRONMENT, **os.environ}


def _follow(process: subprocess.Popen[str], seconds: float, on_line: OnLine) -> int | None:
    is_late = threading.Event()

    def give_up() -> None:
        is_late.set()
        process.kill()

    watchdog = threading.Timer(seconds, give_up)
    watchdog.start()
    for line in process.stdout or ():
        more_seconds = on_line(line.rstrip("\n"))
        if more_seconds is not None:
            watchdog.cancel()
            watchdog = threading.Timer(more_seconds, give_up)
            watchdog.start()
    process.wait()
    watchdog.cancel()
    return None if is_late.is_set() else process.returncode
