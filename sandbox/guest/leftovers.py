"""What a run may leave behind. A container in which anything is found, or cannot be looked for, is not used again.

Nothing is cleaned up after a program but the files it was asked to make: what it can leave without being noticed is
only what the kernel counts and never lowers (docs/security.md).
"""

from __future__ import annotations

import time

from apart import tidy
from built import uninstall
from files import APP, READ_ONLY, remove, set_modes
from system import libc, os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cgroup import Cgroup
    from frames import Order

SHARED_MEMORY = "/dev/shm"
IPC_TABLES = ("/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg")
SOCKET_COUNTS = ("/proc/net/sockstat", "/proc/net/sockstat6")
COUNTED = (b"used", b"inuse", b"tw")  # of this network namespace; the others are the host's
MEMORY_MARGIN_BYTES = 4 << 20  # what the kernel's own bookkeeping goes up and down by
MEMORY_SECONDS = 0.1  # how long after the end of many processes their stacks may still count


class Leftovers:
    """A look at the container, compared with the first one, before anything had run."""

    def __init__(self, cgroup: Cgroup) -> None:
        self.cgroup = cgroup
        self.oom_kills = cgroup.oom_kills()
        self.memory_bytes = cgroup.memory_bytes()
        self.sockets = socket_counts()

    def find(self, order: Order, uid: int) -> bytes:
        """What is there beside the files of this order, which are removed: a word; empty when there is nothing.

        With them goes what the program was asked to make. More than a few of those are left, and found.
        """
        trim()
        uninstall()
        try:
            if order.artifacts.globs:
                tidy(order, uid)
                set_modes([], READ_ONLY)
            remove(order.names)
            if not (is_empty(APP) and is_empty(SHARED_MEMORY)):
                return b"files"
        except OSError:
            return b"files"
        if is_anybody_alive():
            return b"processes"
        if not self.sockets or socket_counts() != self.sockets:
            return b"sockets"
        if any(line_count(table) != 1 for table in IPC_TABLES):
            return b"ipc"
        return b"" if self.is_memory_free() else b"memory"

    def is_memory_free(self) -> bool:
        if self.oom_kills is None or self.cgroup.oom_kills() != self.oom_kills:
            return False
        deadline = time.monotonic() + MEMORY_SECONDS
        while not self.is_little_used():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True

    def is_little_used(self) -> bool:
        memory_bytes = self.cgroup.memory_bytes()
        if memory_bytes is None or self.memory_bytes is None:
            return False
        return memory_bytes <= self.memory_bytes + MEMORY_MARGIN_BYTES


def trim() -> None:
    """Give back what carrying out a run took of our own memory: a process counts as large as the one that forked it."""
    libc("malloc_trim")(0)


def is_empty(folder: str) -> bool:
    """However many files there are, only the first few are read."""
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def is_anybody_alive() -> bool:
    try:
        os.kill(-1, 0)
    except ProcessLookupError:
        return False
    return True


def socket_counts() -> list[tuple[bytes, bytes, bytes]]:
    """How many sockets of each protocol there are, those in TIME_WAIT too; nothing when the kernel does not say."""
    counts = []
    for path in SOCKET_COUNTS:
        for line in read_lines(path):
            protocol, *words = line.split()
            counts += [(protocol, *pair) for pair in zip(words[::2], words[1::2], strict=False) if pair[0] in COUNTED]
    return counts


def line_count(path: str) -> int:
    return len(read_lines(path))


def read_lines(path: str) -> list[bytes]:
    """The lines of a file; none when it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return []
    with open(descriptor, "rb") as file:
        return file.read().splitlines()
