"""The listening server: bounds, its own error answers, slow clients, starting and stopping. No engine needed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.models import Stream
from sandbox.settings import Settings, load
from tests.conftest import eventually, free_port
from tests.fakes import FakeExecutor, body_limit, serving
from tests.wire import connect, head, read_answer
from web.guards import SECURITY_HEADERS
from web.serving import channel
from web.serving import server as web_server

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path, port=0)


# --- What waitress refuses by itself --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000, 431, "headers_too_large"),
        (head("/run", "Content-Length: -5"), 400, "bad_request"),
        (head("/run", "Transfer-Encoding: gzip"), 501, "not_implemented"),
        (head("/run", "Transfer-Encoding: chunked") + b"zz\r\n", 400, "bad_request"),
        (head("/run", "Content-Length: 99999999"), 413, "body_too_large"),
        (head("/run", "Content-Length: 2", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400, "bad_request"),
        (head("/run", "Transfer-Encoding: chunked", "Content-Length: 2") + b"0\r\n\r\n", 400, "bad_request"),
        (head("/run", "Transfer-Encoding:", "Content-Length: 2") + b"{}", 400, "bad_request"),
        (head("/run", "Content-Length: 2", "Content-Length: 3") + b"{}", 400, "bad_request"),
        (b"POST /run HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    ],
)
def test_errors_of_the_server_itself_are_json_with_all_headers(url: str, data: bytes, status: int, code: str) -> None:
    with connect(url) as connection:
        connection.sendall(data)
        got, headers, answer = read_answer(connection)
    assert (got, answer["code"], set(answer)) == (status, code, {"error", "code"})
    assert headers["Content-Type"] == "application/json"
    assert "Server" not in headers
    for name, value in SECURITY_HEADERS:
        assert headers[name] == value


@pytest.mark.parametrize("path", ["/run", "/run-batch", "/run-zip", "/", "/nowhere"])
def test_a_body_is_refused_on_its_announced_length(url: str, settings: Settings, path: str) -> None:
    limit = body_limit(path, settings)
    with connect(url) as connection:
        connection.sendall(head(path, f"Content-Length: {limit + 1}"))
        status, _, answer = read_answer(connection)
    assert status == 413
    assert str(limit) in answer["error"]


def test_a_body_is_refused_before_it_is_invited(url: str, settings: Settings) -> None:
    length = body_limit("/run-zip", settings) + 1
    with connect(url) as connection:
        connection.sendall(head("/run-zip", f"Content-Length: {length}", "Expect: 100-continue"))
        assert read_answer(connection)[0] == 413


def test_a_body_within_the_limit_is_invited(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(head("/run", "Content-Length: 12", "Expect: 100-continue"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b'{"code":"1"}')
        assert read_answer(connection)[0] == 200


def test_a_body_without_a_length_is_bounded_while_it_arrives(url: str, settings: Settings) -> None:
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with connect(url) as connection:
        connection.sendall(head("/run", "Transfer-Encoding: chunked"))
        for _ in range(body_limit("/run", settings) // 65536 + 1):
            connection.sendall(chunk)
        assert read_answer(connection)[0] == 413


def test_a_body_without_a_length_is_accepted_when_it_is_small(url: str, executor: FakeExecutor) -> None:
    with connect(url) as connection:
        connection.sendall(head("/run", "Transfer-Encoding: chunked") + b'6\r\n{"code\r\n6\r\n":"1"}\r\n0\r\n\r\n')
        assert read_answer(connection)[0] == 200
    assert executor.requests[0].code == "1"


def test_a_client_that_sends_all_of_a_refused_upload_still_reads_why(url: str) -> None:
    response = requests.post(f"{url}/run-zip", files={"file": ("big.zip", b"x" * (30 << 20))}, timeout=20)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_a_refused_body_is_never_taken_for_a_second_request(url: str, executor: FakeExecutor) -> None:
    smuggled = head("/run", "Content-Length: 12") + b'{"code":"1"}'
    with connect(url) as connection:
        connection.sendall(head("/run", "Content-Length: 99999999") + smuggled)
        assert read_answer(connection)[0] == 413
        assert connection.recv(1000) == b""
    assert executor.requests == []


def test_what_follows_an_ambiguous_length_is_never_taken_for_a_second_request(url: str, executor: FakeExecutor) -> None:
    smuggled = head("/run", "Content-Length: 12") + b'{"code":"1"}'
    with connect(url) as connection:
        connection.sendall(head("/run", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + smuggled)
        assert read_answer(connection)[0] == 400
        assert connection.recv(1000) == b""
    assert executor.requests == []


# --- Many and slow clients ------------------------------------------------------------------------------------


def test_a_connection_is_used_for_many_requests(url: str) -> None:
    with requests.Session() as session:
        for _ in range(3):
            response = session.post(f"{url}/run", json={"code": "1"}, timeout=5)
            assert response.headers.get("Connection", "") != "close"


def test_health_is_answered_while_every_run_and_every_place_in_the_queue_is_taken(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path, port=0, max_concurrent_runs=2, queue_size=8)
    release = threading.Event()
    executor = FakeExecutor(lambda call: release.wait(10))
    with serving(settings, executor) as url:
        threads = [
            threading.Thread(target=requests.post, args=(f"{url}/run",), kwargs={"json": {"code": "1"}, "timeout": 20})
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        assert eventually(lambda: len(executor.running) > 0)
        started_at = time.monotonic()
        assert requests.get(f"{url}/healthz", timeout=5).status_code == 200
        assert time.monotonic() - started_at < 1
        release.set()
        for thread in threads:
            thread.join()


def test_a_client_that_does_not_read_its_stream_is_disconnected(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "STALL_SECONDS", 1)
    executor = FakeExecutor(lambda call: [call.say(Stream.STDOUT, "x" * 65536) for _ in range(320)])
    with serving(settings, executor) as url, connect(url) as connection:
        body = b'{"code":"1"}'
        connection.sendall(head("/run", f"Content-Length: {len(body)}", "Accept: text/event-stream") + body)
        assert eventually(lambda: executor.ended)
        time.sleep(3.5)
        received = b""
        with pytest.raises(ConnectionError):  # it was reset: there was more to send
            while piece := connection.recv(1 << 20):
                received += piece
            raise ConnectionError
        assert b"event: result" not in received


def test_a_long_silent_run_is_not_taken_for_a_client_that_does_not_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "STALL_SECONDS", 0.5)
    executor = FakeExecutor(lambda call: time.sleep(2.5))
    with serving(settings, executor) as url:
        assert requests.post(f"{url}/run", json={"code": "1"}, timeout=10).status_code == 200


# --- Starting and stopping --------------------------------------------------------------------------------------


@contextmanager
def process(tmp_path: Path, **settings: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process with a fake executor, and its address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCE_")}
    environment |= {"SCE_PORT": "0", "SCE_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment |= {f"SCE_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "tests.slow_server"]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as running,
    ):
        try:
            assert running.stdout
            line = running.stdout.readline()
            assert line.startswith("Safe Code Executor is ready: http://"), (tmp_path / "log").read_text()
            yield running, line.split()[-1].rstrip("/")
        finally:
            running.kill()


class Running:
    """A run that was asked for in a thread."""

    def __init__(self, url: str, seconds: float, **headers: str) -> None:
        self.answer: requests.Response | None = None
        self.url, self.seconds, self.headers = url, seconds, headers
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        time.sleep(0.5)

    def _run(self) -> None:
        body = {"code": str(self.seconds)}
        self.answer = requests.post(f"{self.url}/run", json=body, headers=self.headers, timeout=30)

    def result(self) -> requests.Response:
        self.thread.join(30)
        assert self.answer is not None, "there was no answer"
        return self.answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_program_ends_after_a_signal_and_nobody_new_is_let_in(tmp_path: Path, number: int) -> None:
    with process(tmp_path) as (running, url):
        run = Running(url, 2.0)
        stream = Running(url, 1.5, Accept="text/event-stream")
        running.send_signal(number)
        time.sleep(0.3)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{url}/healthz", timeout=5)
        assert run.result().json()["status"] == "ok"
        assert '"status":"ok"' in stream.result().text
        assert running.wait(10) == 0


def test_a_program_that_outlasts_the_drain_is_cancelled_and_its_caller_told(tmp_path: Path) -> None:
    with process(tmp_path, drain_seconds=1) as (running, url):
        run = Running(url, 60)
        running.terminate()
        assert run.result().json()["status"] == "cancelled"
        assert running.wait(10) == 0


def test_an_idle_server_stops_at_once_although_connections_are_open(tmp_path: Path) -> None:
    with process(tmp_path) as (running, url), requests.Session() as session:
        session.get(f"{url}/healthz", timeout=5)
        started_at = time.monotonic()
        running.terminate()
        assert running.wait(10) == 0
        assert time.monotonic() - started_at < 2


def test_a_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    with process(tmp_path) as (running, url):
        body = b'{"code":"60"}'
        with connect(url) as connection:
            connection.sendall(head("/run", f"Content-Length: {len(body)}") + body)
            time.sleep(0.5)
            running.terminate()
            time.sleep(0.5)
            assert running.poll() is None
            running.terminate()
            assert running.wait(3) == 128 + signal.SIGTERM


def test_the_log_is_json_when_asked(tmp_path: Path) -> None:
    with process(tmp_path, log_json="true") as (running, url):
        requests.post(f"{url}/run", json={"code": "0"}, timeout=5)
        running.terminate()
        assert running.wait(10) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    access = next(line for line in lines if line["name"] == "web.access")
    assert (access["method"], access["path"], access["status"]) == ("POST", "/run", 200)
    assert access["ms"] >= 0
    assert {"time", "levelname", "message"} <= set(access)


def test_listening_for_others_is_warned_about(tmp_path: Path) -> None:
    with process(tmp_path, host="0.0.0.0") as (running, _):
        running.terminate()
        running.wait(10)
    assert "whoever can reach it can run programs" in (tmp_path / "log").read_text()


def start_app(tmp_path: Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """`python app.py`, expected to refuse to start."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCE_")}
    environment |= {"SCE_DATA_DIR": str(tmp_path)} | {f"SCE_{name}": str(value) for name, value in settings.items()}
    command = [sys.executable, str(ROOT / "app.py")]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30)


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = start_app(tmp_path, PORT=port)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Port {port} is taken. Stop what listens there, or choose another one with SCE_PORT."
    ]


