"""One container, from `docker run` to its confirmed removal: the host's end of the supervisor's protocol.

Knows bytes, time and the docker client's process; what the bytes mean is in `protocol`, and what a report
means in `classify`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Sequence

from sandbox.box.protocol import FRAME, FRAME_ROOM_BYTES, STOP, Order, OutputHandler, Report, Transcript
from sandbox.engine.client import Client, ClientRefused, has_ended
from sandbox.engine.complaints import error_of
from sandbox.errors import ContainerLost, EngineError, EngineUnavailable

log = logging.getLogger(__name__)

READ_BYTES = 1 << 18

POLL_SECONDS = 0.2
"""How often a waiting run looks whether its caller is still there."""

START_SECONDS = 30.0
"""How long an engine may take to start a container before it counts as not answering."""

RELEASE_SECONDS = 10.0
"""How long a container that waits may take to begin a run; a frozen engine is noticed by it."""

GRACE_SECONDS = 5.0
"""What the supervisor gets on top of the program's own time before the container is killed from outside."""

KILL_SECONDS = 30.0
"""How long a removal is insisted on, counted from the engine's last answer; a loaded one can take seconds over one
`docker kill`."""

DYING_SECONDS = 600.0
"""How long a removal is insisted on in all. What a program has left can keep the kernel busy for minutes."""

TOO_LONG = "The container engine took too long to start a program."
LOST = "The container ended before its program did, by an outside hand or for lack of memory. Try again."


class NotStarted(Exception):
    """The container was gone before it said that the program was released; the run may be tried in another."""

    def __init__(self, reason: EngineError) -> None:
        super().__init__(reason.message)
        self.reason = reason


