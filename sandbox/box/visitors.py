"""Owners who have opened the page and run nothing yet: a container more waits for each, so that a class can begin."""

from __future__ import annotations

import threading
import time

STAY_SECONDS = 300.0
"""How long somebody is expected to run something."""


class Visitors:
    """Those expected, at most so many. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def expect(self, owner: str) -> None:
        """Count an owner, once however often he comes, until he runs something or it has been too long."""
        with self._lock:
            self._forget_old()
            if owner in self._until or len(self._until) < self._most:
                self._until[owner] = time.monotonic() + STAY_SECONDS

    def met(self, owner: str) -> None:
        """He has run something."""
        with self._lock:
            self._until.pop(owner, None)

    def clear(self) -> None:
        """Expect nobody of those."""
        with self._lock:
            self._until.clear()

    def count(self) -> int:
        """How many are expected now."""
        with self._lock:
            self._forget_old()
            return len(self._until)

    def _forget_old(self) -> None:
        now = time.monotonic()
        self._until = {owner: until for owner, until in self._until.items() if until > now}
