"""What is in the log of whose run it was: the ids, and nothing that was sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from sandbox.models import Caller, RunRequest, RunResult, Status
from sandbox.settings import load
from tests.fakes import FakeExecutor, keys_of, web_app
from web import logs


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """What is written to stderr, as JSON lines."""
    written, root = StringIO(), logging.getLogger()
    before, level = [*root.handlers], root.level
    monkeypatch.setattr("sys.stderr", written)
    logs.configure(load(log_json=True))
    yield written
    root.handlers, root.level = before, level


def records(lines: StringIO, name: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [record for record in found if record["name"] == name]


RESULT = RunResult("0123456789abcdef", "python", Status.TIMEOUT, "secret output", "secret error", -1, duration_ms=12.34)


@pytest.mark.parametrize(("owner", "said"), [("key:ada", "of key:ada:"), ("", "of nobody:")])
def test_a_run_that_has_ended_is_a_line_with_its_id_and_owner(lines: StringIO, owner: str, said: str) -> None:
    request = RunRequest("python", "secret code", stdin="secret input", args=("secret",), caller=Caller(owner=owner))
    logs.run_ended(request, RESULT)
    (record,) = records(lines, "web.runs")
    assert record | {"run_id": RESULT.id, "owner": owner, "status": "timeout", "ms": 12.3} == record
    assert said in record["message"]
    assert "secret" not in lines.getvalue()


def test_a_request_is_a_line_with_its_owner_and_its_run(
    lines: StringIO, executor: FakeExecutor, tmp_path: Path
) -> None:
    app = web_app(load(data_dir=tmp_path), executor)
    key = keys_of(app).add("ada")
    client = app.test_client()
    client.post("/run", json={"code": "secret"}, headers={"Authorization": f"Bearer {key}"}).close()
    client.get("/healthz").close()
    client.get("/history", headers={"Authorization": "Bearer secret"}).close()
    run, health, refused = records(lines, "web.access")
    assert run | {"owner": "key:ada", "run_id": executor.run_ids[0], "status": 200} == run
    assert not {"owner", "run_id"} & {*health, *refused}
    assert "secret" not in lines.getvalue() and key not in lines.getvalue()
    app.extensions["database"].close()
