"""One connection of waitress: how a request is read, how errors found on the way are answered, when it ends.

What is different from waitress 3.0.2, each because of something its source does otherwise:
- a body is bounded by the limit of its own route, and refused on its announced length, before it is read;
- errors that waitress answers by itself (400, 413, 431, 501) have our JSON and headers, and the connection lingers
  until the client has read them (closing with unread data would reset it and lose the answer);
- a client that does not read its answer, or takes minutes to send a request, can be told from a busy one.
"""

from __future__ import annotations

import contextlib
import socket
import time

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask

from web import errors, logs
from web.guards import SECURITY_HEADERS

RECEIVE_SECONDS = 120
"""How long a client may take to send one request."""
STALL_SECONDS = 30
"""How long a client may leave an answer unread."""
LINGER_SECONDS = 2
"""How long a connection stays half open after an error that left a body unread."""


class Parser(HTTPRequestParser):
    """Reads one request, with the body limit of its route."""

    path = "-"  # waitress logs it, and has none when the first line made no sense

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.adj = adj
        self.created_at = time.monotonic()

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        self.adj = self.adj.of_route.get(self.path, self.adj)


class JsonErrorTask(ErrorTask):
    """An error that waitress found by itself, answered like all others."""

    def execute(self) -> None:
        status, _, _ = self.request.error.to_response()
        number = int(status.split()[0])
        slug, sentence = errors.SENTENCES.get(number, errors.SENTENCES[500])
        if number == 413:
            sentence = errors.too_large_sentence(self.request.adj.max_request_body_size - 1)
        content = errors.to_json(errors.body(sentence, slug)).encode()
        self.status = status
        self.response_headers.extend([("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        self.response_headers.extend(SECURITY_HEADERS)
        self.set_close_on_finish()
        self.content_length = len(content)
        self.channel.linger_until = time.monotonic() + LINGER_SECONDS
        logs.access("-", self.request.path, number, 0)
        self.write(content)


class Channel(HTTPChannel):
    """One connection."""

    parser_class = Parser
    error_task_class = JsonErrorTask
    linger_until: float | None = None
    is_lingering = False
    unread_since = 0.0
    activity_seen = 0.0

    def send_continue(self) -> None:
        """Invite the body, unless the request is refused already: waitress would read all of it first."""
        if self.request.error:
            self.request.expect_continue = False
        else:
            super().send_continue()

    def handle_write(self) -> None:
        if self.linger_until is not None and self.close_when_flushed and not self.will_close:
            self._flush_exception(self._flush_some)
            if not self.total_outbufs_len and self.connected:
                self._begin_lingering()
            return
        super().handle_write()

    def _begin_lingering(self) -> None:
        """Say that nothing more comes from us, and let the client finish what it is sending."""
        self.is_lingering = True
        self.close_when_flushed = False
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def readable(self) -> bool:
        return self.is_lingering or bool(super().readable())

    def received(self, data: bytes) -> bool:
        return True if self.is_lingering else bool(super().received(data))

    def is_overdue(self, now: float) -> bool:
        """Whether the other side has had its time. To be asked about once a second, with the monotonic clock."""
        if self.is_lingering:
            return now > (self.linger_until or 0)
        if self.total_outbufs_len:
            return self._is_stalled(now)
        self.unread_since = now
        return self.request is not None and now - self.request.created_at > RECEIVE_SECONDS

    def _is_stalled(self, now: float) -> bool:
        """waitress notes the time of each send, but in wall-clock time, and it may be old when a run was long."""
        if self.activity_seen != self.last_activity:
            self.activity_seen = self.last_activity
            self.unread_since = now
        return now - self.unread_since > STALL_SECONDS

    def is_busy(self) -> bool:
        return bool(self.requests or self.total_outbufs_len)
