"""Runs that wait or run now, by id, and who may cancel them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sandbox.models import Caller


@dataclass(frozen=True)
class CancellableRun:
    """One that waits or runs."""

    owner: str
    cancelled: threading.Event = field(default_factory=threading.Event)


class CancellableRuns:
    """All of them. Thread-safe."""

    def __init__(self) -> None:
        self._runs: dict[str, CancellableRun] = {}

    @contextmanager
    def entered(self, run_id: str, owner: str) -> Iterator[threading.Event]:
        """A run that can be cancelled meanwhile; the event tells it so."""
        run = self._runs[run_id] = CancellableRun(owner)
        try:
            yield run.cancelled
        finally:
            del self._runs[run_id]

    def cancel(self, run_id: str, caller: Caller) -> bool:
        """Tell a run to end; False when the caller may see none of that id."""
        run = self._runs.get(run_id)
        if run is None or not caller.may_see(run.owner):
            return False
        run.cancelled.set()
        return True
