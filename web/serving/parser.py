"""One request as it arrives: how large it may be, by when it must be complete, and what is refused at its head.

What is different from waitress, each because of something its source does otherwise:
- a body is bounded by the limit of its own route, and refused on its announced length, before it is read;
- head and body have to arrive in time, and large bodies share a budget (`bodies.py`);
- a request whose end headers do not tell plainly is refused (RFC 9112, section 6.1);
- what waitress takes quadratic time for is refused first: headers on several lines, runs of blanks, endless lines
  between chunks.
"""

from __future__ import annotations

import re
import time

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.utilities import BadRequest, Error

HEAD_SECONDS = 10
"""How long a client may take to send the head of a request."""
BODY_SECONDS = 20
"""How long it may take to send the body, beside a second for each `BODY_BYTES_PER_SECOND`."""
BODY_BYTES_PER_SECOND = 32 << 10


CHUNK_LINE_BYTES = 1024
TRAILER_BYTES = 8192

SLOW_HEAD = re.compile(rb"\n[ \t]|[ \t]{65}")
"""A header that goes on in the next line, which RFC 9112, section 5.2, lets a server refuse, or a run of blanks."""


class TooSlow(Error):
    """The request was not complete in time."""

    code = 408
    reason = "Request Timeout"


class TooManyBodies(Error):
    """There is no room for one more body."""

    code = 503
    reason = "Service Unavailable"


class Parser(HTTPRequestParser):
    """Reads one request of a client at `address`."""

    path = "-"  # waitress logs it, and has none when the first line made no sense

    def __init__(self, adj: Adjustments, address: str) -> None:
        super().__init__(adj)
        self.adj = adj
        self.address = address
        self.created_at = time.monotonic()
        self.counted_bytes = 0
        self._clock_started_at = self.created_at

    def received(self, data: bytes) -> int:
        was_in_head = not self.headers_finished
        consumed: int = super().received(data)
        if was_in_head and self.headers_finished:
            self.restart_clock()
        if not self.error and self._is_badly_chunked():
            self.fail(BadRequest("a line between chunks is too long"))
        if not self.error and not self._count_body():
            self.fail(TooManyBodies(""))
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        if SLOW_HEAD.search(header_plus):
            raise ParsingError("a header on several lines, or too many blanks")
        try:
            super().parse_header(header_plus)
        except ValueError as problem:  # of an address or a number that is none
            raise ParsingError("the head makes no sense") from problem
        self.adj = self.adj.of_path(self.path)
        self._check_length(header_plus)

    def _check_length(self, header_plus: bytes) -> None:
        """Refuse a request whose end somebody in between may see elsewhere.

        :raises ParsingError: for a transfer encoding beside a length, other than one `chunked`, or in HTTP/1.0.
        """
        fields = [line.partition(b":") for line in header_plus.split(b"\r\n")[1:]]
        encodings = [value.strip().lower() for name, _, value in fields if name.lower() == b"transfer-encoding"]
        has_length = any(name.lower() == b"content-length" for name, _, _ in fields)
        if encodings and (encodings != [b"chunked"] or has_length or self.version != "1.1"):
            raise ParsingError("the length of the body is ambiguous")

    def _is_badly_chunked(self) -> bool:
        receiver = self.body_rcv
        if not isinstance(receiver, ChunkedReceiver):
            return False
        return len(receiver.control_line) > CHUNK_LINE_BYTES or len(receiver.trailer) > TRAILER_BYTES

    def _count_body(self) -> bool:
        """Whether there is room for what the body has announced or, without a length, for what came of it."""
        body_bytes = max(self.content_length, self.body_bytes_received)
        counted_bytes = self.adj.bodies.resize(self.address, self.counted_bytes, body_bytes)
        if counted_bytes is None:
            return False
        self.counted_bytes = counted_bytes
        return True

    def fail(self, error: Error) -> None:
        """Be complete, and answered with the error."""
        self.error = error
        self.completed = True

    def restart_clock(self) -> None:
        """Time counts from now."""
        self._clock_started_at = time.monotonic()

    def is_too_slow(self, now: float) -> bool:
        """Whether the client has had its time, by the monotonic clock."""
        allowed_seconds: float = HEAD_SECONDS
        if self.headers_finished:
            # By what has come, not by what was announced: an empty promise shall not hold room for minutes.
            allowed_seconds = BODY_SECONDS + self.body_bytes_received / BODY_BYTES_PER_SECOND
        return now - self._clock_started_at > allowed_seconds

    def close(self) -> None:
        """Let the body go. May be called more than once."""
        super().close()
        self.adj.bodies.resize(self.address, self.counted_bytes, 0)
        self.counted_bytes = 0
