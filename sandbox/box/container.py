"""One container, from `docker run` to its confirmed removal: the host's end of the supervisor's protocol.

Knows bytes, time and the docker client's process; what the bytes mean is in `protocol`, and what a report
means in `classify`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence

from sandbox.box.arrivals import Arrivals, Nowhere, Sink
from sandbox.box.pipes import Pipes
from sandbox.box.protocol import (
    FRAME_ROOM_BYTES,
    LEFTOVERS,
    RUN,
    Order,
    OutputHandler,
    Report,
    Transcript,
    frame,
)
from sandbox.engine.client import Client, ClientRefused
from sandbox.engine.complaints import error_of
from sandbox.errors import ContainerLost, EngineError, EngineUnavailable

log = logging.getLogger(__name__)

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
        self.started_at = time.monotonic()
        self.runs = 0
        """How many it has had."""
        self.is_reusable = False
        """Whether another run may follow the last one, unless the supervisor says otherwise."""
        self.is_ready = False
        """Whether it has said that it waits for a run."""
        self.leftover = ""
        """What the supervisor has found that the last run has left behind."""
        self._client = client
        self._closing = threading.Lock()
        self._closed = False
        self._is_removed = False
        self._is_stuck = False
        self._last_words = ""
        self._pipes = Pipes(client, words)

    # --- Before and during the run ------------------------------------------------------------------------

    def wait_ready(self) -> None:
        """Return when the supervisor (and the interpreter it has started) waits for a run.

        :raises EngineError: when the container did not get that far.
        """
        said = self._pipes.next_frame(time.monotonic() + START_SECONDS)
        if said is None or not self._announces(*said):
            raise self._failure(is_gone=self._pipes.ended)

    def _announces(self, kind: bytes, payload: bytes) -> bool:
        """Whether this frame says, rightly and for the first time since the last run, how things stand in there."""
        if self.is_ready or self.leftover:
            return False
        if kind == b"Y":
            self.is_ready = payload == RUN.pack(self.runs)
        elif kind == b"Z" and self.runs and payload in LEFTOVERS:
            self.leftover = payload.decode()
        return self.is_ready or bool(self.leftover)

    def hear(self) -> bool:
        """Take note of what it has said since the last run, without waiting. Whether another run may follow."""
        while not self._pipes.ended and (said := self._pipes.next_frame(0.0)) is not None:
            self._pipes.ended = not self._announces(*said)
        return not self._pipes.ended and not self.leftover and self._pipes.is_attached()

    def alive(self) -> bool:
        """Whether the container, as far as the client has told, is still there and silent."""
        return self._pipes.is_attached() and not self._pipes.has_news()

    def run(
        self,
        order: Order,
        *,
        on_start: Callable[[], None],
        on_output: OutputHandler,
        should_stop: Callable[[], bool],
        sink: Sink | None = None,
    ) -> list[Report]:
        """Run one program to its end. Returns a report of each step that was begun.

        `on_start` is called when the first step is released, `on_output` with the output of the last. `should_stop`
        is asked about five times a second; when it says yes, the program is killed and the last report says
        `cancelled`. The files that it gives back go into `sink`.

        :raises InvalidArchive: when the archive's contents turn out to be damaged.
        :raises NotStarted: when the container was gone before it said that the program was released: at most the
            first 10 ms have run, and nobody has seen anything of them.
        :raises ContainerLost: when it vanished later, or what it says makes no sense.
        :raises EngineUnavailable: when it did not begin in time and cannot be removed either.

        However this ends, but for a program that ended by itself: the container is dead before it returns.
        """
        deadline = time.monotonic() + (RELEASE_SECONDS if self.is_ready else START_SECONDS)
        self.is_reusable = False
        if not self._pipes.send(order.frames(self.runs), deadline):
            raise NotStarted(self._failure(is_gone=time.monotonic() < deadline))
        self._pipes.max_frame_bytes = FRAME_ROOM_BYTES + max(step.limits.output_bytes for step in order.steps)
        transcript = Transcript(order.steps, Arrivals(order.artifacts, sink or Nowhere()))
        try:
            self._follow(transcript, deadline, on_start=on_start, on_output=on_output, should_stop=should_stop)
        except ContainerLost:
            self._end_from_outside()
            raise
        self.runs += 1
        self.is_ready = False
        self.is_reusable = order.may_be_followed and transcript.reports[-1].stopped is None
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
                self._pipes.send(frame(b"K", RUN.pack(self.runs)), deadline)
            left = deadline - time.monotonic()
            if left <= 0:
                self._give_up(transcript, "cancelled" if stop_sent else "timeout")
                return
            said = self._pipes.next_frame(time.monotonic() + min(left, POLL_SECONDS))
            if said is None:
                if self._pipes.ended:
                    raise ContainerLost(LOST) if transcript.started else NotStarted(self._failure(is_gone=True))
                continue
            is_first = not transcript.started
            if is_first and self._announces(*said):
                if self.leftover:
                    raise NotStarted(self._failure(is_gone=True))
                continue
            if (released := transcript.take(*said, on_output)) and not stop_sent:
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

    # --- The end ------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the container; returns when the client has confirmed its removal, or insisting was in vain.

        Safe to call from any thread and more than once; later calls wait for the first.
        """
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._pipes.close_stdin()
            if self._is_stuck or not self._pipes.wait_for_exit(GRACE_SECONDS):
                self._is_removed = self._kill()
            self._last_words = self._pipes.close()

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
            if self._pipes.wait_for_exit(0.5):
                return True
        log.error("container %s could not be killed", self.name)
        self._pipes.kill()
        return False

    def _failure(self, *, is_gone: bool) -> EngineError:
        """Why nothing runs here: what the client said before it went, or that the engine takes too long."""
        if self.runs and is_gone:  # nothing unusual, and its removal is not worth waiting for
            return ContainerLost(LOST)
        if not is_gone:
            self._is_stuck = True
            return EngineUnavailable(TOO_LONG)
        self.close()
        log.warning("container %s failed: %s", self.name, self._last_words.strip() or "no reason given")
        return error_of(self._last_words, "The container engine could not start a container.")
