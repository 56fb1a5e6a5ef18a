"""A page over a server that answers as a test says: what it shows of answers that are hard to get, or of settings."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Page, Route

from tests.page.support import ended

Json = dict[str, Any]


def result(**fields: Any) -> Json:
    """What a run has left, as the `result` event tells it."""
    return {
        "id": "0123456789abcdef", "language": "python", "status": "ok", "output": "", "error": "", "exit_code": 0,
        "signal": None, "truncated": False, "duration_ms": 12.0, "cpu_ms": 10.0, "memory_kb": 9000, "queued_ms": 0.0,
        "runs_before": 0, "artifacts": [], "artifacts_omitted": [], "compile": None, **fields,
    }  # fmt: skip


def file(path: str, content: bytes, media_type: str = "application/octet-stream") -> Json:
    """A file that a program has made, within the answer."""
    encoded = base64.b64encode(content).decode()
    return {"path": path, "bytes": len(content), "media_type": media_type, "base64": encoded}


def elsewhere(path: str, number: int, media_type: str = "application/octet-stream", size: int = 2_000_000) -> Json:
    """A file that is to be fetched."""
    url = f"/runs/0123456789abcdef/artifacts/{number}"
    return {"path": path, "bytes": size, "media_type": media_type, "url": url}


class Stage:
    """Answers runs of a page with what it is told, and keeps what was asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[Json] = []
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        page.route("**/run", self._answer)

    def will(self, *events: tuple[str, Mapping[str, Any]], **fields: Any) -> None:
        """What the next runs answer: these events, then a result with those fields."""
        self.events = [("started", {}), *events, ("result", result(**fields))]

    def run(self) -> None:
        self.page.click("#run")
        ended(self.page)

    def _answer(self, route: Route) -> None:
        self.asked.append(json.loads(route.request.post_data or ""))
        body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in self.events)
        headers = {"X-Run-Id": "0123456789abcdef", "Content-Type": "text/event-stream"}
        route.fulfill(status=200, body=body, headers=headers)
