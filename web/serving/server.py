"""The listening server: waitress with bounded connections (`connections.py`), and an ending that keeps promises.

On SIGTERM no new connections are taken, and running requests end while the I/O loop still writes their answers.
(waitress's own shutdown stops the loop first, waits 5 seconds, and leaves what a full socket buffer did not take.)
"""

from __future__ import annotations

import copy
import errno
import functools
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

from waitress import wasyncore
from waitress.adjustments import Adjustments

from sandbox.settings import Settings
from web.serving.bodies import Bodies
from web.serving.connections import Connections, Listener, OnRefusal
from web.serving.dispatcher import Dispatcher

log = logging.getLogger(__name__)

SPARE_THREADS = 16
"""Beside one for each run and each waiting request: for the page, the history, health checks and refusals."""
SPARE_CONNECTIONS = 256
LOOP_SECONDS = 1.0
IDLE_SECONDS = 60
"""How long a connection may stay open without a request."""
FLUSH_SECONDS = 5
"""How long, after the last run has ended, its answer may take to be written."""
MAX_HEADER_BYTES = 32 << 10
NO_WATERMARK_BYTES = 1 << 60
"""waitress makes a thread wait while more than this is unsent, so readers that never read would take all threads.
What an answer can hold is bounded, and so is what all of them hold (`connections.py`)."""


BodyLimit = Callable[[str], int]
"""From the path of a request to the most bytes that its body may have."""


class Closable(Protocol):
    """What is closed at the end: the executor."""

    def close(self, drain_seconds: float = 0) -> None: ...


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

    def __init__(
        self,
        app: WSGIApplication,
        settings: Settings,
        sockets: list[socket.socket],
        *,
        body_limit: BodyLimit,
        on_refusal: OnRefusal,
    ) -> None:
        self.settings = settings
        self.url = url(settings, sockets)
        self._map: dict[int, Any] = {}
        self._stopping = threading.Event()
        self._ending = threading.RLock()  # a signal handler may interrupt who holds it
        self._next_check = 0.0
        runs = settings.effective_concurrent_runs() + settings.queue_size
        self._dispatcher = Dispatcher(runs + SPARE_THREADS)
        connections = runs + SPARE_CONNECTIONS
        self._connections = Connections(connections, settings.max_address_connections or connections * 3 // 4)
        adjustments = _adjustments(settings, body_limit)
        self._listeners = [
            Listener(
                app,
                bound,
                dispatcher=self._dispatcher,
                adjustments=adjustments,
                connections=self._connections,
                channel_map=self._map,
                on_refusal=on_refusal,
            )
            for bound in sockets
        ]

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
        while any(channel.is_busy() for channel in self._connections) and time.monotonic() < deadline:
            self._turn(0.05)
        self._dispatcher.shutdown(timeout=1)
        with self._ending:
            self._listeners = []
            wasyncore.close_all(self._map)

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """Make `run` drain and return. May be called from any thread and from a signal handler."""
        with self._ending:  # else `run` may end at once and close what is pulled here
            self._stopping.set()
            for listener in self._listeners:
                listener.pull_trigger()

    def _turn(self, seconds: float = LOOP_SECONDS) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)
        self._connections.drop_unread()
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + LOOP_SECONDS
            for channel in self._connections:
                channel.look_after(now)

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.accepting = False
            listener.del_channel()
            listener.socket.close()
        for channel in self._connections:
            if not channel.is_busy() and channel.request is None:
                channel.handle_close()


def _adjustments(settings: Settings, body_limit: BodyLimit) -> Adjustments:
    """waitress's settings, and in `of_path` the same with the limit for the body of a request to a path."""
    adjustments = Adjustments(
        connection_limit=sys.maxsize,  # `Connections` decides
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=10,
        # Keeps the connection readable during a request, which is how a vanished client is noticed.
        channel_request_lookahead=1,
        max_request_header_size=MAX_HEADER_BYTES,
        outbuf_high_watermark=NO_WATERMARK_BYTES,
        asyncore_use_poll=True,  # select() ends at descriptor 1024
        # Whose forwarded headers count is decided where they are read (`web/proxies.py`).
        clear_untrusted_proxy_headers=False,
        log_socket_errors=False,
        expose_tracebacks=False,
        ident="",
    )
    adjustments.bodies = Bodies(settings.max_bodies_bytes)

    @functools.cache
    def with_limit(limit_bytes: int) -> Adjustments:
        changed = copy.copy(adjustments)
        changed.max_request_body_size = limit_bytes + 1  # waitress refuses at its limit, not above it
        return changed

    adjustments.of_path = lambda path: with_limit(body_limit(path))
    return adjustments


def serve(server: Server, executor: Closable) -> None:
    """Serve until SIGTERM or SIGINT, then drain, and close `executor`. A second signal ends the process at once.

    Nothing is left behind then either: a container ends when the process that started it does.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        if server.is_stopping:
            os._exit(128 + number)
        server.stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    # It warns whenever a request waits for a thread, which the queue of the executor is there to decide.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    if not _is_loopback(server.settings.host):
        log.warning("listening on %s: whoever can reach it can run programs here", server.settings.host)
    # What start-up made stays for good. A full collection need not look at it, and takes microseconds.
    gc.collect()
    gc.freeze()
    sys.stdout.write(f"Safe Code Executor is ready: {server.url}\n")
    sys.stdout.flush()
    server.run(executor)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def why_not_started(problem: OSError, settings: Settings) -> str:
    """One line about why the server cannot start."""
    if problem.errno == errno.EADDRINUSE:
        return f"Port {settings.port} is taken. Stop what listens there, or choose another one with SCE_PORT."
    if problem.errno == errno.EADDRNOTAVAIL or isinstance(problem, socket.gaierror):
        return f"{settings.host} is not an address of this machine. SCE_HOST names the one to listen on."
    if problem.errno == errno.EACCES and problem.filename is None:
        return f"This user may not listen on port {settings.port}. SCE_PORT names another one."
    return f"The server cannot start: {problem.strerror or problem} ({problem.filename or settings.host})."
