"""Whether programs can be run, found out at most once a second however many ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sandbox.errors import EngineUnavailable, SandboxError

REMEMBERED_SECONDS = 1.0


class Readiness:
    """Remembers what `look`, which raises what is wrong, has found. Thread-safe."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._looking = threading.Lock()
        self._looked_at = float("-inf")
        self._problem: SandboxError | None = EngineUnavailable("The container engine is still being asked.")

    def check(self) -> None:
        """Return when all was well a second ago at most.

        While somebody looks, the others get the answer before: an engine that hangs must not hold them all.

        :raises SandboxError: what was wrong then.
        """
        is_old = time.monotonic() - self._looked_at > REMEMBERED_SECONDS
        if is_old and self._looking.acquire(blocking=False):
            try:
                self._look_again()
            finally:
                self._looking.release()
        if problem := self._problem:
            raise problem.with_traceback(None)  # else it would grow by each time it is raised

    def _look_again(self) -> None:
        try:
            self._look()
            self._problem = None
        except SandboxError as problem:
            self._problem = problem
        self._looked_at = time.monotonic()
