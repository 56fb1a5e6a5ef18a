"""Files as they come from a supervisor, an honest one or not."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.box.arrivals import FILE, MAX_OMITTED, PIECE_BYTES, Arrivals, Asked
from sandbox.errors import ContainerLost
from sandbox.models import Omission

ASKED = Asked(("**",), count=3, bytes=10)


class Log:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.omitted: list[tuple[str, Omission]] = []
        self.written = 0
        self._path = ""

    def begin(self, path: str, size: int) -> None:
        self._path = path
        self.files[path] = b""

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self.files[self._path] += data

    def drop(self) -> None:
        del self.files[self._path]

    def omit(self, path: str, reason: Omission) -> None:
        self.omitted.append((path, reason))


Frame = tuple[bytes, bytes]


def begin(path: bytes, size: int) -> Frame:
    return b"F", FILE.pack(size) + path


def take(*frames: Frame, asked: Asked = ASKED) -> Log:
    log = Log()
    arrivals = Arrivals(asked, log)
    for frame in frames:
        arrivals.take(*frame)
    arrivals.end()
    return log


def test_files_come_in_pieces() -> None:
    first, last = b"1" * PIECE_BYTES, b"2"
    frames = [begin(b"a", PIECE_BYTES + 1), (b"B", first), (b"B", last), begin("b/é".encode(), 0), begin(b"c", 1)]
    log = take(*frames, (b"B", b"3"), asked=replace(ASKED, bytes=PIECE_BYTES + 2))
    assert log.files == {"a": first + last, "b/é": b"", "c": b"3"}


@pytest.mark.parametrize("size", [1, PIECE_BYTES - 1, PIECE_BYTES + 1])
def test_no_file_comes_in_small_pieces(size: int) -> None:
    """A million frames of a byte each would keep us busy for seconds."""
    with pytest.raises(ContainerLost):
        take(begin(b"a", PIECE_BYTES * 2), (b"B", b"1" * size), asked=replace(ASKED, bytes=PIECE_BYTES * 2))


def test_what_is_left_out_is_named_and_what_cannot_be_printed_is_replaced() -> None:
    log = take((b"M", b"link\0a/b"), (b"M", b"name\0a\n\xff\xe2\x80\xaeb"), (b"M", b"more\0"))
    assert log.omitted == [("a/b", Omission.LINK), ("a���b", Omission.NAME), ("", Omission.MORE)]


def test_a_file_that_ends_early_is_none_and_its_room_is_free_again() -> None:
    log = take(begin(b"a", 10), (b"M", b"unreadable\0a"), begin(b"b", 10), (b"B", b"0123456789"))
    assert (log.files, log.omitted) == ({"b": b"0123456789"}, [("a", Omission.UNREADABLE)])


def test_of_one_whose_supervisor_is_gone_the_whole_files_stay() -> None:
    log = Log()
    arrivals = Arrivals(ASKED, log)
    for frame in (begin(b"a", 1), (b"B", b"1"), begin(b"b", 5)):
        arrivals.take(*frame)
    arrivals.cut()
    assert (log.files, log.omitted) == ({"a": b"1"}, [("", Omission.INCOMPLETE)])


@pytest.mark.parametrize(
    "frames",
    [
        [begin(b"a", 11)],
        [begin(b"a", 1 << 63)],
        [begin(b"a", 6), (b"B", b"123456"), begin(b"b", 5)],
        [begin(b"a", 0), begin(b"b", 0), begin(b"c", 0), begin(b"d", 0)],
        [begin(b"b", 0), begin(b"a", 0)],
        [begin(b"a", 0), begin(b"a", 0)],
        [begin(b"a", 2), begin(b"b", 1)],
        [begin(b"a", 2), (b"B", b"123")],
        [begin(b"a", 2), (b"B", b"")],
        [begin(b"a", 2), (b"B", b"1")],
        [(b"B", b"1")],
        [(b"F", b"")],
        [(b"F", FILE.pack(0))],
        [(b"M", b"")],
        [(b"M", b"gone\0a")],
        [(b"M", b"not_kept\0a")],
        [(b"M", b"link\0" + b"x" * 1025)],
        [(b"M", b"link\0a")] * (MAX_OMITTED + 3),
        *([begin(path, 0)] for path in (
            b"/a", b"a/", b"a//b", b"..", b"../a", b"a/../b", b".", b"a/.b", b"a\0", b"a\n", b"\xff", b"\xed\xa0\x80",
            "a\u202eb".encode(), b"x" * 1025, b"a\\..\\b",
        )),
    ],
)  # fmt: skip
def test_what_no_honest_supervisor_sends_is_refused(frames: list[Frame]) -> None:
    with pytest.raises(ContainerLost):
        take(*frames)


@pytest.mark.parametrize("frame", [begin(b"a", 0), (b"M", b"link\0a"), (b"B", b"1")])
def test_nothing_comes_that_was_not_asked_for(frame: Frame) -> None:
    with pytest.raises(ContainerLost):
        take(frame, asked=Asked((), count=3, bytes=10))


FRAMES = st.one_of(
    st.tuples(st.sampled_from([b"F", b"B", b"M"]), st.binary(max_size=30)),
    st.builds(begin, st.sampled_from([b"a", b"b/c", b"d", b"..", b"e\n"]), st.integers(0, 12)),
    st.tuples(st.just(b"B"), st.binary(min_size=1, max_size=6)),
    st.tuples(st.just(b"M"), st.sampled_from([b"size\0x", b"more\0", b"lie\0x"])),
)


@given(st.lists(FRAMES, max_size=80))
@example([begin(b"a", 10), (b"M", b"size\0a")] * 30)
def test_whatever_comes_no_more_is_passed_on_than_was_asked_for(frames: list[Frame]) -> None:
    log = Log()
    arrivals = Arrivals(ASKED, log)
    with contextlib.suppress(ContainerLost):
        for frame in frames:
            arrivals.take(*frame)
    assert len(log.files) <= ASKED.count
    assert sum(map(len, log.files.values())) <= ASKED.bytes
    assert len(log.omitted) <= MAX_OMITTED + 2
    assert log.written <= ASKED.bytes * (MAX_OMITTED + 3)
    assert all(path.isprintable() and ".." not in path for path in log.files)