class Container:
    """One started container. `close` ends it, and never fails."""

    def __init__(self, client: Client, words: Sequence[str], name: str) -> None:
        """Start it by the client's arguments `words` (a `run` that attaches stdin and stdout), without waiting for it.

        :raises EngineUnavailable: when there is no such client.
        """
        self.name = name
        self._client = client
        self._buffer = bytearray()
        self._ended = False
        self._closing = threading.Lock()
        self._closed = False
        self._is_removed = False
        self._is_ready = False
        self._is_stuck = False
        self._max_frame_bytes = FRAME_ROOM_BYTES
        self._last_words = ""
        self._process = client.attach(*words)
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin, self._stdout, self._stderr = self._process.stdin, self._process.stdout, self._process.stderr
        os.set_blocking(self._stdin.fileno(), False)
        os.set_blocking(self._stderr.fileno(), False)
        self._readable = select.poll()
        self._readable.register(self._stdout, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._stdin, select.POLLOUT)

    # --- Before and during the run ------------------------------------------------------------------------

    def wait_ready(self) -> None:
        """Return when the supervisor (and the interpreter it has started) waits for a run.

        :raises EngineError: when the container did not get that far.
        """
        frame = self._next_frame(time.monotonic() + START_SECONDS)
        if frame is None or frame[0] != b"Y":
            raise self._failure(is_gone=self._ended)
        self._is_ready = True

    def alive(self) -> bool:
        """Whether the container, as far as the client has told, is still there and silent."""
        return self._process.poll() is None and not self._readable.poll(0)

    def run(
        self,
        order: Order,
        *,
        on_start: Callable[[], None],
        on_output: OutputHandler,
        should_stop: Callable[[], bool],
    ) -> list[Report]:
        """Run one program to its end. A container does this once. Returns a report of each step that was begun.

        `on_start` is called when the first step is released, `on_output` with the output of the last. `should_stop`
        is asked about five times a second; when it says yes, the program is killed and the last report says
        `cancelled`.

        :raises InvalidArchive: when the archive's contents turn out to be damaged.
        :raises NotStarted: when the container was gone before it said that the program was released: at most the
            first 10 ms have run, and nobody has seen anything of them.
        :raises ContainerLost: when it vanished later, or what it says makes no sense.
        :raises EngineUnavailable: when it did not begin in time and cannot be removed either.

        However this ends, but for a program that ended by itself: the container is dead before it returns.
        """
        deadline = time.monotonic() + (RELEASE_SECONDS if self._is_ready else START_SECONDS)
        if not self._send(order.frames(), deadline):
            raise NotStarted(self._failure(is_gone=time.monotonic() < deadline))
        self._max_frame_bytes = FRAME_ROOM_BYTES + max(step.limits.output_bytes for step in order.steps)
        transcript = Transcript(order.steps)
        try:
            self._follow(transcript, deadline, on_start=on_start, on_output=on_output, should_stop=should_stop)
        except ContainerLost:
            self._end_from_outside()
            raise
        return transcript.reports

    def _follow(
        self,
        transcript: Transcript,
        deadline: float,
        *,
        on_start: Callable[[], None],
        on_output: OutputHandler,
        should_stop: Callable[[], bool],
    ) -> None:
        stop_sent = False
        while not transcript.finished:
            if not stop_sent and should_stop():
                stop_sent = True
                deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
                self._send(STOP, deadline)
            left = deadline - time.monotonic()
            if left <= 0:
                self._give_up(transcript, "cancelled" if stop_sent else "timeout")
                return
            frame = self._next_frame(time.monotonic() + min(left, POLL_SECONDS))
            if frame is None:
                if self._ended:
                    raise ContainerLost(LOST) if transcript.started else NotStarted(self._failure(is_gone=True))
                continue
            is_first = not transcript.started
            if (released := transcript.take(*frame, on_output)) and not stop_sent:
                deadline = time.monotonic() + released.limits.timeout_seconds + GRACE_SECONDS
                if is_first:
                    on_start()

    def _give_up(self, transcript: Transcript, reason: str) -> None:
        """The supervisor did not keep its time. Keep what was printed."""
        log.warning("container %s did not report in time (%s)", self.name, reason)
        self._end_from_outside()
        if transcript.started or reason == "cancelled":
            transcript.stop_from_outside(reason)
            return
        problem = EngineUnavailable(TOO_LONG)
        raise NotStarted(problem) if self._is_removed else problem

    def _end_from_outside(self) -> None:
        self._is_stuck = True
        self.close()

    def _send(self, data: bytes, deadline: float) -> bool:
        """Write everything before `deadline` (monotonic seconds); False when that was not possible."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._stdin.fileno(), view) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._writable.poll(left * 1000)
            except (OSError, ValueError):
                return False
        return True

    def _next_frame(self, deadline: float) -> tuple[bytes, bytes] | None:
        """One frame, or None at the deadline or at the end of the stream (then `_ended` is set)."""
        while True:
            if len(self._buffer) >= FRAME.size:
                kind, length = FRAME.unpack_from(self._buffer)
                end = FRAME.size + length
                if length > self._max_frame_bytes:
                    self._ended = True
                    return None
                if len(self._buffer) >= end:
                    payload = bytes(self._buffer[FRAME.size : end])
                    del self._buffer[:end]
                    return kind, payload
            if not self._readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            data = os.read(self._stdout.fileno(), READ_BYTES)
            if not data:
                self._ended = True
                return None
            self._buffer += data

    # --- The end ------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the container; returns when the client has confirmed its removal, or insisting was in vain.

        Safe to call from any thread and more than once; later calls wait for the first.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(OSError):
                self._stdin.close()
            if self._is_stuck or not self._wait_for_exit(GRACE_SECONDS):
                self._is_removed = self._kill()
            with contextlib.suppress(OSError):
                self._last_words = (self._stderr.read(8000) or b"").decode(errors="replace")
            self._stdout.close()
            self._stderr.close()

    def _wait_for_exit(self, seconds: float) -> bool:
        """Throw away output until the client has exited. With `--rm` it exits after the removal."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self._process.poll() is None:
            if not self._readable.poll(left * 1000):
                return False
            if not os.read(self._stdout.fileno(), READ_BYTES):
                break
        return has_ended(self._process, max(0.0, deadline - time.monotonic()))

    def _kill(self) -> bool:
        """Kill from outside, insisting: a create that is still under way answers "no such container".

        True when the client has confirmed the removal.
        """
        started = time.monotonic()
        deadline = started + KILL_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(EngineUnavailable):  # any other answer is one
                with contextlib.suppress(ClientRefused):
                    self._client.ask("kill", self.name, timeout_seconds=10)
                deadline = min(time.monotonic() + KILL_SECONDS, started + DYING_SECONDS)
            if self._wait_for_exit(0.5):
                return True
        log.error("container %s could not be killed", self.name)
        self._process.kill()
        self._process.wait()
        return False

    def _failure(self, *, is_gone: bool) -> EngineError:
        """Why nothing runs here: what the client said before it went, or that the engine takes too long."""
        if not is_gone:
            self._is_stuck = True
            return EngineUnavailable(TOO_LONG)
        self.close()
        log.warning("container %s failed: %s", self.name, self._last_words.strip() or "no reason given")
        return error_of(self._last_words, "The container engine could not start a container.")
