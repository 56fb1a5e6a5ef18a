"""What host and supervisor say to each other: the order, the frames, and what they add up to.

Pure: no process, no descriptor. The frames are described at the top of `guest/supervisor.py`, the other end.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sandbox.errors import ContainerLost, InvalidArchive
from sandbox.models import Stream

FRAME = struct.Struct(">cI")
ORDER = struct.Struct(">?dqq")
REPORT = struct.Struct(">iqqqqqq")
FRAME_ROOM_BYTES = 1 << 17
"""No frame of our supervisor is larger than this and what is kept of a stream."""

STOP = FRAME.pack(b"K", 0)

REASONS = {b"": None} | {reason.encode(): reason for reason in ("timeout", "output_limit", "cancelled")}
"""Why the supervisor ended a program, as it says it and as a report has it."""

REFUSALS = (b"corrupt_archive", b"archive_too_large")
"""Why the supervisor does not start one, in the codes of the API."""

STREAMS = {b"O": Stream.STDOUT, b"E": Stream.STDERR}

GARBLED = "The container's answer cannot be read. Try again."

OutputHandler = Callable[[Stream, bytes], None]


@dataclass(frozen=True)
class Order:
    """What the supervisor needs to know to run one program."""

    command: list[str]
    settings: Sequence[str]
    """Of its environment: `NAME=VALUE` each."""
    payload: bytes
    """Source of the one file `command[1]`, or a zip of which `names` are unpacked."""
    names: tuple[str, ...] | None
    stdin: bytes
    may_use_waiting: bool
    """Whether an interpreter that already waits may be used."""
    timeout_seconds: float
    output_bytes: int
    output_stop_bytes: int

    def frames(self) -> bytes:
        parts = (
            (b"R", ORDER.pack(self.may_use_waiting, self.timeout_seconds, self.output_bytes, self.output_stop_bytes)),
            (b"A", _strings(self.command)),
            (b"V", _strings(self.settings)),
            (b"N", _strings(self.names or ())),
            (b"P", self.payload),
            (b"I", self.stdin),
        )
        return b"".join(FRAME.pack(kind, len(part)) + part for kind, part in parts)


@dataclass
class Captured:
    """What was kept of one output stream; `tail` is apart from `head` only when bytes between were dropped."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytes = b""
    dropped_bytes: int = 0


@dataclass(frozen=True)
class Report:
    """How a program ended, as the supervisor saw it, or (`wait_status` None) as it looked from outside."""

    wait_status: int | None
    """As wait(2) gives it."""
    stopped: str | None
    """Why it was ended: `timeout`, `output_limit`, `cancelled`, or None."""
    oom_kills: int | None
    """Processes the kernel killed for memory during the run; None where that cannot be known."""
    wall_seconds: float
    cpu_seconds: float | None
    max_rss_kb: int | None
    stdout: Captured
    stderr: Captured


class Outcome:
    """Collects the supervisor's frames of one run until they make a report.

    A program that has taken over its supervisor may send what it likes; it costs us no more than an honest one.
    """

    def __init__(self, output_bytes: int) -> None:
        """`output_bytes` is what the order lets the supervisor keep of each stream."""
        self.started = False
        self.finished = False
        self._output_bytes = output_bytes
        self._started_at = 0.0
        self._done = b""
        self._stdout = Captured()
        self._stderr = Captured()

    def take(self, kind: bytes, payload: bytes, on_output: OutputHandler) -> bool:
        """Note one frame; True for the one that says the program was released.

        :raises InvalidArchive: for the one that says the archive could not be unpacked.
        :raises ContainerLost: for one that our supervisor does not send here.
        """
        if kind == b"X" and payload in REFUSALS:
            raise InvalidArchive("The archive's contents are damaged or larger than it says.", code=payload.decode())
        if kind == b"Y" and not self.started:
            return False
        if (kind == b"S") == self.started:
            raise ContainerLost(GARBLED)
        if kind == b"S":
            self.started = True
            self._started_at = time.monotonic()
            return True
        if kind == b"D":
            self._done = payload
            self.finished = True
        else:
            self._take_output(kind, payload, on_output)
        return False

    def _take_output(self, kind: bytes, payload: bytes, on_output: OutputHandler) -> None:
        stream = STREAMS.get(kind.upper())
        captured = self._stdout if stream is Stream.STDOUT else self._stderr
        kept_bytes = len(captured.head) + len(captured.tail) + len(payload)
        if stream is None or captured.tail or kept_bytes > self._output_bytes:
            raise ContainerLost(GARBLED)
        if kind.isupper():
            captured.head += payload
            on_output(stream, payload)
        else:
            captured.tail = payload

    def report(self) -> Report:
        """What the frames add up to, once `finished`.

        :raises ContainerLost: when the last of them is not what our supervisor sends.
        """
        numbers, reason = self._done[: REPORT.size], self._done[REPORT.size :]
        if len(numbers) < REPORT.size or reason not in REASONS:
            raise ContainerLost(GARBLED)
        wait_status, oom_kills, wall_us, cpu_us, max_rss_kb, *dropped = REPORT.unpack(numbers)
        self._stdout.dropped_bytes, self._stderr.dropped_bytes = dropped
        return Report(
            wait_status=wait_status,
            stopped=REASONS[reason],
            oom_kills=None if oom_kills < 0 else oom_kills,
            wall_seconds=wall_us / 1e6,
            cpu_seconds=cpu_us / 1e6,
            max_rss_kb=max_rss_kb,
            stdout=self._stdout,
            stderr=self._stderr,
        )

    def report_from_outside(self, reason: str) -> Report:
        wall_seconds = time.monotonic() - self._started_at if self.started else 0.0
        return Report(None, reason, None, wall_seconds, None, None, self._stdout, self._stderr)


def _strings(strings: Iterable[str]) -> bytes:
    return b"".join(string.encode() + b"\0" for string in strings)
