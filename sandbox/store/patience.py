"""How long one use of the database may take. A run is answered after it, and one database serves them all.

Each use has a deadline, for all of its waiting together. And of a database that has let one run out, only one at a
time asks again: else it would hold every thread of the server, and every run, until theirs.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

ANSWER_SECONDS = 2.0
"""The most that a use takes, unless it says otherwise."""

HANG_SECONDS = 1.0
"""A use that fails after so long had no answer; one that fails sooner was told something."""

PAUSE_SECONDS = 1.0
"""After which a database that hung is asked again."""

_of_thread = threading.local()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """What this thread waits for in the block ends after so long, or sooner if there is a deadline already."""
    outer = _deadline()
    _of_thread.deadline = min(outer, time.monotonic() + seconds)
    try:
        yield
    finally:
        _of_thread.deadline = outer


def begin_anew(seconds: float) -> None:
    """Give what is still to come in the block so long from now on."""
    _of_thread.deadline = time.monotonic() + seconds


def seconds_left() -> float | None:
    """Until the deadline, 0 after it; None without one."""
    left = _deadline() - time.monotonic()
    return None if left == math.inf else max(0.0, left)


def _deadline() -> float:
    at: float = getattr(_of_thread, "deadline", math.inf)
    return at


class Patience:
    """Whether a database hangs, as far as is known, and in which words. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hangs = ""
        self._asked_again_at = 0.0

    def what_hangs(self) -> str:
        """Nothing when it may be used now. When it hangs, that is one at a time, to find out."""
        if not self._hangs:
            return ""
        with self._lock:
            now = time.monotonic()
            if now < self._asked_again_at:
                return self._hangs
            self._asked_again_at = now + ANSWER_SECONDS + PAUSE_SECONDS
            return ""

    def worked(self) -> None:
        if self._hangs:
            self._set("")

    def failed(self, reason: str, *, had_no_answer: bool) -> None:
        self._set(reason if had_no_answer else "")

    def _set(self, hangs: str) -> None:
        with self._lock:
            self._hangs = hangs
            self._asked_again_at = time.monotonic() + PAUSE_SECONDS
