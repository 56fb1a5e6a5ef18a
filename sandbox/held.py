"""Bytes that requests keep in memory, counted."""

from __future__ import annotations

import threading


class HeldBytes:
    """What waiting and running requests keep in memory, up to a bound. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> bool:
        """False, and nothing added, when there is no room. One alone always finds room."""
        with self._lock:
            if size and self._held_bytes and self._held_bytes + size > self._max_bytes:
                return False
            self._held_bytes += size
            return True

    def remove(self, size: int) -> None:
        with self._lock:
            self._held_bytes -= size
