"""What host and supervisor say to each other: the order, the frames, and the reports they add up to.

Pure: no process, no descriptor. The frames are described at the top of `guest/frames.py`, the other end.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sandbox.box.arrivals import GARBLED, MAX_OMITTED, NOTHING, Arrivals, Asked
from sandbox.errors import ContainerLost, InvalidArchive
from sandbox.models import Limits, Stream

FRAME = struct.Struct(">cI")
ORDER = struct.Struct(">???BI")
RUN = struct.Struct(">I")
"""How many runs a container has had before: in an order, in a cancellation, and in what its supervisor says."""
LIMITS = struct.Struct(">dqq")
ARTIFACTS = struct.Struct(">IQI")
REPORT = struct.Struct(">iqqqqqq")
FRAME_ROOM_BYTES = 1 << 17
"""No frame of our supervisor is larger than this and what is kept of a stream."""

REASONS = {b"": None} | {reason.encode(): reason for reason in ("timeout", "output_limit", "cancelled")}
"""Why the supervisor ended a program, as it says it and as a report has it."""

LEFTOVERS = (b"files", b"processes", b"sockets", b"ipc", b"memory")
"""What a run may leave behind, so that no other follows it in its container: the supervisor's words."""

DAMAGED, NO_ROOM = REFUSALS = (b"corrupt_archive", b"archive_too_large")
"""Why the supervisor does not start one: the second for lack of memory, since its size was checked before."""

STREAMS = {b"O": Stream.STDOUT, b"E": Stream.STDERR}

OutputHandler = Callable[[Stream, bytes], None]


@dataclass(frozen=True)
class Step:
    """One process of a run. Only time and output of its `limits` are its own; the container keeps the others."""

    command: list[str]
    environment: Sequence[str]
    """`NAME=VALUE` each."""
    limits: Limits
    folder: str = "/app"
    """Where it is started."""

    def frames(self) -> list[tuple[bytes, bytes]]:
        limits = self.limits
        return [
            (b"L", LIMITS.pack(limits.timeout_seconds, limits.output_bytes, limits.output_stop_bytes)),
            (b"A", _strings(self.command)),
            (b"V", _strings(self.environment)),
            (b"W", self.folder.encode()),
        ]


@dataclass(frozen=True)
class Order:
    """What the supervisor needs to know to run one program.

    The steps are carried out in turn, in one container and on the same files, up to the first that does not succeed.
    """

    steps: tuple[Step, ...]
    names: tuple[str, ...]
    """Of the files that the payload holds, below /app."""
    payload: bytes
    """The contents of the only file, or a zip."""
    is_archive: bool
    stdin: bytes
    """Of the last step; the others have none."""
    may_use_waiting: bool
    """Whether an interpreter that already waits may be used."""
    may_be_followed: bool = False
    """Whether the container may be made ready for another run."""
    artifacts: Asked = NOTHING

    def frames(self, run: int = 0) -> bytes:
        """What is written to a container that has had so many runs."""
        flags, asked = (self.may_use_waiting, self.is_archive, self.may_be_followed), self.artifacts
        parts = [
            (b"R", ORDER.pack(*flags, len(self.steps), run)),
            (b"N", _strings(self.names)),
            (b"P", self.payload),
            (b"I", self.stdin),
            (b"G", ARTIFACTS.pack(asked.count, asked.bytes, MAX_OMITTED) + _strings(asked.globs)),
        ]
        for step in self.steps:
            parts += step.frames()
        return b"".join(frame(kind, part) for kind, part in parts)


@dataclass
class Captured:
    """What was kept of one output stream; `tail` is apart from `head` only when bytes between were dropped."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytes = b""
    dropped_bytes: int = 0

    @property
    def written_bytes(self) -> int:
        """What the program has written in all."""
        return len(self.head) + len(self.tail) + self.dropped_bytes


@dataclass(frozen=True)
class Report:
    """How a step ended, as the supervisor saw it, or (`wait_status` None) as it looked from outside."""

    stdout: Captured = field(default_factory=Captured)
    stderr: Captured = field(default_factory=Captured)
    wait_status: int | None = None
    """As wait(2) gives it."""
    stopped: str | None = None
    """Why it was ended: `timeout`, `output_limit`, `cancelled`, or None."""
    oom_kills: int | None = None
    """Processes the kernel killed for memory during the step; None where that cannot be known."""
    wall_seconds: float = 0.0
    cpu_seconds: float | None = None
    max_rss_kb: int | None = None
    before: Report | None = None
    """Of the step before it, if there was one: the compiler's."""
    is_of_compiler: bool = False
    """Whether it is of a compiler, and the program was never run."""

    @property
    def is_success(self) -> bool:
        """Whether the next step follows."""
        return self.wait_status == 0 and self.stopped is None

    def within(self, seconds: float) -> Report:
        """The same, with no more time than there was: whoever takes a supervisor over may say anything."""
        cpu_seconds = self.cpu_seconds
        if cpu_seconds is not None:
            cpu_seconds = min(cpu_seconds, seconds * (os.cpu_count() or 1))
        before = self.before and self.before.within(seconds)
        return replace(self, wall_seconds=min(self.wall_seconds, seconds), cpu_seconds=cpu_seconds, before=before)


