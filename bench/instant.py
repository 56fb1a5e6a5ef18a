"""A server process without its containers: every program has ended at once. What is left is HTTP, history and JSON."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app import create_app, serve
from sandbox.box.classify import to_result
from sandbox.box.numbers import Numbers
from sandbox.box.protocol import Captured, Report
from sandbox.models import Caller, RunRequest, RunResult
from sandbox.settings import Settings, load
from sandbox.store.database import Database, url_of
from sandbox.store.history import History
from web import logs
from web.serving.server import listen


class NoImages:
    """None of the packs is there."""

    def ready(self) -> frozenset[str]:
        return frozenset()

    def versions(self) -> dict[str, str]:
        return {}


class InstantExecutor:
    """In an executor's place."""

    images = NoImages()

    def __init__(self, settings: Settings, history: History) -> None:
        self._limits = settings.limits
        self._history = history

    def run(self, request: RunRequest, *, run_id: str, **_: object) -> RunResult:
        output = Captured()
        output.head += b"hello\n"
        report = Report(output, wait_status=0, oom_kills=0, wall_seconds=0.003, cpu_seconds=0.002, max_rss_kb=9000)
        result = to_result(report, self._limits, run_id=run_id, language=request.language, queued_ms=0.0)
        self._history.add(request, result)
        return result

    def expect(self, caller: Caller) -> None:
        pass

    def numbers(self) -> Numbers:
        raise NotImplementedError("nobody asks for them here")

    def check_ready(self) -> None:
        pass

    def close(self, drain_seconds: float = 0) -> None:
        pass


if __name__ == "__main__":
    settings = load()
    logs.configure(settings)
    database = Database(url_of(settings))
    history = History(database, settings.history_limit)
    app = create_app(settings, InstantExecutor(settings, history), history, database)  # type: ignore[arg-type]
    serve(app, settings, listen(settings))
