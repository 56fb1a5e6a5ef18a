"""Removes used containers behind the answers of the runs that used them."""

from __future__ import annotations

import queue
import threading
import time

from sandbox.box.container import Container

HEAD_START_SECONDS = 0.02
"""What an answer gets before the engine is kept busy: removing a container takes CPU from writing it."""


class Teardown:
    """Closes containers, each a moment after it was handed over and in a thread of its own. Thread-safe."""

    def __init__(self) -> None:
        self._used: queue.SimpleQueue[tuple[float, Container] | None] = queue.SimpleQueue()
        self._closing: set[threading.Thread] = set()
        self._retired: set[Container] = set()
        self._thread = threading.Thread(target=self._take, name="teardown", daemon=True)
        self._thread.start()

    def retire(self, container: Container) -> None:
        """Have a container closed. Returns at once."""
        self._retired.add(container)
        self._used.put((time.monotonic() + HEAD_START_SECONDS, container))

    def count(self) -> int:
        """How many are not closed yet."""
        return len(self._retired)

    def close(self) -> None:
        """Return when every container handed over before has been closed."""
        self._used.put(None)
        self._thread.join()
        for thread in list(self._closing):
            thread.join()

    def _take(self) -> None:
        while (used := self._used.get()) is not None:
            due, container = used
            time.sleep(max(0.0, due - time.monotonic()))
            thread = threading.Thread(target=self._end, args=(container,), name=f"close-{container.name}")
            self._closing.add(thread)
            try:
                thread.start()
            except RuntimeError:  # no more threads at the moment
                self._closing.discard(thread)
                self._close(container)

    def _end(self, container: Container) -> None:
        try:
            self._close(container)
        finally:
            self._closing.discard(threading.current_thread())

    def _close(self, container: Container) -> None:
        try:
            container.close()
        finally:
            self._retired.discard(container)