class Transcript:
    """Collects the supervisor's frames of one run, from `S` or `X` on, until they make a report of each step.

    A program that has taken over its supervisor may send what it likes; it costs us no more than an honest one.
    """

    def __init__(self, steps: Sequence[Step], arrivals: Arrivals) -> None:
        self.reports: list[Report] = []
        """Of the steps that have ended."""
        self.started = False
        self._steps = steps
        self._arrivals = arrivals
        self._begin_step()

    @property
    def finished(self) -> bool:
        """Whether nothing is to follow."""
        return bool(self.reports) and (len(self.reports) == len(self._steps) or not self.reports[-1].is_success)

    @property
    def _is_last_step(self) -> bool:
        return len(self.reports) == len(self._steps) - 1

    def _begin_step(self) -> None:
        self._started_at: float | None = None
        self._stdout = Captured()
        self._stderr = Captured()

    def take(self, kind: bytes, payload: bytes, on_output: OutputHandler) -> Step | None:
        """Note one frame; the step that it says was released, if it does. The last step's output is passed on.

        :raises InvalidArchive: for the one that says the archive could not be unpacked.
        :raises ContainerLost: for one that our supervisor does not send here.
        """
        if kind == b"X" and payload in REFUSALS and not self.started:
            raise _refusal(payload, self._steps[0].limits)
        if self.finished or (kind == b"S") == (self._started_at is not None):
            raise ContainerLost(GARBLED)
        if kind == b"S":
            self.started = True
            self._started_at = time.monotonic()
            return self._steps[len(self.reports)]
        if kind == b"D":
            self._arrivals.end()
            self.reports.append(self._report(payload))
            self._begin_step()
        elif kind in Arrivals.KINDS:
            self._arrivals.take(kind, payload)
        else:
            self._take_output(kind, payload, on_output)
        return None

    def _take_output(self, kind: bytes, payload: bytes, on_output: OutputHandler) -> None:
        stream = STREAMS.get(kind.upper())
        captured = self._stdout if stream is Stream.STDOUT else self._stderr
        kept_bytes = len(captured.head) + len(captured.tail) + len(payload)
        if (
            stream is None
            or not payload
            or captured.tail
            or kept_bytes > self._steps[len(self.reports)].limits.output_bytes
        ):
            raise ContainerLost(GARBLED)
        if not kind.isupper():
            captured.tail = payload
            return
        captured.head += payload
        if self._is_last_step:
            on_output(stream, payload)

    def _report(self, done: bytes) -> Report:
        """What the frames of a step add up to.

        :raises ContainerLost: when the last of them is not what our supervisor sends.
        """
        numbers, reason = done[: REPORT.size], done[REPORT.size :]
        if len(numbers) < REPORT.size or reason not in REASONS:
            raise ContainerLost(GARBLED)
        wait_status, oom_kills, wall_us, cpu_us, max_rss_kb, *dropped = REPORT.unpack(numbers)
        if not is_ending(wait_status) or min(wall_us, cpu_us, max_rss_kb, *dropped) < 0:
            raise ContainerLost(GARBLED)
        self._stdout.dropped_bytes, self._stderr.dropped_bytes = dropped
        return Report(
            stdout=self._stdout,
            stderr=self._stderr,
            # A step that was stopped as it exited with 0 has not succeeded, whatever follows now never does.
            wait_status=None if reason and not self._is_last_step else wait_status,
            stopped=REASONS[reason],
            oom_kills=None if oom_kills < 0 else oom_kills,
            wall_seconds=wall_us / 1e6,
            cpu_seconds=cpu_us / 1e6,
            max_rss_kb=max_rss_kb,
        )

    def stop_from_outside(self, reason: str) -> None:
        """Let a report of what is known end the transcript."""
        if reason != "cancelled":
            self._arrivals.cut()
        wall_seconds = 0.0 if self._started_at is None else time.monotonic() - self._started_at
        self.reports.append(Report(self._stdout, self._stderr, stopped=reason, wall_seconds=wall_seconds))


def _refusal(reason: bytes, limits: Limits) -> InvalidArchive:
    if reason == DAMAGED:
        return InvalidArchive("The archive's contents are damaged or larger than it says.", code="corrupt_archive")
    return InvalidArchive(
        f"These files do not fit into {limits.memory_mb} MiB of memory (limits.memory_mb), beside the program.",
        code="memory_too_small",
    )


def frame(kind: bytes, payload: bytes) -> bytes:
    return FRAME.pack(kind, len(payload)) + payload


def is_ending(wait_status: int) -> bool:
    """Whether wait(2) can say this of a process that has ended."""
    return 0 <= wait_status <= 0xFFFF and (os.WIFEXITED(wait_status) or os.WIFSIGNALED(wait_status))


def _strings(strings: Iterable[str]) -> bytes:
    return b"".join(string.encode() + b"\0" for string in strings)
