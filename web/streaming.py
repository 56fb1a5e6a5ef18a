"""A run as server-sent events: `started`, `stdout`, `stderr`, `artifact`, then `result` or `error`.

The run has a thread of its own. Between it and the thread that writes to the socket is a `Feed`, which never
makes the program wait for a slow reader: pieces that have not been fetched yet are joined, and the executor
passes on no more of a stream than the head it keeps, so a feed holds little more than `output_bytes`.

A comment line goes out every second. It keeps proxies from giving up, and a client that vanished is noticed
by it at the latest; the run is cancelled then.
"""

from __future__ import annotations

import functools
import io
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Request, Response

from executor import Executor
from sandbox.errors import SandboxError
from sandbox.models import Artifact, RunRequest, RunResult, Stream
from web import errors

log = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
HEARTBEAT_SECONDS = 1.0
OPENING_SECONDS = 0.25
"""How long the answer waits for the first event, so that early refusals are ordinary JSON errors."""

KEPT_APART = 1000
"""Pieces of the two streams that wait in the order they were written; what comes after is joined by stream."""

Gone = Callable[[], bool]


@dataclass(frozen=True)
class Output:
    """Some text that the program wrote."""

    stream: Stream
    text: str


@dataclass(frozen=True)
class Started:
    """The program has been released."""


Event = Output | Started | Artifact | RunResult | SandboxError


def is_wanted(request: Request) -> bool:
    """Whether the caller prefers a stream of events to one JSON answer."""
    if EVENT_STREAM not in request.headers.get("Accept", ""):
        return False
    return request.accept_mimetypes.best_match(["application/json", EVENT_STREAM]) == EVENT_STREAM


class Feed:
    """What has happened and is not yet written to the client. One thread puts, one takes; putting never waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: deque[Event] = deque()
        self._pending: dict[Stream, io.StringIO] = {}
        self.is_closed = False

    def put(self, event: Event) -> None:
        with self._changed:
            self._flush()
            self._events.append(event)
            self._changed.notify()

    def put_output(self, stream: Stream, text: str) -> None:
        with self._changed:
            if stream not in self._pending and len(self._events) < KEPT_APART:
                self._flush()
            self._pending.setdefault(stream, io.StringIO()).write(text)
            self._changed.notify()

    def take(self, timeout_seconds: float) -> Event | None:
        """The next event; None when there was none within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._pending, timeout_seconds)
            if not self._events:
                self._flush()
            return self._events.popleft() if self._events else None

    def close(self) -> None:
        """The reader has left: let the run end."""
        self.is_closed = True

    def _flush(self) -> None:
        self._events.extend(Output(stream, buffer.getvalue()) for stream, buffer in self._pending.items())
        self._pending.clear()


def answer(executor: Executor, run_request: RunRequest, run_id: str, gone: Gone) -> Response:
    """Start the run and answer with its events.

    Returns as soon as something has happened, or after `OPENING_SECONDS` with a stream that is still silent.

    :raises SandboxError: what made the run impossible before that.
    """
    feed = Feed()
    run = functools.partial(
        executor.run,
        run_request,
        run_id=run_id,
        on_start=lambda: feed.put(Started()),
        on_output=feed.put_output,
        gone=lambda: feed.is_closed or gone(),
    )
    threading.Thread(target=_feed, args=(feed, run), name=f"stream-{run_id}", daemon=True).start()
    first = feed.take(OPENING_SECONDS)
    if isinstance(first, SandboxError):
        raise first
    response = Response(_events(feed, run_id, first, gone), mimetype=EVENT_STREAM)
    response.call_on_close(feed.close)
    # Proxies such as nginx would otherwise collect the events.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _feed(feed: Feed, run: Callable[[], RunResult]) -> None:
    """Carry out a run that puts its events into the feed, and put its last one there."""
    try:
        result = run()
    except SandboxError as problem:
        feed.put(problem)
    except Exception:
        log.exception("a streamed run failed unexpectedly")
        feed.put(SandboxError(errors.SENTENCES[500][1]))
    else:
        for event in (*result.artifacts, result):
            feed.put(event)


def _events(feed: Feed, run_id: str, event: Event | None, gone: Gone) -> Iterator[str]:
    """The lines of the stream, to the last event or until the reader has left."""
    try:
        while not gone():
            yield ": ping\n\n" if event is None else _format(event, run_id)
            if isinstance(event, RunResult | SandboxError):
                return
            event = feed.take(HEARTBEAT_SECONDS)
    finally:
        feed.close()


def _format(event: Event, run_id: str) -> str:
    if isinstance(event, Output):
        return _line(event.stream.value, {"text": event.text})
    if isinstance(event, Artifact):
        return _line("artifact", {**vars(event)})
    if isinstance(event, RunResult):
        return _line("result", event.to_json())
    if isinstance(event, SandboxError):
        return _line("error", errors.body(event.message, event.code))
    return _line("started", {"id": run_id})


def _line(name: str, value: dict[str, Any]) -> str:
    """One event. JSON has no raw line ends, so its data is a single line."""
    return f"event: {name}\ndata: {errors.to_json(value)}\n\n"
