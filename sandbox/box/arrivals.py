"""The files that a run gives back, as they come from its supervisor: checked, bounded, and passed on as they come.

A program that has taken over its supervisor may send what it likes: here it gets no more than the files that were asked
for could have, under names that mean the same to everybody.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

from sandbox.errors import ContainerLost
from sandbox.models import Omission

FILE = struct.Struct(">Q")

PIECE_BYTES = 1 << 16
"""A file comes in pieces of this size; only its last one is smaller. Many small ones would cost us much more."""

MAX_PATH_BYTES = 1024
MAX_OMITTED = 20
"""How many files that do not come are named."""

SAID = {reason.value.encode(): reason for reason in Omission if reason is not Omission.NOT_KEPT}
"""Why one does not come, in the supervisor's words; only the host keeps files."""

GARBLED = "The container's answer cannot be read. Try again."


@dataclass(frozen=True)
class Asked:
    """Which files a run shall give back. Without globs, its program can make none."""

    globs: tuple[str, ...] = ()
    count: int = 0
    bytes: int = 0
    """Of all of them together."""


NOTHING = Asked()


class Sink(Protocol):
    """What is done with them. After `begin` comes as much as it says, or `drop`."""

    def begin(self, path: str, size: int) -> None: ...

    def write(self, data: bytes) -> None: ...

    def drop(self) -> None: ...

    def omit(self, path: str, reason: Omission) -> None: ...


class Nowhere:
    """For runs that give nothing back."""

    def begin(self, path: str, size: int) -> None: ...

    def write(self, data: bytes) -> None: ...

    def drop(self) -> None: ...

    def omit(self, path: str, reason: Omission) -> None: ...


class Arrivals:
    """Takes the frames that are about files."""

    KINDS = (b"F", b"B", b"M")

    def __init__(self, asked: Asked, sink: Sink) -> None:
        self._asked = asked
        self._sink = sink
        self._count_left, self._bytes_left = (asked.count, asked.bytes) if asked.globs else (0, 0)
        self._omissions_left = MAX_OMITTED + 2 if asked.globs else 0  # and that there are more, and how it ended
        self._path = ""
        self._size = self._missing = 0
        """Of the last file: its bytes, and those that have not come yet."""

    def take(self, kind: bytes, payload: bytes) -> None:
        """Note one frame.

        :raises ContainerLost: for one that our supervisor does not send here.
        """
        if kind == b"F":
            self._begin(payload)
        elif kind == b"B":
            self._write(payload)
        else:
            self._omit(payload)

    def end(self) -> None:
        """No more will come.

        :raises ContainerLost: when it should.
        """
        _insist(not self._missing)

    def cut(self) -> None:
        """No more will come, since whoever sends it is gone."""
        if self._asked.globs:
            self._drop()
            self._sink.omit("", Omission.INCOMPLETE)

    def _begin(self, payload: bytes) -> None:
        _insist(not self._missing and len(payload) > FILE.size)
        (size,), path = FILE.unpack_from(payload), _path(payload[FILE.size :])
        _insist(bool(self._count_left) and size <= self._bytes_left and path > self._path)
        self._count_left -= 1
        self._bytes_left -= size
        self._path, self._size, self._missing = path, size, size
        self._sink.begin(path, size)

    def _write(self, payload: bytes) -> None:
        _insist(0 < len(payload) == min(self._missing, PIECE_BYTES))
        self._missing -= len(payload)
        self._sink.write(payload)

    def _omit(self, payload: bytes) -> None:
        word, _, path = payload.partition(b"\0")
        _insist(word in SAID and bool(self._omissions_left) and len(path) <= MAX_PATH_BYTES)
        self._omissions_left -= 1
        self._drop()
        self._sink.omit(_printable(path), SAID[word])

    def _drop(self) -> None:
        """The file that comes at the moment, if one does, is none."""
        if self._missing:
            self._count_left += 1
            self._bytes_left += self._size
            self._missing = 0
            self._sink.drop()


def _insist(is_so: bool) -> None:
    if not is_so:
        raise ContainerLost(GARBLED)


def _path(data: bytes) -> str:
    """The path of a file.

    :raises ContainerLost: when our supervisor would not send a file of this name.
    """
    path = data.decode(errors="replace")
    _insist(path.encode() == data and len(data) <= MAX_PATH_BYTES and path.isprintable() and "\\" not in path)
    _insist(not any(part == "" or part[0] == "." for part in path.split("/")))
    return path


def _printable(path: bytes) -> str:
    text = path.decode(errors="replace")
    return "".join(character if character.isprintable() else "�" for character in text)
