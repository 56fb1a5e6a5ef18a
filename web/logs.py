"""How log lines look: plain or JSON, on stderr. One line for each request, one for each run that has ended; never code,
input, output or keys."""

from __future__ import annotations

import logging
import re
import sys
import time

from flask import Flask, Response, g, request
from pythonjsonlogger.json import JsonFormatter

from sandbox.models import RunRequest, RunResult
from sandbox.settings import Settings

access_log = logging.getLogger("web.access")
run_log = logging.getLogger("web.runs")


CONTROL_CHARACTERS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]")


class OneLine(logging.Formatter):
    """Escapes control characters of messages, which libraries take from requests, so that nobody can forge a line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return CONTROL_CHARACTERS.sub(lambda match: repr(match[0])[1:-1], super().formatMessage(record))


def configure(settings: Settings) -> None:
    """Send all log records to stderr, in the form the settings ask for."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_json:
        handler.setFormatter(
            JsonFormatter(["asctime", "levelname", "name", "message"], rename_fields={"asctime": "time"})
        )
    else:
        handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)


def run_ended(request: RunRequest, result: RunResult) -> None:
    """Log one run; an observer."""
    owner, status, ms = request.caller.owner, result.status.value, round(result.duration_ms, 1)
    fields = {"run_id": result.id, "owner": owner, "language": result.language, "status": status, "ms": ms}
    words = (result.id, owner or "nobody", result.language, status, ms)
    run_log.info("run %s of %s: %s, %s, %.1f ms", *words, extra=fields)


def access(method: str, path: str, status: int, duration_ms: float, **known: str) -> None:
    """Log one request. Control characters of a path cannot forge lines: it is written as `repr` does."""
    fields = {"method": method, "path": path, "status": status, "ms": round(duration_ms, 1), **known}
    access_log.info("%s %s %d %.1f ms", method, repr(path)[1:-1], status, duration_ms, extra=fields)


def install(app: Flask) -> None:
    """Log each request when its answer has been written, streams included."""

    def start_clock() -> None:
        g.started_at = time.perf_counter()

    def log_at_the_end(response: Response) -> Response:
        method, path, started_at, known = request.method, request.path, g.started_at, _known(response)
        response.call_on_close(
            lambda: access(method, path, response.status_code, (time.perf_counter() - started_at) * 1000, **known)
        )
        return response

    app.before_request(start_clock)
    app.after_request(log_at_the_end)


def _known(response: Response) -> dict[str, str]:
    """Of the current request: the owner, if one was asked for, and the run, if there was one."""
    known = {"owner": g.caller.owner} if "caller" in g else {}
    if run_id := response.headers.get("X-Run-Id"):
        known["run_id"] = run_id
    return known
