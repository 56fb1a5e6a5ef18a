"""One connection of waitress: how errors found while a request is read are answered, and when it ends.

What is different from waitress, each because of something its source does otherwise:
- errors found before the application sees the request (400, 408, 413, 431, 501, 503) have our JSON and headers, and
  the connection lingers until the client has read them (closing with unread data would reset it and lose the answer);
- a client that does not read its answer, or takes too long to send a request, can be told from a busy one;
- whatever becomes of a connection, the bodies it sent are let go.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from sandbox.addresses import group
from web import errors, logs
from web.guards import SECURITY_HEADERS
from web.serving.parser import Parser, TooSlow

STALL_SECONDS = 30
"""How long a client may leave an answer unread."""
UNREAD_SECONDS = 5
"""How long an answer must be unread until its connection may be given up for a new one."""
LINGER_SECONDS = 2
"""How long a connection stays half open after an error that left a body unread."""
RETRY_SECONDS = 5
"""What `Retry-After` says when there is no room for a body."""

Precedence = tuple[int, float]


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
        if number == 503:
            self.response_headers.append(("Retry-After", str(RETRY_SECONDS)))
        self.set_close_on_finish()
        self.content_length = len(content)
        self.channel.linger_until = time.monotonic() + LINGER_SECONDS
        self.channel.server.on_refusal(number, slug)
        logs.access("-", self.request.path, number, 0)
        self.write(content)


class Channel(HTTPChannel):
    """One connection."""

    error_task_class = JsonErrorTask
    request: Any = None
    linger_until: float | None = None
    is_lingering = False
    unread_since = 0.0
    activity_seen = 0.0

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Adjustments, map: dict[int, Any]) -> None:
        self.address = group(addr[0])
        server.connections.make_room(self.address)
        super().__init__(server, sock, addr, adj, map)
        self.created_at = time.monotonic()

    def parser_class(self, adj: Adjustments) -> Parser:
        """A parser for the next request; waitress has a class here."""
        return Parser(adj, self.address)

    def add_channel(self, map: dict[int, Any] | None = None) -> None:
        super().add_channel(map)
        self.server.connections.add(self)

    def del_channel(self, map: dict[int, Any] | None = None) -> None:
        super().del_channel(map)
        self.server.connections.discard(self)

    def send_continue(self) -> None:
        """Invite the body, unless the request is refused already, or there is none: waitress would wait for it."""
        if self.request.error or self.request.completed:
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

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what can be sent. waitress may close here, in any thread; the I/O loop hears of a hang-up anyway."""
        sent: int = super().send(data, do_close=False)
        return sent

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

    def precedence(self) -> Precedence | None:
        """In which order connections are given up for new ones, the least first; None while a request is executed."""
        if self.requests:
            return None
        if self.is_lingering:
            return 0, self.last_activity
        if self.total_outbufs_len:
            return (2, self.last_activity) if time.time() - self.last_activity > UNREAD_SECONDS else None
        if self.request is not None:
            return 1, self.request.created_at
        is_new = self.last_activity == self.creation_time  # its request may have come and not been read yet
        return (1, self.created_at) if is_new else (0, self.last_activity)

    def look_after(self, now: float) -> None:
        """End what the other side had its time for. To be called once a second, with the monotonic clock."""
        if self.is_lingering:
            if now > (self.linger_until or 0):
                self.handle_close()
        elif self.total_outbufs_len:
            if self._is_stalled(now):
                self.handle_close()
        else:
            self.unread_since = now
            self._end_slow_request(now)

    def _is_stalled(self, now: float) -> bool:
        """waitress notes the time of each send, but in wall-clock time, and it may be old when a run was long."""
        if self.activity_seen != self.last_activity:
            self.activity_seen = self.last_activity
            self.unread_since = now
        return now - self.unread_since > STALL_SECONDS

    def _end_slow_request(self, now: float) -> None:
        request = self.request
        if request is None:
            return
        if self.requests:  # it is not read while others are executed
            request.restart_clock()
        elif request.is_too_slow(now):
            with self.requests_lock:
                request.fail(TooSlow(""))
                self.request = None
                self.requests.append(request)
            self.server.add_task(self)

    def is_busy(self) -> bool:
        return bool(self.requests or self.total_outbufs_len)

    def handle_close(self) -> None:
        """Close, and let go of all bodies but that of the request being executed, whose thread does it."""
        with self.requests_lock:
            for request in self.requests[1:]:
                request.close()
            del self.requests[1:]
            if self.request is not None:
                self.request.close()
        if self.total_outbufs_len:  # to be forgotten, also by the kernel, which would offer it for minutes
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        super().handle_close()
