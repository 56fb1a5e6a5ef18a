"""Which containers are ours, and which belonged to a server that has died.

Containers carry two labels: the *scope* (a random name kept in the data folder, so servers with different
data folders never touch each other's containers) and the *instance* (one process). An instance is alive as
long as it holds the lock on its file in the data folder; the kernel drops the lock however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import logging
import os
import re
import secrets
from pathlib import Path
from typing import TextIO

from sandbox.agreed import made_once
from sandbox.engine.client import Client
from sandbox.engine.flags import LABEL
from sandbox.errors import EngineError

log = logging.getLogger(__name__)

LIST_SECONDS = 10
REMOVE_SECONDS = 30

NUMBERS = 49_999
"""How many numbers there are for containers: a prime, so that steps of any width visit all of them. Few enough that
each can stand for a uid within a user namespace of 65536, which the supervisor chooses by it."""

_NAME = re.compile(r"[0-9a-f]{8}")
"""Of an instance. A label that is anything else was not set by us, and must not become a path."""


class Instance:
    """This process, as the labels of its containers name it."""

    def __init__(self, data_dir: Path) -> None:
        """Take a name and the lock that proves we live.

        :raises OSError: when the data folder cannot be written.
        """
        self._locks = data_dir / "instances"
        self._locks.mkdir(parents=True, exist_ok=True)
        self.scope = made_once(data_dir / "scope", secrets.token_hex(8))
        self.id = secrets.token_hex(4)
        self._path = self._locks / self.id
        self._lock = _lock(self._path)
        # Steps of a random width: two servers meet at one number now and then, and not at many in a row.
        self._count = itertools.count()
        self._first, self._step = secrets.randbelow(NUMBERS), 1 + secrets.randbelow(NUMBERS - 1)

    @property
    def labels(self) -> dict[str, str]:
        return {f"{LABEL}.scope": self.scope, f"{LABEL}.instance": self.id}

    def new_number(self) -> int:
        """A number for a container, below `NUMBERS`. This process gives each once before it gives one again.

        Another server may use the same one by chance. The engine then refuses the second container of that name.
        """
        return (self._first + self._step * next(self._count)) % NUMBERS

    def sweep(self, client: Client) -> int:
        """Remove what dead instances of this scope left; the number of containers. Never raises."""
        containers = self._containers(client)
        names = {instance for _, instance in containers} | {path.name for path in self._locks.iterdir()}
        alive = {instance for instance in names if self._is_alive(instance)}
        return sum(_remove(client, container) for container, instance in containers if instance not in alive)

    def close(self) -> None:
        """Give up the name."""
        self._path.unlink(missing_ok=True)
        self._lock.close()

    def _containers(self, client: Client) -> list[tuple[str, str]]:
        words = ["ps", "--all", "--filter", f"label={LABEL}.scope={self.scope}"]
        words += ["--format", f'{{{{.ID}}}} {{{{.Label "{LABEL}.instance"}}}}']
        try:
            answer = client.ask(*words, timeout_seconds=LIST_SECONDS)
        except EngineError as problem:
            log.warning("left-over containers not looked for: %s", type(problem).__name__)
            return []
        pairs = [line.split() for line in answer.splitlines()]
        return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]

    def _is_alive(self, instance: str) -> bool:
        """Whether somebody holds the lock of that instance. The file of one that is dead is removed."""
        if instance == self.id:
            return True
        path = self._locks / instance
        if not _NAME.fullmatch(instance) or not path.is_file():
            return False
        try:
            with path.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()  # while we hold it: a server that is just starting waits for the lock, and then notices
        except BlockingIOError:
            return True
        except OSError as problem:
            log.warning("left-over lock %s not removed: %s", instance, type(problem).__name__)
        return False


def _lock(path: Path) -> TextIO:
    """The file, made and locked; made again when a sweep took it for a dead instance's before it was locked."""
    while True:
        file = path.open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                return file
        file.close()


def _remove(client: Client, container: str) -> bool:
    try:
        client.ask("rm", "--force", container, timeout_seconds=REMOVE_SECONDS)
    except EngineError as problem:
        log.warning("left-over container %s not removed: %s", container, type(problem).__name__)
        return False
    return True
