"""`os`, `signal` and the C library for everything in here, as what they are made of.

The same functions, without paths, enums and types: importing the real ones, and `ctypes`, `json` or `contextlib`, would
cost each start of a container several milliseconds of CPU.
"""

from __future__ import annotations

import _ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal
    from collections.abc import Callable
else:
    import _signal as signal
    import posix as os

__all__ = ["libc", "os", "signal"]


def libc(name: str) -> Callable[..., int]:
    """A function of the C library that takes and returns numbers."""
    address = _ctypes.dlsym(_ctypes.dlopen(None, 0), name)  # type: ignore[arg-type]
    return lambda *numbers: _ctypes.call_function(address, numbers)
