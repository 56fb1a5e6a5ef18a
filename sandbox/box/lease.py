"""Containers that are kept for those who have used them: for the next runs of the same owner, and of nobody else.

A kept container waits as one in the pool does. It is given back after its run, at once; whether it is fit for another
is for its supervisor to find out (`guest/leftovers.py`), while the answer is on its way. What is not used goes: after
some time, at an age, when its image has been replaced, or, that which was used least recently first, when others need
the memory.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.box.budget import IDLE_MB, Budget
from sandbox.box.container import Container
from sandbox.box.protocol import LEFTOVERS
from sandbox.engine.image import Watch
from sandbox.errors import SandboxError
from sandbox.models import Limits

log = logging.getLogger(__name__)

REASONS = ("stopped", "runs", "age", "idle", "room", "closed", "lost", *map(bytes.decode, LEFTOVERS))
"""Why a container is not kept, or not any longer."""

CHECK_SECONDS = 1.0
"""How often kept containers are looked after."""


@dataclass(frozen=True)
class Wanted:
    """What a container is wanted for."""

    owner: str
    language: str
    limits: Limits
    pack: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What has to be the same for a kept container to be taken again."""
        return self.owner, self.language, self.pack, self.limits.of_container


@dataclass(frozen=True)
class Kept:
    """A container without a run."""

    wanted: Wanted
    container: Container
    since: float


class Leases:
    """The kept containers. Thread-safe; nothing in here waits but `close`."""

    def __init__(
        self,
        *,
        retire: Callable[[Container], None],
        budget: Budget,
        image: Watch,
        max_runs: int,
        max_age_seconds: float,
        max_idle_seconds: float,
    ) -> None:
        """`retire` ends a container without blocking."""
        self._retire = retire
        self._budget = budget
        self._image = image
        self._max_runs = max_runs
        self._max_age_seconds = max_age_seconds
        self._max_idle_seconds = max_idle_seconds
        self._kept: list[Kept] = []
        """The one that was used last is the last."""
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="leases", daemon=True)
        self.ended: Counter[str] = Counter()
        """How many were not kept, or not any longer, by reason."""
        self.misses = 0
        """How often none was there for whoever wanted one."""

    def open(self) -> None:
        """Begin to look after what is kept."""
        self._thread.start()

    def take(self, wanted: Wanted) -> Container | None:
        """A container that is kept for this: of those that are ready the one used last, else the one used first."""
        with self._lock:
            fit = [kept for kept in self._kept if kept.wanted.key == wanted.key and self._is_fit(kept)]
            if not fit:
                self.misses += 1
                return None
            chosen = next((kept for kept in reversed(fit) if kept.container.is_ready), fit[0])
            self._kept.remove(chosen)
            return chosen.container

    def keep(self, wanted: Wanted, container: Container) -> bool:
        """Keep a container whose run has just ended; False when it cannot be, and is to be retired."""
        if reason := self._unfit(container):
            self._count(reason)
            return False
        self._budget.charge(container, IDLE_MB)
        with self._lock:
            if self._closing.is_set():
                return False
            self._kept.append(Kept(wanted, container, time.monotonic()))
        self.make_room()
        return True

    def make_room(self, size_mb: int = 0) -> bool:
        """Retire containers, the one used least recently first, until so much more fits. Whether it does."""
        while not self._budget.has_room(size_mb):
            with self._lock:
                if not self._kept:
                    return False
                oldest = self._kept.pop(0)
            self._end(oldest.container, "room")
        return True

    def has(self, owner: str) -> bool:
        """Whether anything is kept for an owner."""
        with self._lock:
            return any(kept.wanted.owner == owner for kept in self._kept)

    def count(self) -> int:
        """How many are kept now."""
        with self._lock:
            return len(self._kept)

    def close(self) -> None:
        """Retire all of them, and keep none from now on."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            kept, self._kept = self._kept, []
        for each in kept:
            self._end(each.container, "closed")

    def _unfit(self, container: Container) -> str:
        """Why a container shall not be used again; empty when it may be."""
        if not container.is_reusable:
            return container.leftover or "stopped"
        if container.runs >= self._max_runs:
            return "runs"
        is_old = container.started_at < time.monotonic() - self._max_age_seconds
        return "age" if is_old or self._image.has_changed_since(container.started_at) else ""

    def _is_fit(self, kept: Kept) -> bool:
        return kept.container.hear() and not self._unfit(kept.container)

    def _end(self, container: Container, reason: str) -> None:
        self._count(reason)
        self._retire(container)

    def _count(self, reason: str) -> None:
        with self._lock:
            self.ended[reason] += 1

    # --- The background thread ----------------------------------------------------------------------------

    def _look_after(self) -> None:
        while not self._closing.wait(CHECK_SECONDS):
            try:
                self._image.check()
            except SandboxError as problem:
                log.debug("image not checked: %s", problem)
            try:
                self.weed()
            except Exception:  # the last line of defence: without this thread nothing kept would ever go
                log.exception("cannot look after kept containers")

    def weed(self) -> None:
        """Retire what shall not be used again."""
        with self._lock:
            reasons = [(kept, self._over(kept)) for kept in self._kept]
            self._kept = [kept for kept, reason in reasons if not reason]
        for kept, reason in reasons:
            if reason:
                self._end(kept.container, reason)

    def _over(self, kept: Kept) -> str:
        """Why a kept container shall be kept no longer; empty when it may be."""
        if not kept.container.hear():
            return kept.container.leftover or "lost"
        if kept.since < time.monotonic() - self._max_idle_seconds:
            return "idle"
        return self._unfit(kept.container)
