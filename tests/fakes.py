"""Stand-ins for what is behind the HTTP layer, so that its tests need no engine and can stage any event."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask import Flask

from app import create_app, make_server
from sandbox.box.numbers import Numbers
from sandbox.box.supply import Containers
from sandbox.errors import SandboxError
from sandbox.models import Caller, RunRequest, RunResult, Status, Stream
from sandbox.packs import PACKS
from sandbox.quotas import Allowance, Quotas
from sandbox.settings import Settings, load
from sandbox.store.keys import Keys
from web.serving.server import listen

NOTHING = Numbers(
    places=4,
    running=0,
    queue_size=64,
    waiting=0,
    quota_refusals={},
    containers=Containers(
        alive=0,
        kept=0,
        kept_misses=0,
        kept_ended={},
        waiting={},
        wanted={},
        pool_failures=0,
        taken={},
        failed={},
    ),
)
"""An executor's numbers before anything has happened."""

Script = Callable[["Call"], object]
"""What it returns does not matter."""

Make = Callable[..., Flask]
"""Makes an application of settings."""


class Call:
    """What a script of the fake executor sees of the run it plays."""

    def __init__(self, request: RunRequest, say: Callable[[Stream, str], None], gone: Callable[[], bool]) -> None:
        self.request = request
        self.say = say
        self.gone = gone


class FakeImages:
    """Every pack is there, or those that a test says."""

    def __init__(self) -> None:
        self.packs = frozenset(PACKS)
        self.known_versions = {"python": "3.11.2"}

    def is_ready(self, pack: str) -> bool:
        return not pack or pack in self.packs

    def ready(self) -> frozenset[str]:
        return self.packs

    def versions(self) -> dict[str, str]:
        return self.known_versions


class FakeExecutor:
    """Echoes the code of a request as its output; `script` plays what happens in between, or raises."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script
        self.requests: list[RunRequest] = []
        self.run_ids: list[str] = []
        self.running: dict[str, threading.Event] = {}
        self.owners: dict[str, str] = {}
        self.ended: list[str] = []
        self.expected: list[str] = []
        self.closed_with: float | None = None
        self.counted = NOTHING
        self.problem: SandboxError | None = None
        self.quotas = Quotas(load())
        self.images = FakeImages()

    def run(
        self,
        request: RunRequest,
        *,
        run_id: str | None = None,
        on_start: Callable[[], None] | None = None,
        on_output: Callable[[Stream, str], None] | None = None,
        gone: Callable[[], bool] | None = None,
    ) -> RunResult:
        run_id = run_id or secrets.token_hex(8)
        if self.problem:
            raise self.problem
        self.requests.append(request)
        self.run_ids.append(run_id)
        self.owners[run_id] = request.caller.owner
        cancelled = self.running[run_id] = threading.Event()
        call = Call(
            request,
            on_output or (lambda stream, text: None),
            lambda: cancelled.is_set() or (gone is not None and gone()),
        )
        try:
            if on_start:
                on_start()
            if self.script:
                self.script(call)
            status = Status.CANCELLED if call.gone() else Status.OK
        finally:
            del self.running[run_id]
            self.ended.append(run_id)
        return RunResult(run_id, request.language, status, request.code, "", 0, duration_ms=1.5, cpu_ms=1.0)

    def run_many(self, requests: Sequence[RunRequest], *, gone: Callable[[], bool] | None = None) -> list[RunResult]:
        return [self.run(request, gone=gone) for request in requests]

    def cancel(self, run_id: str, caller: Caller) -> bool:
        event = self.running.get(run_id)
        if event is None or not caller.may_see(self.owners[run_id]):
            return False
        event.set()
        return True

    def expect(self, caller: Caller) -> None:
        self.expected.append(caller.owner)

    def allowance(self, caller: Caller) -> Allowance:
        return self.quotas.allowance(caller)

    def check_ready(self) -> None:
        if self.problem:
            raise self.problem

    def numbers(self) -> Numbers:
        return self.counted

    def close(self, drain_seconds: float = 0) -> None:
        self.closed_with = drain_seconds
        deadline = time.monotonic() + drain_seconds
        while self.running and time.monotonic() < deadline:
            time.sleep(0.01)
        for event in list(self.running.values()):
            event.set()
        while self.running:
            time.sleep(0.01)


def row(run_id: str, **fields: Any) -> dict[str, Any]:
    """One row of the history."""
    return {
        "id": run_id,
        "timestamp": "2026-01-01T00:00:00Z",
        "owner": "",
        "kind": "code",
        "language": "python",
        "code": "print(1)",
        "entry": "",
        "archive": "",
        "args": [],
        "stdin": "",
        "output": "1\n",
        "error": "",
        "exit_code": 0,
        "status": "ok",
        "signal": None,
        "truncated": False,
        "output_bytes": 2,
        "error_bytes": 0,
        "shortened": [],
        "duration_ms": 1.0,
        "cpu_ms": 1.0,
        "memory_kb": 1000,
        "queued_ms": 0.0,
        "runs_before": 0,
        "artifacts": [],
        "artifacts_omitted": [],
        **fields,
    }


class FakeHistory:
    """A list of rows, newest first, that can be made to fail."""

    def __init__(self, rows: Sequence[dict[str, Any]] = ()) -> None:
        self.rows = list(rows)
        self.added: list[str] = []
        self.asked: dict[str, Any] = {}
        self.problem: Exception | None = None

    def add(self, request: RunRequest, result: RunResult) -> None:
        self._fail()
        self.added.append(result.id)

    def page(self, caller: Caller, **asked: Any) -> tuple[list[dict[str, Any]], str | None]:
        self._fail()
        self.asked = asked
        start = int(asked["before"].removeprefix("after ")) if asked["before"].startswith("after ") else 0
        end = start + asked["limit"]
        return self.rows[start:end], f"after {end}" if end < len(self.rows) else None

    def get(self, caller: Caller, run_id: str) -> dict[str, Any] | None:
        self._fail()
        return next((item for item in self.rows if item["id"] == run_id), None)

    def artifacts(self, caller: Caller, run_id: str) -> list[dict[str, Any]]:
        found = self.get(caller, run_id)
        return found["artifacts"] if found else []

    def delete(self, caller: Caller, run_id: str) -> bool:
        self._fail()
        before = len(self.rows)
        self.rows = [item for item in self.rows if item["id"] != run_id]
        return len(self.rows) < before

    def clear(self, caller: Caller, *, everybodys: bool = False) -> int:
        self._fail()
        count, self.rows = len(self.rows), []
        return count

    def _fail(self) -> None:
        if self.problem:
            raise self.problem


def web_app(settings: Settings, executor: FakeExecutor | None = None, history: FakeHistory | None = None) -> Flask:
    """The application over fakes."""
    return create_app(settings, executor or FakeExecutor(), history or FakeHistory())  # type: ignore[arg-type]


def keys_of(app: Flask) -> Keys:
    """The keys that an application knows."""
    return Keys(app.extensions["database"])


def body_limit(path: str, settings: Settings) -> int:
    """The most bytes that the body of a request to `path` may have."""
    limit: int = web_app(settings).extensions["routes"].body_limit(path)
    return limit


@contextmanager
def serving(settings: Settings, executor: FakeExecutor | None = None) -> Iterator[str]:
    """The application behind the real server, in a thread of this process; its address, without a slash."""
    executor = executor or FakeExecutor()
    sockets = listen(settings)
    server = make_server(web_app(settings, executor), settings, sockets)
    thread = threading.Thread(target=server.run, args=(executor,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()