def test_a_host_that_is_not_ours_is_one_clear_line(tmp_path: Path) -> None:
    done = start_app(tmp_path, HOST="192.0.2.1", PORT=free_port())
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "192.0.2.1 is not an address of this machine. SCE_HOST names the one to listen on."
    ]


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    done = start_app(tmp_path, PORT="many", TIMEOUT_SECONDS=0)
    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["SCE_PORT", "SCE_TIMEOUT_SECONDS"]
    done = start_app(tmp_path, TIMEOUT=3)
    assert (done.returncode, "SCE_TIMEOUT" in done.stderr) == (2, True)


def test_every_address_of_a_name_is_listened_on(settings: Settings) -> None:
    sockets = web_server.listen(settings.model_copy(update={"host": "localhost"}))
    try:
        assert len({bound.getsockname()[1] for bound in sockets}) == 1
        assert "127.0.0.1" in [bound.getsockname()[0] for bound in sockets]
    finally:
        for bound in sockets:
            bound.close()


def test_a_name_with_two_addresses_is_served_on_both_and_stops_cleanly(tmp_path: Path) -> None:
    with process(tmp_path, host="localhost") as (running, url):
        port = url.rsplit(":", 1)[1]
        for bound in web_server.listen(load(data_dir=tmp_path, host="localhost", port=0)):
            address = bound.getsockname()[0]
            bound.close()
            shown = f"[{address}]" if ":" in address else address
            assert requests.get(f"http://{shown}:{port}/healthz", timeout=5).status_code == 200
        running.terminate()
        assert running.wait(10) == 0
