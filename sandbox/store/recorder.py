"""Puts finished runs into the history, and says so once when that fails: a full disk shall not fill the log as well."""

from __future__ import annotations

import logging
import threading
import time

from sandbox.errors import HistoryError
from sandbox.models import RunRequest, RunResult
from sandbox.store.history import History

log = logging.getLogger(__name__)

QUIET_SECONDS = 60
"""How long after a line about failures the next ones are only counted."""


class Recorder:
    """An observer of runs that never raises `HistoryError`. Thread-safe."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._lost = 0
        self.lost_in_all = 0
        """Runs that are not in the history, since the start."""
        self._next_line = 0.0

    def __call__(self, request: RunRequest, result: RunResult) -> None:
        try:
            self._history.add(request, result)
        except HistoryError as problem:
            self._complain(problem)
        else:
            self._recover()

    def _complain(self, problem: HistoryError) -> None:
        with self._lock:
            self._lost += 1
            self.lost_in_all += 1
            if time.monotonic() < self._next_line:
                return
            self._next_line = time.monotonic() + QUIET_SECONDS
            log.error("%s Not in the history since it last worked: %d runs.", problem.message, self._lost)

    def _recover(self) -> None:
        if not self._lost:
            return
        with self._lock:
            lost, self._lost, self._next_line = self._lost, 0, 0.0
        if lost:
            log.warning("The history works again. Not in it: %d runs.", lost)
