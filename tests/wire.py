"""HTTP written and read by hand, for what a proper client would not send."""

from __future__ import annotations

import json
import select
import socket
from typing import Any

HUNG_UP = select.POLLRDHUP | select.POLLHUP | select.POLLERR


def connect(url: str, source: str = "127.0.0.1") -> socket.socket:
    """A connection to the server, from that address of the loopback network."""
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10, source_address=(source, 0))


def head(path: str, *lines: str) -> bytes:
    """The head of a POST of JSON."""
    all_lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *lines]
    return "\r\n".join(all_lines).encode() + b"\r\n\r\n"


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of the answer to a request that was written by hand."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        assert piece, f"the connection was closed after {data!r}"
        data += piece
    first_part, _, body = data.partition(b"\r\n\r\n")
    first, *lines = first_part.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    while len(body) < int(headers["Content-Length"]):
        body += connection.recv(65536)
    return int(first.split()[1]), headers, json.loads(body)


def has_ended(connection: socket.socket) -> bool:
    """Whether the other side sends no more."""
    poll = select.poll()
    poll.register(connection, HUNG_UP)
    return bool(poll.poll(0))
