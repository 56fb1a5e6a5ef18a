"""Containers that wait with an interpreter already started. Each is handed out once and never comes back.

One background thread keeps the numbers up. It begins a moment after a container was taken and starts one at
a time, so that refilling takes no more than one CPU from the programs that run; and it replaces containers
that died, grew old, or were started from an image that has since been replaced. More than usual wait while visitors
are expected (`visitors.py`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from sandbox.box.container import Container
from sandbox.engine.image import Watch
from sandbox.errors import SandboxError

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""How often waiting containers are looked after when nobody takes one."""

HEAD_START_SECONDS = 0.03
"""What a run gets before the container that it took is replaced: starting one takes CPU from a hello world."""

MAX_BACKOFF_SECONDS = 5.0
"""How long the thread rests, at most, after the engine failed to start a container."""


class Pool:
    """Waiting containers by language. Thread-safe."""

    def __init__(
        self,
        *,
        start: Callable[[str], Container],
        retire: Callable[[Container], None],
        has_room: Callable[[bool], bool],
        more: Callable[[str], int],
        image: Watch,
        sizes: Mapping[str, int],
        max_age_seconds: float,
    ) -> None:
        """`start(language)` starts a container, `retire` ends one without blocking.

        `more(language)` is how many shall wait beyond the size, for now, or how many fewer; `has_room` says whether one
        fits, told whether it is one beyond.
        """
        self._start = start
        self._retire = retire
        self._has_room = has_room
        self._more = more
        self._image = image
        self._sizes = dict(sizes)
        self._max_age_seconds = max_age_seconds
        self._waiting: dict[str, deque[Container]] = {language: deque() for language in sizes}
        self._changed = threading.Condition()
        self._closed = False
        self._problem: SandboxError | None = None
        self.failures = 0
        """How often a container could not be started."""
        self._thread = threading.Thread(target=self._keep_full, name="pool", daemon=True)

    def open(self) -> None:
        """Begin to fill. Does nothing for a pool of size 0."""
        if any(self._sizes.values()):
            self._thread.start()

    def take(self, language: str) -> Container | None:
        """A living container that waits for a program of this language, or None. Never blocks for long."""
        while True:
            with self._changed:
                if not self._waiting.get(language):
                    return None
                container = self._waiting[language].popleft()
                self._changed.notify_all()
            if container.alive():
                return container
            self._retire(container)

    def wanted(self) -> dict[str, int]:
        """How many shall wait, by language."""
        return {language: self._wanted(language) for language in self._sizes}

    def sizes(self) -> dict[str, int]:
        """How many wait now, by language."""
        with self._changed:
            return {language: len(waiting) for language, waiting in self._waiting.items()}

    def problem(self) -> SandboxError | None:
        """Why nothing waits: how the last attempt to start a container failed. None when something does wait.

        An engine that has locked itself up still says that it is there; only this shows that it starts nothing.
        """
        with self._changed:
            return None if any(self._waiting.values()) else self._problem

    def wait_full(self, timeout_seconds: float) -> bool:
        """Whether the pool was full within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._missing(), timeout_seconds)

    def close(self) -> None:
        """Stop filling and retire what waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        for container in (entry for queue in self._waiting.values() for entry in queue):
            self._retire(container)
        for queue in self._waiting.values():
            queue.clear()

    # --- The background thread ----------------------------------------------------------------------------

    def _keep_full(self) -> None:
        backoff_seconds = 0.0
        while not self._closed:
            try:
                self._weed()
                failed = not self._add_one()
            except Exception:  # the last line of defence: without this thread every run would start cold
                log.exception("cannot refill the pool")
                failed = True
            if failed:
                backoff_seconds = min(MAX_BACKOFF_SECONDS, backoff_seconds * 2 + 0.5)
                self._rest(backoff_seconds)
            else:
                backoff_seconds = 0.0
                self._wait_for_a_take()

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def _wait_for_a_take(self) -> None:
        """Rest while the pool is full, at most until the next check. Does not rest at all when it is not."""
        with self._changed:
            if self._missing():
                return
            self._changed.wait_for(lambda: self._closed or self._missing(), CHECK_SECONDS)
            if self._missing():
                self._rest(HEAD_START_SECONDS)

    def _add_one(self) -> bool:
        """Start the container that is missed most, if any; False when that failed, or there is no room for it."""
        language = self._missing()
        if language is None or self._closed:
            return True
        if not self._has_room(len(self._waiting[language]) >= self._sizes[language]):
            return False
        try:
            self._add(language)
        except SandboxError as problem:
            self._problem = problem
            self.failures += 1
            log.warning("cannot refill the pool: %s", problem)
            return False
        self._problem = None
        return True

    def _missing(self) -> str | None:
        """The language that lacks most containers, in proportion; None when the pool is full."""
        shares = {
            language: len(self._waiting[language]) / size
            for language, size in self.wanted().items()
            if len(self._waiting[language]) < size
        }
        return min(shares, key=lambda language: shares[language], default=None)

    def _wanted(self, language: str) -> int:
        return self._sizes[language] + self._more(language)

    def _add(self, language: str) -> None:
        container = self._start(language)
        try:
            container.wait_ready()
        except BaseException:
            self._retire(container)
            raise
        with self._changed:
            self._waiting[language].append(container)
            self._changed.notify_all()

    def _weed(self) -> None:
        """Retire containers that died, are too old, come from a replaced image, or are wanted no longer."""
        try:
            self._image.check()
        except SandboxError as problem:
            log.debug("image not checked: %s", problem)
        oldest = time.monotonic() - self._max_age_seconds
        retired = []
        with self._changed:
            for queue in self._waiting.values():
                for container in list(queue):
                    is_stale = container.started_at < oldest or self._image.has_changed_since(container.started_at)
                    if is_stale or not container.alive():
                        queue.remove(container)
                        retired.append(container)
            for language, queue in self._waiting.items():
                retired += [queue.popleft() for _ in range(len(queue) - self._wanted(language))]
        for container in retired:
            self._retire(container)
