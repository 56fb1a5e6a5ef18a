"""The room for request bodies, which waitress keeps in memory or, above 512 KiB, in temporary files."""

from __future__ import annotations

import threading
from collections import Counter

FREE_BYTES = 64 << 10
"""Of each body this much does not count: the number of connections bounds it, and a program always gets in."""
ADDRESS_SHARE = 3 / 4
"""The most of the room that bodies from one address may take."""


class Bodies:
    """A budget that bodies share from the moment their head was read until their request is done. Thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._bytes_of: Counter[str] = Counter()

    def resize(self, address: str, counted_bytes: int, body_bytes: int) -> int | None:
        """What counts of a body that has `body_bytes` now, of which `counted_bytes` counted so far.

        None when there is no room; then nothing has changed. A body that has the room for itself always fits.
        """
        wanted_bytes = max(0, body_bytes - FREE_BYTES)
        if wanted_bytes == counted_bytes:
            return counted_bytes
        with self._lock:
            of_address = self._bytes_of[address] - counted_bytes
            of_all = self._bytes_of.total() - counted_bytes
            if wanted_bytes > counted_bytes and (
                _is_over(of_all, wanted_bytes, self.limit_bytes)
                or _is_over(of_address, wanted_bytes, self.limit_bytes * ADDRESS_SHARE)
            ):
                return None
            self._bytes_of[address] = of_address + wanted_bytes
            if not self._bytes_of[address]:
                del self._bytes_of[address]
        return wanted_bytes


def _is_over(others_bytes: int, wanted_bytes: int, limit_bytes: float) -> bool:
    return bool(others_bytes) and others_bytes + wanted_bytes > limit_bytes
