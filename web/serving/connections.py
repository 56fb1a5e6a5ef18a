"""The open connections, how many there may be, and which one is given up for a new one.

waitress stops accepting when there are too many, and whoever holds the others open denies the server to all.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import WSGIApplication

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from web.serving.channel import Channel
from web.serving.dispatcher import Dispatcher

UNREAD_BYTES = 128 << 20
"""Of all answers together, what may wait for its readers: an answer waits in memory, and above 1 MiB in a file."""


class Connections:
    """The connections of all listeners. For the I/O loop; only closing is safe elsewhere."""

    def __init__(self, limit: int, address_limit: int) -> None:
        self.limit = limit
        self.address_limit = address_limit
        self._open: set[Channel] = set()

    def __iter__(self) -> Iterator[Channel]:
        return iter(list(self._open))

    def add(self, channel: Channel) -> None:
        self._open.add(channel)

    def discard(self, channel: Channel) -> None:
        self._open.discard(channel)

    def has_room(self) -> bool:
        """Whether a new connection may be accepted: one is left, or one may go."""
        return len(self._open) < self.limit or any(channel.precedence() is not None for channel in self)

    def make_room(self, address: str) -> None:
        """Give up the connections that one more from `address` needs, if they may go."""
        own = [channel for channel in self if channel.address == address]
        if len(own) >= self.address_limit:
            _give_one_up(own)
        if len(self._open) >= self.limit:
            _give_one_up(self)

    def drop_unread(self) -> None:
        """Give up the answers that have waited longest, while all together are more than there is room for."""
        excess_bytes = sum(channel.total_outbufs_len for channel in self) - UNREAD_BYTES
        if excess_bytes <= 0:
            return
        for channel in sorted(self, key=_last_activity):
            if excess_bytes > 0 and channel.total_outbufs_len:
                excess_bytes -= channel.total_outbufs_len
                channel.handle_close()


def _give_one_up(channels: Iterable[Channel]) -> None:
    ranked = [(rank, channel) for channel in channels if (rank := channel.precedence()) is not None]
    if ranked:
        min(ranked, key=lambda pair: pair[0])[1].handle_close()


def _last_activity(channel: Channel) -> float:
    seconds: float = channel.last_activity
    return seconds


OnRefusal = Callable[[int, str], None]
"""Told of each request that never reaches the application: HTTP status, and code of the error."""


class Listener(TcpWSGIServer):
    """Accepts connections on one socket while `connections` has room for them."""

    channel_class = Channel

    def __init__(
        self,
        app: WSGIApplication,
        bound: socket.socket,
        *,
        dispatcher: Dispatcher,
        adjustments: Adjustments,
        connections: Connections,
        channel_map: dict[int, Any],
        on_refusal: OnRefusal,
    ) -> None:
        self.connections = connections
        self.on_refusal = on_refusal
        info = (bound.family, bound.type, bound.proto, bound.getsockname())
        super().__init__(
            app, channel_map, True, bound, dispatcher=dispatcher, adj=adjustments, sockinfo=info, bind_socket=False
        )

    def readable(self) -> bool:
        return bool(super().readable()) and self.connections.has_room()
