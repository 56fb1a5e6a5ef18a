"""What the kernel counts for the whole container, whatever its processes do."""

from __future__ import annotations

import time

from system import os

# cgroup v2, v1
OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
CPU_COUNTERS = ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpuacct/cpuacct.usage")
MEMORY_COUNTERS = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")
MEMORY_PARTS = ("/sys/fs/cgroup/memory.stat", "/sys/fs/cgroup/memory/memory.stat")


class Cgroup:
    """The counters of this container's control group."""

    def __init__(self) -> None:
        self._oom_counter = open_first(OOM_COUNTERS)
        self._cpu_counter = open_first(CPU_COUNTERS)
        self._memory_counter = open_first(MEMORY_COUNTERS)
        self._memory_parts = open_first(MEMORY_PARTS)

    def oom_kills(self) -> int | None:
        """How many processes the kernel has killed for memory; None when it does not say."""
        return read_count(self._oom_counter, b"oom_kill")

    def cpu_seconds(self) -> float | None:
        """CPU time of everything but ourselves; None when the kernel does not say."""
        own = time.process_time()  # first, as it makes the kernel add what is running now to the other figure
        microseconds = read_count(self._cpu_counter, b"usage_usec")
        return None if microseconds is None else microseconds / 1e6 - own

    def memory_bytes(self) -> int | None:
        """Memory in use but for the cache of files, which the kernel takes back when it is needed."""
        if self._memory_counter is None or self._memory_parts is None:
            return None
        parts = {}
        for line in os.pread(self._memory_parts, 8192, 0).splitlines():
            name, _, count = line.partition(b" ")
            parts[name] = int(count)
        cache = parts.get(b"file", parts.get(b"cache"))
        if cache is None:
            return None
        return int(os.pread(self._memory_counter, 32, 0)) - cache + parts.get(b"shmem", 0)


def open_first(paths: tuple[str, ...]) -> int | None:
    for path in paths:
        try:
            return os.open(path, os.O_RDONLY)
        except OSError:
            pass
    return None


def read_count(descriptor: int | None, name: bytes) -> int | None:
    """The number that follows `name`; one without a name is in nanoseconds, as cpuacct.usage."""
    if descriptor is None:
        return None
    for line in os.pread(descriptor, 4096, 0).splitlines():
        key, _, count = line.partition(b" ")
        if key == name:
            return int(count)
        if not count:
            return int(key) // 1000
    return None


def difference(after: float | None, before: float | None, otherwise: float) -> float:
    return otherwise if after is None or before is None else max(0, after - before)
