"""The listening server: waitress, with the bounds, answers and ending that this service needs.

What is added to waitress 3.0.2, each because of something its source does otherwise:
- a body is bounded by the limit of its own route, and refused on its announced length, before it is read;
- errors that waitress answers by itself (400, 413, 431, 500) have our JSON and headers, and the connection lingers
  until the client has read them (closing with unread data would reset it and lose the answer);
- a client that does not read its answer, or takes minutes to send a request, is disconnected;
- SIGTERM: no new connections, running requests end while the I/O loop still writes their answers. (waitress's
  own shutdown stops the loop first, waits 5 seconds, and leaves what a full socket buffer did not take.)
"""

from __future__ import annotations

import contextlib
import copy
import errno
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import Any, Protocol

from flask import Flask
from waitress import create_server, wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer
from waitress.task import ErrorTask

from sandbox.settings import Settings
from web import errors, logs
from web.guards import SECURITY_HEADERS
from web.requests import BODY_LIMITS, body_limit

log = logging.getLogger(__name__)

SPARE_THREADS = 16
"""Beside one for each run and each waiting request: for the page, the history, health checks and refusals."""
SPARE_CONNECTIONS = 256
LOOP_SECONDS = 1.0
IDLE_SECONDS = 60
"""How long a connection may stay open without a request."""
RECEIVE_SECONDS = 120
"""How long a client may take to send one request."""
STALL_SECONDS = 30
"""How long a client may leave an answer unread."""
LINGER_SECONDS = 2
"""How long a connection stays half open after an error that left a body unread."""
FLUSH_SECONDS = 5
"""How long, after the last run has ended, its answer may take to be written."""
MAX_HEADER_BYTES = 32 << 10
HIGH_WATERMARK_BYTES = 256 << 10
"""Unsent bytes of a stream at which its generator has to wait."""


class Closable(Protocol):
    """What is closed at the end: the executor."""

    def close(self, drain_seconds: float = 0) -> None: ...


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
        content = json.dumps(errors.body(sentence, slug)).encode()
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
        if self.linger_until is not None and self.close_when_flushed and not self.is_lingering:
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


# --- Listening --------------------------------------------------------------------------------------------


def listen(settings: Settings) -> list[socket.socket]:
    """Sockets bound to every address of the host setting; nothing can connect to them yet.

    :raises OSError: the port is taken or may not be used, or the host is not an address of this machine.
    """
    found = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in found:
            if sockets and settings.port == 0:  # all of them get the port that the first one was given
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            try:
                sockets.append(_bind(family, address))
            except OSError as problem:
                if problem.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or len(found) == 1:
                    raise
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    if not sockets:
        raise OSError(errno.EADDRNOTAVAIL, "no address of this host can be used")
    return sockets


def _bind(family: socket.AddressFamily, address: Any) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # on Windows it would let two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def url(settings: Settings, sockets: list[socket.socket]) -> str:
    """The address to open in a browser."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{sockets[0].getsockname()[1]}/"


# --- Serving ----------------------------------------------------------------------------------------------


class Server:
    """Serves `app` on `sockets` until a signal, or `stop`."""

    def __init__(self, app: Flask, settings: Settings, sockets: list[socket.socket]) -> None:
        self.settings = settings
        self._map: dict[int, Any] = {}
        self._stopping = threading.Event()
        self._next_check = 0.0
        runs = settings.effective_concurrent_runs() + settings.queue_size
        server = create_server(
            app,
            map=self._map,
            sockets=sockets,
            threads=runs + SPARE_THREADS,
            connection_limit=runs + SPARE_CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=10,
            # Keeps the connection readable during a request, which is how a vanished client is noticed.
            channel_request_lookahead=1,
            max_request_header_size=MAX_HEADER_BYTES,
            outbuf_high_watermark=HIGH_WATERMARK_BYTES,
            asyncore_use_poll=True,  # select() ends at descriptor 1024
            log_socket_errors=False,
            expose_tracebacks=False,
            ident="",
        )
        _bound_bodies(server.adj, settings)
        self._dispatcher = server.task_dispatcher
        self._listeners = [item for item in self._map.values() if isinstance(item, BaseWSGIServer)]
        for listener in self._listeners:
            listener.channel_class = Channel

    def run(self, executor: Closable) -> None:
        """Serve; when told to stop, drain and close `executor`. Returns when everything has ended."""
        while not self._stopping.is_set():
            self._turn()
        self._stop_listening()
        log.info("stopping: running programs have %g seconds", self.settings.drain_seconds)
        closing = threading.Thread(target=executor.close, args=(self.settings.drain_seconds,), name="close-executor")
        closing.start()
        while closing.is_alive():
            self._turn(0.05)
        deadline = time.monotonic() + FLUSH_SECONDS
        while any(channel.is_busy() for channel in self._channels()) and time.monotonic() < deadline:
            self._turn(0.05)
        self._dispatcher.shutdown(timeout=1)
        wasyncore.close_all(self._map)

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """Make `run` drain and return. May be called from any thread and from a signal handler."""
        self._stopping.set()
        for listener in self._listeners:
            listener.pull_trigger()

    def _turn(self, seconds: float = LOOP_SECONDS) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + LOOP_SECONDS
            for channel in self._channels():
                if channel.is_overdue(now):
                    channel.handle_close()

    def _channels(self) -> list[Channel]:
        return [item for item in self._map.values() if isinstance(item, Channel)]

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.accepting = False
            listener.del_channel()
            listener.socket.close()
        for channel in self._channels():
            if not channel.is_busy() and channel.request is None:
                channel.handle_close()


def _bound_bodies(adjustments: Adjustments, settings: Settings) -> None:
    """Give waitress's settings a variant for each path that takes a large body; they hold for all others."""

    def limit(path: str) -> int:
        return body_limit(path, settings) + 1  # waitress refuses at its limit, not above it

    adjustments.max_request_body_size = limit("")
    adjustments.of_route = {}
    for path in BODY_LIMITS:
        adjustments.of_route[path] = copy.copy(adjustments)
        adjustments.of_route[path].max_request_body_size = limit(path)


def serve(app: Flask, settings: Settings, sockets: list[socket.socket]) -> None:
    """Serve `app` until SIGTERM or SIGINT, then drain. A second signal ends the process at once.

    Nothing is left behind then either: a container ends when the process that started it does.
    """
    server = Server(app, settings, sockets)

    def handle(number: int, _frame: FrameType | None) -> None:
        if server.is_stopping:
            os._exit(128 + number)
        server.stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    if not _is_loopback(settings.host):
        log.warning("listening on %s: whoever can reach it can run programs here", settings.host)
    sys.stdout.write(f"Safe Code Executor is ready: {url(settings, sockets)}\n")
    sys.stdout.flush()
    server.run(app.extensions["executor"])
    app.extensions["history"].close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def explain(problem: OSError, settings: Settings) -> str:
    """One line about why the server cannot start."""
    if problem.errno == errno.EADDRINUSE:
        return f"Port {settings.port} is taken. Stop what listens there, or choose another one with SCE_PORT."
    if problem.errno == errno.EADDRNOTAVAIL or isinstance(problem, socket.gaierror):
        return f"{settings.host} is not an address of this machine. SCE_HOST names the one to listen on."
    if problem.errno == errno.EACCES and problem.filename is None:
        return f"This user may not listen on port {settings.port}. SCE_PORT names another one."
    return f"The server cannot start: {problem.strerror or problem} ({problem.filename or settings.host})."
