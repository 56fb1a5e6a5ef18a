"""The threads that serve requests, started as they are needed.

waitress starts all of them at once and gives each request to the one that has slept longest. With room for a full
queue that is a hundred threads, and each request would be served on a stack that is cold, or was never touched.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from waitress.task import ThreadedTaskDispatcher

log = logging.getLogger(__name__)


class Dispatcher(ThreadedTaskDispatcher):
    """Threads up to a limit. One is added when a request finds none idle; they stay to the end."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._growing = threading.Lock()
        self.set_thread_count(1)

    def add_task(self, task: Any) -> None:
        with self._growing:
            # Whoever was woken but has not run yet still counts as idle; its task then is in the queue.
            busy = self.active_count + len(self.queue)
            if busy >= len(self.threads) and len(self.threads) < self._limit:
                self._add_thread()
        super().add_task(task)

    def _add_thread(self) -> None:
        known = set(self.threads)
        try:
            self.set_thread_count(len(known) + 1)
        except RuntimeError:  # the system gives no more; those that are there will serve it
            log.warning("no thread could be started; %d serve requests", len(known))
            self.threads.intersection_update(known)
