"""What one client can hold: time to send a request, room for bodies, connections, unread answers. No engine needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from sandbox.models import Stream
from sandbox.settings import Settings, load
from tests.conftest import eventually
from tests.fakes import FakeExecutor, serving
from tests.wire import connect, has_ended, head, read_answer
from web.serving import connections, parser

MIB = 1 << 20
SMALL_RUN = head("/run", "Content-Length: 12") + b'{"code":"1"}'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path, port=0, max_bodies_bytes=16 * MIB)


# --- Time -------------------------------------------------------------------------------------------------


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds instead of tens of them."""
    monkeypatch.setattr(parser, "HEAD_SECONDS", 1)
    monkeypatch.setattr(parser, "BODY_SECONDS", 1)
    monkeypatch.setattr(parser, "BODY_BYTES_PER_SECOND", 1000)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    ("start", "drip"),
    [
        (b"POST /run HTTP/1.1\r\nX-Slow: ", b"x"),
        (head("/run", "Content-Length: 1000"), b" "),
        (head("/run", "Transfer-Encoding: chunked"), b"1\r\n \r\n"),
    ],
    ids=["head", "body", "chunks"],
)
def test_a_request_that_drips_is_given_up_and_told_why(url: str, start: bytes, drip: bytes) -> None:
    with connect(url) as connection:
        connection.sendall(start)
        answers = ThreadPoolExecutor(1)
        answer = answers.submit(read_answer, connection)
        started_at = time.monotonic()
        while not answer.done() and time.monotonic() - started_at < 10:
            connection.sendall(drip)
            time.sleep(0.1)
        status, headers, body = answer.result(1)
        answers.shutdown()
        assert (status, body["code"], headers["Connection"]) == (408, "request_timeout", "close")
        assert eventually(lambda: has_ended(connection))


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_that_keeps_the_pace_may_take_longer_than_a_short_one(url: str, framing: str) -> None:
    pieces = [b'{"code":"1",'] + [b" " * 600] * 8 + [b'"stdin":""}']
    with connect(url) as connection:
        if framing == "length":
            connection.sendall(head("/run", f"Content-Length: {sum(map(len, pieces))}"))
        else:
            connection.sendall(head("/run", "Transfer-Encoding: chunked"))
        for piece in pieces:
            connection.sendall(piece if framing == "length" else b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(0.35)
        connection.sendall(b"" if framing == "length" else b"0\r\n\r\n")
        assert read_answer(connection)[0] == 200


@pytest.mark.usefixtures("hurry")
def test_a_request_that_waits_behind_another_has_its_time_when_that_is_done(url: str, executor: FakeExecutor) -> None:
    executor.script = lambda call: time.sleep(3.5)
    with connect(url) as connection:
        connection.sendall(SMALL_RUN + head("/run", "Content-Length: 12"))
        assert read_answer(connection)[0] == 200
        executor.script = None
        connection.sendall(b'{"code":"2"}')
        assert read_answer(connection)[0] == 200
    assert [request.code for request in executor.requests] == ["1", "2"]


# --- Room for bodies --------------------------------------------------------------------------------------

# Of the 16 MiB one address may take 12, and each body announces 7.
LARGE = head("/run-zip", f"Content-Length: {7 * MIB}")


def is_refused(url: str, source: str = "127.0.0.1", request: bytes = LARGE) -> bool:
    """Whether there is no room for that body; the connection is closed again."""
    with connect(url, source) as connection:
        connection.sendall(request[: request.index(b"\r\n\r\n")] + b"\r\nExpect: 100-continue\r\n\r\n")
        begin = connection.recv(12)
        assert begin in (b"HTTP/1.1 100", b"HTTP/1.1 503")
        return begin.endswith(b"503")


def test_a_body_without_room_is_refused_at_its_head_and_told_when_to_retry(url: str) -> None:
    with connect(url) as first, connect(url) as second:
        first.sendall(LARGE)
        second.sendall(LARGE)
        status, headers, answer = read_answer(second)
    assert (status, answer["code"], set(answer)) == (503, "busy", {"error", "code"})
    assert int(headers["Retry-After"]) > 0
    assert headers["Connection"] == "close"


def test_one_address_cannot_take_the_room_of_all(url: str) -> None:
    with connect(url) as first:
        first.sendall(LARGE)
        assert eventually(lambda: is_refused(url))
        assert not is_refused(url, "127.0.0.2")


def test_a_small_body_always_has_room(url: str) -> None:
    with ExitStack() as stack:
        for source in ("127.0.0.1", "127.0.0.2"):
            stack.enter_context(connect(url, source)).sendall(LARGE)
        assert eventually(lambda: is_refused(url) and is_refused(url, "127.0.0.3"))
        assert requests.post(f"{url}/run", json={"code": "1", "stdin": "x" * 60_000}, timeout=5).status_code == 200


def test_a_body_without_a_length_counts_as_it_comes(url: str) -> None:
    with connect(url) as first, connect(url) as second:
        first.sendall(LARGE)
        second.sendall(head("/run-zip", "Transfer-Encoding: chunked"))
        for _ in range(7):
            second.sendall(b"100000\r\n" + b" " * MIB + b"\r\n")
        assert read_answer(second)[0] == 503


def vanish(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(LARGE + b"x" * MIB)


def vanish_while_chunks_come(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(head("/run-zip", "Transfer-Encoding: chunked") + b"500000\r\n" + b" " * 5 * MIB)


def vanish_while_it_is_executed(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(head("/run", "Content-Length: 400000") + b'{"code":"slow"}'.ljust(400_000))
        time.sleep(0.3)
        connection.sendall(LARGE[:-2] + b"\r\n" + b"x" * MIB)


def vanish_with_more_waiting(url: str) -> None:
    body = b'{"code":"slow"}'.ljust(200_000)
    with connect(url) as connection:
        connection.sendall((head("/run", f"Content-Length: {len(body)}") + body) * 3)
        time.sleep(0.3)


def be_refused_by_the_application(url: str) -> None:
    body = b"x" * (5 * MIB)
    assert requests.post(f"{url}/run-zip", files={"file": ("x.zip", body)}, timeout=20).status_code == 400


def be_refused_by_waitress(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(head("/run-zip", "Transfer-Encoding: chunked") + b"400000\r\n" + b" " * 4 * MIB + b"zz\r\n")
        assert read_answer(connection)[0] == 400


def finish(url: str) -> None:
    with requests.Session() as session:
        for _ in range(3):
            body = {"code": "1", "stdin": "x" * 60_000, "args": ["é" * 1000] * 32}
            assert session.post(f"{url}/run", json=body, timeout=5).status_code == 200


def be_too_slow(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch, connect(url) as connection:
        patch.setattr(parser, "BODY_SECONDS", -1000)
        connection.sendall(LARGE)
        assert read_answer(connection)[0] == 408


ENDINGS = [
    vanish,
    vanish_while_chunks_come,
    vanish_while_it_is_executed,
    vanish_with_more_waiting,
    be_refused_by_the_application,
    be_refused_by_waitress,
    finish,
    be_too_slow,
]


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_however_a_request_ends_its_body_gives_the_room_back(
    url: str, executor: FakeExecutor, end: Callable[[str], None]
) -> None:
    executor.script = lambda call: call.request.code == "slow" and eventually(call.gone, 5)
    for _ in range(3):
        end(url)
    with connect(url) as other:
        other.sendall(head("/run-zip", f"Content-Length: {2 * MIB}"))
        # Together they are all that the address may have, but for 128 KiB: one body left over would be too much.
        last = head("/run-zip", f"Content-Length: {10 * MIB}")
        assert eventually(lambda: not is_refused(url, request=last))


# --- Connections ------------------------------------------------------------------------------------------


@pytest.fixture
def few(settings: Settings) -> Settings:
    """Four connections for each address."""
    return settings.model_copy(update={"max_address_connections": 4})


def test_at_the_cap_of_an_address_idle_connections_go_and_then_the_oldest_unfinished_request(few: Settings) -> None:
    with serving(few) as url, ExitStack() as stack:
        idle, first, second, third = [stack.enter_context(connect(url)) for _ in range(4)]
        for connection in (first, second):
            connection.sendall(b"POST /run HTTP/1.1\r\n")
            time.sleep(0.1)
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_answer(idle)[0] == 200
        third.sendall(b"POST /run HTTP/1.1\r\n")
        for gone in (idle, first, second):
            newcomer = stack.enter_context(connect(url))
            assert eventually(lambda: has_ended(gone))  # noqa: B023
        assert not has_ended(third) and not has_ended(newcomer)


def test_another_address_is_not_touched(few: Settings) -> None:
    with serving(few) as url, ExitStack() as stack:
        other = stack.enter_context(connect(url, "127.0.0.2"))
        other.sendall(b"POST /run HTTP/1.1\r\n")
        for _ in range(12):
            stack.enter_context(connect(url)).sendall(b"POST /run HTTP/1.1\r\n")
        assert requests.get(f"{url}/healthz", timeout=5).status_code == 200
        assert not has_ended(other)


def test_a_request_that_is_executed_is_never_given_up(few: Settings, executor: FakeExecutor) -> None:
    release = threading.Event()
    executor.script = lambda call: release.wait(20)
    with serving(few, executor) as url, ExitStack() as stack:
        running = []
        for number in range(1, 7):
            running.append(stack.enter_context(connect(url)))
            running[-1].sendall(SMALL_RUN)
            assert eventually(lambda: len(executor.running) == number)  # noqa: B023
        for _ in range(10):
            stack.enter_context(connect(url)).sendall(b"POST /run HTTP/1.1\r\n")
        assert requests.get(f"{url}/healthz", timeout=5).status_code == 200
        release.set()
        assert [read_answer(connection)[0] for connection in running] == [200] * 6


# --- Answers that nobody reads ----------------------------------------------------------------------------


def test_answers_that_nobody_reads_are_dropped_when_together_they_are_too_much(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNREAD_BYTES", 12 * MIB)
    executor = FakeExecutor(lambda call: [call.say(Stream.STDOUT, "x" * MIB) for _ in range(10)])
    request = head("/run", "Content-Length: 12", "Accept: text/event-stream") + b'{"code":"1"}'
    with serving(settings, executor) as url, ExitStack() as stack:
        readers = [stack.enter_context(connect(url)) for _ in range(3)]
        for number, reader in enumerate(readers, start=1):
            reader.sendall(request)
            assert eventually(lambda: len(executor.ended) == number)  # noqa: B023
            time.sleep(0.2)
        assert eventually(lambda: has_ended(readers[0]) and has_ended(readers[1]))
        assert b"event: result" in b"".join(iter(lambda: readers[2].recv(MIB), b""))
