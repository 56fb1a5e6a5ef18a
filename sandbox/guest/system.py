"""`os` and `signal` for everything in here, as what they are made of.

The same functions, without paths, enums and types: importing the real ones, and `ctypes`, `json` or `contextlib`, would
cost each start of a container several milliseconds of CPU.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal
else:
    import _signal as signal
    import posix as os

__all__ = ["os", "signal"]
