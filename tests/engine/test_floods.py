"""One client against a real server process: whatever it holds, the others are answered."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.conftest import Server, eventually, serve
from tests.wire import connect, has_ended, head
from web.serving.server import SPARE_CONNECTIONS, SPARE_THREADS

RUNS, QUEUE = 2, 2
CONNECTIONS = RUNS + QUEUE + SPARE_CONNECTIONS


@pytest.fixture(scope="module")
def small(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the default bounds, but few runs at once."""
    with serve(tmp_path_factory.mktemp("small"), max_concurrent_runs=RUNS, queue_size=QUEUE, pool="python:2") as server:
        yield server


class From(HTTPAdapter):
    """Connections from one address of the loopback network."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__()

    def init_poolmanager(self, *args: object, **options: object) -> None:
        super().init_poolmanager(*args, source_address=(self.source, 0), **options)  # type: ignore[arg-type]


def healthz(server: Server, source: str) -> int:
    with requests.Session() as session:
        session.mount("http://", From(source))
        return session.get(f"{server.url}/healthz", timeout=5).status_code


def flood(stack: ExitStack, server: Server, source: str, count: int, data: bytes) -> list[socket.socket]:
    """As many connections, on each of which this has been sent and no more comes."""
    opened = []
    for _ in range(count):
        opened.append(stack.enter_context(connect(server.url, source)))
        with contextlib.suppress(ConnectionError):  # given up already for the next one
            opened[-1].sendall(data)
    return opened


@pytest.mark.parametrize(
    "data",
    [b"", b"POST /run HTTP/1.1\r\n", head("/run-zip", "Content-Length: 60000"), b"GET /healthz HTTP/1.1\r\n\r\n"],
    ids=["nothing", "half a head", "no body", "an idle connection"],
)
def test_health_is_answered_to_all_while_two_addresses_open_as_many_connections_as_there_are(
    small: Server, data: bytes
) -> None:
    with ExitStack() as stack:
        for source in ("127.0.0.1", "127.0.0.2"):
            flood(stack, small, source, CONNECTIONS, data)
        for source in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            assert healthz(small, source) == 200


def test_health_is_answered_while_many_addresses_that_are_below_their_cap_have_all_connections(small: Server) -> None:
    with ExitStack() as stack:
        oldest, *_ = flood(stack, small, "127.0.0.1", 1, b"POST /run HTTP/1.1\r\n")
        for number in range(2, 10):
            flood(stack, small, f"127.0.0.{number}", CONNECTIONS // 8 + 1, b"POST /run HTTP/1.1\r\n")
        assert healthz(small, "127.0.0.10") == healthz(small, "127.0.0.1") == 200
        assert has_ended(oldest)


def test_a_program_that_runs_is_answered_through_a_flood_from_its_own_address(small: Server) -> None:
    with ThreadPoolExecutor(1) as client, ExitStack() as stack:
        body = {"code": "import time; time.sleep(3); print('finished')"}
        answer = client.submit(requests.post, f"{small.url}/run", json=body, timeout=20)
        time.sleep(0.5)
        flood(stack, small, "127.0.0.1", CONNECTIONS + 50, b"POST /run HTTP/1.1\r\n")
        assert answer.result().json()["output"] == "finished\n"


def test_forty_streams_that_nobody_reads_hold_nobody_up(small: Server) -> None:
    assert RUNS + QUEUE + SPARE_THREADS < 40, "there would be a thread for each"
    body = json.dumps({"code": "print(chr(1) * (1 << 20))"}).encode()  # six bytes for each in JSON: 9 MiB
    request = head("/run", "Accept: text/event-stream", f"Content-Length: {len(body)}") + body
    begun = b"HTTP/1.1 200 OK"
    with ExitStack() as stack:
        for _ in range(40):
            reader = stack.enter_context(connect(small.url))
            reader.sendall(request)
            answer = requests.post(f"{small.url}/run", json={"code": "print(1)"}, timeout=5)
            assert answer.json()["output"] == "1\n"
            assert healthz(small, "127.0.0.1") == 200
            assert reader.recv(len(begun), socket.MSG_PEEK) == begun


def test_uploads_that_never_end_leave_programs_and_other_uploads_their_room(small: Server) -> None:
    length = 10 << 20
    with ExitStack() as stack:
        request = head("/run-zip", f"Content-Length: {length}") + b"x" * (1 << 20)
        uploads = flood(stack, small, "127.0.0.1", 20, request)
        assert eventually(lambda: sum(map(has_ended, uploads)) == 11)  # 3/4 of 128 MiB hold nine of them
        answer = requests.post(f"{small.url}/run", json={"code": "print(1)"}, timeout=10)
        assert answer.json()["output"] == "1\n"
        with requests.Session() as other:
            other.mount("http://", From("127.0.0.2"))
            files = {"file": ("x.zip", b"x" * length)}
            assert other.post(f"{small.url}/run-zip", files=files, timeout=20).json()["code"] == "not_a_zip"
