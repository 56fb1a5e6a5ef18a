"""What travels between the program's pipes and the host. Nothing in here waits for either of them but `Outbox.send`."""

from __future__ import annotations

import time

from frames import FRAME, READ_BYTES, write_all
from system import os

GATHER_SECONDS = 0.01  # how long news of a program may wait for more, to travel together


class Outbox:
    """News of a program on its way to the host, in order: that it was released, its output, its end.

    Four processes handle each piece after us. A program that prints line by line would wait for them.
    """

    def __init__(self) -> None:
        self.frames = bytearray()
        self.kind = b""
        self.payload = bytearray()  # of the last frame, which can still grow
        self.due: float | None = None

    def put(self, kind: bytes, payload: bytes | bytearray = b"") -> None:
        if kind != self.kind:
            self._close_frame()
            self.kind = kind
        self.payload += payload
        if self.due is None:
            self.due = time.monotonic() + GATHER_SECONDS
        if len(self.frames) + len(self.payload) >= READ_BYTES:
            self.send()

    def send(self) -> None:
        self._close_frame()
        write_all(self.frames)
        self.frames = bytearray()
        self.due = None

    def _close_frame(self) -> None:
        if self.kind:
            self.frames += FRAME.pack(self.kind, len(self.payload)) + self.payload
            self.payload.clear()
            self.kind = b""


class Capture:
    """One output stream: its head is sent as it comes, of the rest only the last bytes are kept."""

    def __init__(self, descriptor: int, kind: bytes, keep_bytes: int, outbox: Outbox) -> None:
        self.descriptor = descriptor
        self.kind = kind
        self.outbox = outbox
        self.head_left = keep_bytes // 2
        self.tail_bytes = keep_bytes - self.head_left
        self.tail = bytearray()
        self.dropped = 0

    def read(self) -> int | None:
        """Take what is there; the number of bytes, 0 at the end of the stream, None when there is nothing."""
        try:
            data = os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            return None
        head, rest = data[: self.head_left], data[self.head_left :]
        if head:
            self.outbox.put(self.kind, head)
            self.head_left -= len(head)
        self.tail += rest
        if len(self.tail) > self.tail_bytes + (1 << 20):
            self._trim()
        return len(data)

    def _trim(self) -> None:
        excess = max(0, len(self.tail) - self.tail_bytes)
        del self.tail[:excess]
        self.dropped += excess

    def finish(self) -> None:
        self._trim()
        if self.tail:
            self.outbox.put(self.kind.lower() if self.dropped else self.kind, self.tail)


class Input:
    """Bytes on their way into a pipe whose reader may be slow, or gone."""

    def __init__(self, descriptor: int, data: bytes) -> None:
        self.descriptor = descriptor  # non-blocking
        self.data = memoryview(data)

    def push(self) -> bool:
        """Write what fits; True when there is nothing left to do."""
        try:
            while self.data:
                self.data = self.data[os.write(self.descriptor, self.data) :]
        except BlockingIOError:
            return False
        except BrokenPipeError:
            pass
        os.close(self.descriptor)
        return True
