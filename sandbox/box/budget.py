"""What containers may take of the machine's memory, all of them together."""

from __future__ import annotations

import threading

from sandbox.box.container import Container

IDLE_MB = 24
"""What a container without a program takes, with its two helpers on the host: about 20 (docs/performance.md)."""

HELPERS_MB = 12
"""What those helpers take."""


class Budget:
    """Each container is charged with what it may take at most as long as it is in its present state. Thread-safe."""

    def __init__(self, total_mb: int) -> None:
        self.total_mb = total_mb
        self._charged: dict[Container, int] = {}
        self._lock = threading.Lock()

    def charge(self, container: Container, size_mb: int) -> None:
        """Count a container with so much, instead of what it was counted with before."""
        with self._lock:
            self._charged[container] = size_mb

    def release(self, container: Container) -> None:
        """Count a container no longer."""
        with self._lock:
            self._charged.pop(container, None)

    def count(self) -> int:
        """How many containers are counted."""
        with self._lock:
            return len(self._charged)

    def has_room(self, size_mb: int = 0) -> bool:
        """Whether so much more fits; without a size, whether what there is fits."""
        with self._lock:
            return sum(self._charged.values()) + size_mb <= self.total_mb
