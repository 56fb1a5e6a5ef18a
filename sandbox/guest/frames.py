"""What host and supervisor say to each other: frames of one letter, a length (four bytes, big-endian) and a payload.

They travel over the supervisor's own stdin and stdout, which the program cannot open:

    host -> here    R order (ORDER)   N names of the files   P their contents (one's text, or a zip)   I stdin
                    G what is wanted of the files that the program makes (ARTIFACTS, globs)
                    and for each step   L limits (LIMITS)   A command   V environment   W its folder
                    then, maybe, K cancel (RUN)
    here -> host    Y ready (RUN)   X refused (a code)
                    and for each step   S started   O/E output   o/e output after a gap
                    and for the last   F a file (FILE, path)   B bytes of it   M one that does not come (why, NUL, path)
                    D done (REPORT, and why its process was ended, if it was)
                    Z no further run in here (what was found)

A step that does not succeed is the last. The stdin is that of the last one ordered; the others have none. After the
last D of an order that says so comes Y again, or Z. RUN is how many runs there were before. Files come whole and in
the order of their paths, unless an M follows before all bytes of one: then it does not come.
A, V, N and globs are strings of which each ends with NUL, which no argument and no file name can contain.
"""

from __future__ import annotations

import struct

from system import os, signal

FRAME = struct.Struct(">cI")
ORDER = struct.Struct(">???BI")  # may use the waiting interpreter, contents are a zip, further runs, steps, its RUN
RUN = struct.Struct(">I")
LIMITS = struct.Struct(">dqq")  # seconds, output bytes, bytes of output that end it
ARTIFACTS = struct.Struct(">IQI")  # files, their bytes in all, names of those that do not come
FILE = struct.Struct(">Q")  # bytes
REPORT = struct.Struct(">iqqqqqq")  # wait status, OOM kills (-1: unknown), wall us, CPU us, RSS kB, dropped bytes
READ_BYTES = 65536


class HostGone(Exception):
    """The host closed our stdin."""


def write_all(data: bytes | bytearray, descriptor: int = 1) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def send(kind: bytes, payload: bytes = b"") -> None:
    write_all(FRAME.pack(kind, len(payload)) + payload)


def read_exactly(count: int) -> bytes:
    chunks = []
    while count:
        chunk = os.read(0, min(count, 1 << 20))
        if not chunk:
            raise HostGone
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)


def next_frame() -> tuple[bytes, bytes]:
    kind, length = FRAME.unpack(read_exactly(FRAME.size))
    return kind, read_exactly(length)


def receive(expected: bytes) -> bytes:
    while True:
        kind, payload = next_frame()
        if kind == expected:
            return payload
        if kind != b"K":  # one that came too late
            raise HostGone


def strings(data: bytes) -> list[str]:
    return [part.decode("utf-8", "surrogateescape") for part in data.split(b"\0")[:-1]]


class Order:
    """What the host wants to be run, and how."""

    def __init__(self, run: int) -> None:
        """Receive it. `run` is how many there were before."""
        order = ORDER.unpack(receive(b"R"))
        self.may_use_waiting, self.is_archive, self.may_be_followed, step_count, self.run = order
        if self.run != run:
            raise HostGone
        self.names = strings(receive(b"N"))
        self.payload = receive(b"P")
        self.stdin = receive(b"I")
        self.artifacts = Artifacts(receive(b"G"))
        self.steps = [Step() for _ in range(step_count)]
        # In case the engine is gone and nobody reads us.
        signal.alarm(int(sum(step.timeout_seconds for step in self.steps)) + 60)


class Artifacts:
    """Which of the files that the program makes the host wants to have. Without globs, the program can make none."""

    def __init__(self, data: bytes) -> None:
        self.count, self.bytes, self.omitted = ARTIFACTS.unpack(data[: ARTIFACTS.size])
        self.globs = strings(data[ARTIFACTS.size :])


class Step:
    """One process of a run, and its limits."""

    def __init__(self) -> None:
        """Receive it."""
        self.timeout_seconds, self.output_bytes, self.output_stop_bytes = LIMITS.unpack(receive(b"L"))
        self.command = strings(receive(b"A"))
        self.environment = strings(receive(b"V"))
        self.folder = receive(b"W").decode()
