"""Requests that are written by hand to cost the server time, or to be read differently by somebody in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sandbox.settings import load
from tests.fakes import FakeExecutor, serving
from tests.wire import connect, has_ended, head, read_answer
from web.logs import OneLine

BLANKS = b" " * 31_000
PATIENCE_SECONDS = 2
"""Such a request used to take ten seconds of the loop that reads all others."""


@pytest.fixture
def url(tmp_path: Path, executor: FakeExecutor) -> Iterator[str]:
    with serving(load(data_dir=tmp_path, port=0), executor) as address:
        yield address


@pytest.mark.parametrize(
    "lines",
    [
        b"X:" + BLANKS + b"\x01\r\n",
        b"X:" + b"\t" * 31_000 + b"\x01\r\n",
        b"X:" + b"\r\n          " * 2500 + b"\x01\r\n",
        b"X: a" + BLANKS + b"\x01\r\n",
        b"X: " + b"a " * 15_000 + b"\x01\r\n",
        b"X" * 31_000 + b"\x01\r\n",
    ],
    ids=["blanks", "tabs", "folded", "blanks after a letter", "words", "name"],
)
def test_no_head_keeps_the_server_from_others(url: str, lines: bytes) -> None:
    with connect(url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")
        started = time.monotonic()
        assert requests.get(f"{url}/healthz", timeout=60).status_code == 200
        assert read_answer(connection)[0] == 400
    assert time.monotonic() - started < PATIENCE_SECONDS


@pytest.mark.parametrize("start", [b"1;", b"0\r\nX: "], ids=["chunk", "trailer"])
def test_a_line_between_chunks_that_is_too_long_is_told_so(url: str, start: bytes) -> None:
    with connect(url) as connection:
        connection.sendall(head("/run-zip", "Transfer-Encoding: chunked") + start + b"a" * 9000)
        assert read_answer(connection)[0] == 400


@pytest.mark.parametrize(
    "encoding",
    ["chunked, chunked", "", ",", " , chunked"],
)
def test_an_odd_transfer_encoding_ends_the_connection(url: str, executor: FakeExecutor, encoding: str) -> None:
    smuggled = head("/run", "Content-Length: 12") + b'{"code":"1"}'
    with connect(url) as connection:
        connection.sendall(head("/run", f"Transfer-Encoding: {encoding}") + b"0\r\n\r\n" + smuggled)
        status, headers, _ = read_answer(connection)
        assert status in (400, 501)
        assert headers["Connection"] == "close"
    assert executor.requests == []


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"1" * 5000 + b"\r\n\r\n",
    ],
    ids=["address", "length"],
)
def test_a_head_that_makes_no_sense_is_answered(
    url: str, request_head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(url) as connection:
        connection.sendall(request_head)
        assert read_answer(connection)[0] in (400, 413)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_body_that_is_expected_and_not_announced_is_not_waited_for(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n")
        assert read_answer(connection)[0] == 200
        assert not has_ended(connection)


@pytest.mark.usefixtures("url")
def test_an_address_with_two_slashes_is_not_found_in_json(url: str) -> None:
    answer = requests.get(f"{url}/history//x", timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_no_message_of_a_library_forges_a_line_of_the_log() -> None:
    record = logging.makeLogRecord({"msg": "gone: %s", "args": ("/x\n2026 INFO forged\x1b[2J\u2028",)})
    assert OneLine("%(message)s").format(record) == "gone: /x\\n2026 INFO forged\\x1b[2J\\u2028"
