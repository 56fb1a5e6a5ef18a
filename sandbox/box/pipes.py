"""The docker client attached to one container: frames over its pipes, and its end. Bytes and time, no meaning."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Sequence

from sandbox.box.protocol import FRAME, FRAME_ROOM_BYTES
from sandbox.engine.client import Client, has_ended

READ_BYTES = 1 << 18


class Pipes:
    """A client that runs, and its three pipes."""

    def __init__(self, client: Client, words: Sequence[str]) -> None:
        """Start it by these arguments.

        :raises EngineUnavailable: when there is no such client.
        """
        process = client.attach(*words)
        assert process.stdin and process.stdout and process.stderr
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        os.set_blocking(self._stdin.fileno(), False)
        os.set_blocking(self._stderr.fileno(), False)
        self._readable = select.poll()
        self._readable.register(self._stdout, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(self._stdin, select.POLLOUT)
        self._buffer = bytearray()
        self.ended = False
        """Whether nothing more can be read that makes sense."""
        self.max_frame_bytes = FRAME_ROOM_BYTES

    def is_attached(self) -> bool:
        """Whether the client has not exited."""
        return self._process.poll() is None

    def has_news(self) -> bool:
        """Whether something can be read, be it the end."""
        return bool(self._buffer or self._readable.poll(0))

    def send(self, data: bytes, deadline: float) -> bool:
        """Write everything before `deadline` (monotonic seconds); False when that was not possible."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._stdin.fileno(), view) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._writable.poll(left * 1000)
            except (OSError, ValueError):
                return False
        return True

    def next_frame(self, deadline: float) -> tuple[bytes, bytes] | None:
        """One frame, or None at the deadline or at the end of the stream (then `ended` is set)."""
        while True:
            if len(self._buffer) >= FRAME.size:
                kind, length = FRAME.unpack_from(self._buffer)
                end = FRAME.size + length
                if length > self.max_frame_bytes:
                    self.ended = True
                    return None
                if len(self._buffer) >= end:
                    payload = bytes(self._buffer[FRAME.size : end])
                    del self._buffer[:end]
                    return kind, payload
            if not self._readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            data = os.read(self._stdout.fileno(), READ_BYTES)
            if not data:
                self.ended = True
                return None
            self._buffer += data

    def close_stdin(self) -> None:
        """Tell the container, through the client, that nothing more will come."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def wait_for_exit(self, seconds: float) -> bool:
        """Throw away output until the client has exited. With `--rm` it exits after the removal."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self._process.poll() is None:
            if not self._readable.poll(left * 1000):
                return False
            if not os.read(self._stdout.fileno(), READ_BYTES):
                break
        return has_ended(self._process, max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        """End the client, whatever the container does."""
        self._process.kill()
        self._process.wait()

    def close(self) -> str:
        """Close what is left; what the client has written to its stderr."""
        last_words = b""
        with contextlib.suppress(OSError):
            last_words = self._stderr.read(8000) or b""
        self._stdout.close()
        self._stderr.close()
        return last_words.decode(errors="replace")
