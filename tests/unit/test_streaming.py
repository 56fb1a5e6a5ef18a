"""Runs as server-sent events, over a real connection to the real server; the executor is a fake with a script."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.errors import Busy, ContainerLost, QuotaExceeded, SandboxError
from sandbox.models import InlineArtifact, RunRequest, RunResult, StoredArtifact, Stream
from sandbox.settings import Settings, load
from tests.conftest import eventually
from tests.fakes import Call, FakeExecutor, serving
from web import streaming
from web.streaming import Feed, Output, Started

ACCEPT = {"Accept": "text/event-stream"}
Event = tuple[str, Any]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path, port=0)


def events(response: requests.Response) -> Iterator[Event]:
    """The events of a stream as (name, data); a comment has the name "comment"."""
    rest = b""
    for piece in response.iter_content(chunk_size=None):
        *blocks, rest = (rest + piece).split(b"\n\n")
        for block in blocks:
            if block.startswith(b": "):
                yield "comment", block[2:].decode()
            else:
                first, second = block.decode().split("\n")
                yield first.removeprefix("event: "), json.loads(second.removeprefix("data: "))
    assert rest == b""


def stream(url: str, code: str = "x", **options: Any) -> requests.Response:
    return requests.post(f"{url}/run", json={"code": code}, headers=ACCEPT, stream=True, timeout=10, **options)


def test_a_stream_tells_what_happens_in_order(url: str, executor: FakeExecutor) -> None:
    next_step = threading.Event()

    def script(call: Call) -> None:
        for source, text in ((Stream.STDOUT, "a\n\nb\r"), (Stream.STDERR, "é😀"), (Stream.STDOUT, "data: c")):
            call.say(source, text)
            assert next_step.wait(5)
            next_step.clear()

    executor.script = script
    with stream(url) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        arriving = events(response)
        (run_id,) = executor.run_ids
        assert response.headers["X-Run-Id"] == run_id
        assert next(arriving) == ("started", {"id": run_id})
        for expected in (("stdout", "a\n\nb\r"), ("stderr", "é😀"), ("stdout", "data: c")):
            assert next(arriving) == (expected[0], {"text": expected[1]})
            next_step.set()
        name, result = next(arriving)
        assert (name, result["id"], result["status"]) == ("result", run_id, "ok")
        assert list(arriving) == []


def test_an_archive_can_be_streamed_too(url: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("main.py", "print(1)")
    files = {"file": ("p.zip", buffer.getvalue())}
    with requests.post(f"{url}/run-zip", files=files, headers=ACCEPT, stream=True, timeout=10) as response:
        assert [name for name, _ in events(response)] == ["started", "result"]


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream", True),
        ("text/event-stream, */*;q=0.1", True),
        ("text/event-stream;q=0.5, application/json", False),
        ("*/*", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_the_accept_header_chooses(url: str, accept: str, is_stream: bool) -> None:
    response = requests.post(f"{url}/run", json={"code": "1"}, headers={"Accept": accept}, timeout=10)
    assert response.headers["Content-Type"].startswith("text/event-stream") == is_stream


def test_what_is_wrong_with_a_request_is_told_in_json(url: str) -> None:
    response = requests.post(f"{url}/run", json={"code": ""}, headers=ACCEPT, timeout=10)
    assert (response.status_code, response.json()["code"]) == (400, "empty_code")


@pytest.mark.parametrize(
    ("problem", "status"),
    [(Busy("Full.", retry_after_seconds=3), 503), (QuotaExceeded("Enough.", retry_after_seconds=3), 429)],
)
def test_a_refusal_before_anything_happened_is_told_in_json(
    url: str, executor: FakeExecutor, problem: SandboxError, status: int
) -> None:
    executor.problem = problem
    response = requests.post(f"{url}/run", json={"code": "1"}, headers=ACCEPT, timeout=10)
    assert response.status_code == status
    assert (response.json()["code"], response.headers["Retry-After"]) == (problem.code, "3")


@pytest.mark.parametrize(
    ("problem", "code"), [(ContainerLost("Lost."), "container_lost"), (RuntimeError("secret"), "internal")]
)
def test_a_failure_after_the_stream_was_opened_is_an_event(
    url: str, executor: FakeExecutor, problem: Exception, code: str
) -> None:
    def script(call: Call) -> None:
        call.say(Stream.STDOUT, "partial")
        raise problem

    executor.script = script
    with stream(url) as response:
        assert response.status_code == 200
        *before, (name, error) = events(response)
    assert ("stdout", {"text": "partial"}) in before
    assert (name, error["code"]) == ("error", code)
    assert "secret" not in error["error"]


def test_a_silent_run_sends_a_sign_of_life_every_second(url: str, executor: FakeExecutor) -> None:
    executor.script = lambda call: time.sleep(2.5)
    started_at = time.monotonic()
    with stream(url) as response:
        names = [name for name, _ in events(response)]
    assert names == ["started", "comment", "comment", "result"]
    assert time.monotonic() - started_at < 4


def wait_until_gone(call: Call) -> None:
    assert eventually(call.gone, 10)


def test_a_stream_opens_although_the_run_still_waits_for_its_turn(url: str, executor: FakeExecutor) -> None:
    """The id is in the headers, so that a waiting run can be cancelled."""
    real_run = executor.run

    def queued_run(*args: Any, on_start: Callable[[], None], **options: Any) -> Any:
        return real_run(*args, on_start=lambda: wait_for_cancel(on_start), **options)

    def wait_for_cancel(on_start: Callable[[], None]) -> None:
        assert eventually(lambda: any(event.is_set() for event in executor.running.values()), 5)

    executor.run = queued_run  # type: ignore[method-assign, assignment]
    with stream(url) as response:
        run_id = response.headers["X-Run-Id"]
        assert requests.delete(f"{url}/runs/{run_id}", timeout=5).json() == {"cancelled": True}
        *_, (name, result) = events(response)
    assert (name, result["status"]) == ("result", "cancelled")


def test_a_running_program_can_be_cancelled_from_elsewhere(url: str, executor: FakeExecutor) -> None:
    executor.script = wait_until_gone
    with stream(url) as response:
        arriving = events(response)
        _, started = next(arriving)
        assert requests.delete(f"{url}/runs/{started['id']}", timeout=5).json() == {"cancelled": True}
        name, result = [event for event in arriving if event[0] != "comment"][-1]
    assert (name, result["status"]) == ("result", "cancelled")


@pytest.mark.parametrize("headers", [ACCEPT, {}], ids=["stream", "json"])
def test_the_run_of_a_client_that_vanished_is_cancelled(
    url: str, executor: FakeExecutor, headers: dict[str, str]
) -> None:
    executor.script = wait_until_gone
    host, port = url.removeprefix("http://").split(":")
    body = b'{"code":"x"}'
    lines = ["POST /run HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        assert eventually(lambda: executor.running)
    assert eventually(lambda: executor.ended, 2), "the run goes on although nobody waits for it"


def test_a_reader_that_stops_reading_does_not_stop_the_program(url: str, executor: FakeExecutor) -> None:
    executor.script = lambda call: [call.say(Stream.STDOUT, "x" * 65536) for _ in range(160)]
    with stream(url) as response:
        assert eventually(lambda: executor.ended, 5), "the program waits for its reader"
        text = "".join(data["text"] for name, data in events(response) if name == "stdout")
    assert text == "x" * (65536 * 160)


# --- The feed -----------------------------------------------------------------------------------------------


def test_pieces_that_were_not_fetched_are_joined_in_order() -> None:
    feed = Feed()
    feed.put(Started())
    for stream_, text in ((Stream.STDOUT, "a"), (Stream.STDOUT, "b"), (Stream.STDERR, "c"), (Stream.STDOUT, "d")):
        feed.put_output(stream_, text)
    assert [feed.take(0) for _ in range(5)] == [
        Started(),
        Output(Stream.STDOUT, "ab"),
        Output(Stream.STDERR, "c"),
        Output(Stream.STDOUT, "d"),
        None,
    ]


def test_a_program_that_switches_streams_at_every_letter_costs_little_and_loses_nothing() -> None:
    feed = Feed()
    for _ in range(100_000):
        feed.put_output(Stream.STDOUT, "o")
        feed.put_output(Stream.STDERR, "e")
    pieces = []
    while piece := feed.take(0):
        assert isinstance(piece, Output)
        pieces.append(piece)
    assert len(pieces) <= streaming.KEPT_APART + 2
    for stream_, letter in ((Stream.STDOUT, "o"), (Stream.STDERR, "e")):
        assert "".join(piece.text for piece in pieces if piece.stream is stream_) == letter * 100_000


def test_files_are_events_of_their_own_before_the_result(tmp_path: Path) -> None:
    inline = InlineArtifact(path="a.png", bytes=1, media_type="image/png", base64="eA==")
    stored = StoredArtifact(path="b.csv", bytes=2, media_type="text/csv", url="/runs/x/artifacts/1")

    class Giving(FakeExecutor):
        def run(self, request: RunRequest, **options: Any) -> RunResult:
            return replace(super().run(request, **options), artifacts=(inline, stored))

    with serving(load(data_dir=tmp_path, port=0), Giving()) as url, stream(url) as response:
        told = [event for event in events(response) if event[0] != "comment"]
    assert [name for name, _ in told] == ["started", "artifact", "artifact", "result"]
    assert [told[1][1], told[2][1]] == [vars(inline), vars(stored)] == told[3][1]["artifacts"]
