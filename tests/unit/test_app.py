"""The routes over a fake executor and a fake history: what comes back, for success and for every kind of failure."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

import app as app_module
from app import prepare_database
from sandbox.errors import (
    Busy,
    Cancelled,
    ContainerLost,
    EngineUnavailable,
    HistoryError,
    ImageMissing,
    InvalidArchive,
    PartlyRun,
    QuotaExceeded,
    SandboxError,
)
from sandbox.models import RunRequest, RunResult, Status
from sandbox.settings import load
from sandbox.store.database import Database, url_of
from tests.fakes import FakeExecutor, FakeHistory, keys_of, row, web_app
from web.errors import STATUS_OF, status_of

ROOT = Path(__file__).resolve().parent.parent.parent
IDS = [f"{number:016x}" for number in range(5)]


@pytest.fixture
def history() -> FakeHistory:
    return FakeHistory([row(run_id) for run_id in IDS])


@pytest.fixture
def client(tmp_path: Path, executor: FakeExecutor, history: FakeHistory) -> FlaskClient:
    client: FlaskClient = web_app(load(data_dir=tmp_path), executor, history).test_client()
    return client


def test_nothing_happens_on_import(tmp_path: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import app, os, threading; "
    script += "print(os.listdir('.'), threading.active_count())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"SCE_PORT": "nonsense"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["[]", "1"]


# --- Runs ---------------------------------------------------------------------------------------------------


def test_a_run_answers_with_the_whole_result_and_its_id(client: FlaskClient, executor: FakeExecutor) -> None:
    response = client.post("/run", json={"code": "é\n"})
    assert response.status_code == 200
    assert response.content_type == "application/json"
    (run_id,) = executor.run_ids
    assert response.headers["X-Run-Id"] == run_id
    assert response.get_json() == {
        "id": run_id,
        "language": "python",
        "status": "ok",
        "output": "é\n",
        "error": "",
        "exit_code": 0,
        "signal": None,
        "truncated": False,
        "output_bytes": 0,
        "error_bytes": 0,
        "duration_ms": 1.5,
        "cpu_ms": 1.0,
        "memory_kb": None,
        "queued_ms": 0.0,
        "runs_before": 0,
        "compile": None,
        "artifacts": [],
        "artifacts_omitted": [],
    }


@pytest.mark.parametrize(
    ("problem", "status", "code", "retry_after"),
    [
        (QuotaExceeded("Enough.", retry_after_seconds=90), 429, "quota", "90"),
        (QuotaExceeded("Fewer.", retry_after_seconds=0), 429, "quota", None),
        (Busy("Full.", retry_after_seconds=7), 503, "busy", "7"),
        (EngineUnavailable("No engine."), 503, "engine_unavailable", "5"),
        (ImageMissing("No image."), 503, "image_missing", "5"),
        (ContainerLost("Lost."), 500, "container_lost", None),
        (Cancelled("Gone."), 503, "cancelled", None),
        (InvalidArchive("Damaged.", code="corrupt_archive"), 400, "corrupt_archive", None),
    ],
)
@pytest.mark.parametrize(("path", "body"), [("/run", {"code": "1"}), ("/run-batch", {"tasks": [{"code": "1"}]})])
def test_a_failure_of_ours_is_an_http_error(
    client: FlaskClient,
    executor: FakeExecutor,
    problem: SandboxError,
    status: int,
    code: str,
    retry_after: str | None,
    path: str,
    body: Any,
) -> None:
    executor.problem = problem
    response = client.post(path, json=body)
    assert response.status_code == status
    assert response.get_json() == {"error": problem.message, "code": code}
    assert response.headers.get("Retry-After") == retry_after


def test_a_bug_is_a_500_that_tells_the_log_everything_and_the_client_nothing(
    client: FlaskClient, executor: FakeExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("/secret/path")

    executor.script = fail
    response = client.post("/run", json={"code": "1"})
    assert response.status_code == 500
    assert response.get_json()["code"] == "internal"
    assert "secret" not in response.text
    assert "/secret/path" in caplog.text


def test_every_error_class_has_a_status() -> None:
    def tree(cls: type[SandboxError]) -> list[type[SandboxError]]:
        return [cls, *(descendant for child in cls.__subclasses__() for descendant in tree(child))]

    for cls in tree(SandboxError):
        problem = cls.__new__(cls)
        assert (status_of(type(problem)) == 500) == (cls in (SandboxError, ContainerLost, PartlyRun)), cls
    assert STATUS_OF[SandboxError] == 500


def test_every_error_code_is_in_the_documentation() -> None:
    documented = (ROOT / "docs" / "api.md").read_text()
    sources = "".join(path.read_text() for part in ("web", "sandbox") for path in (ROOT / part).rglob("*.py"))
    codes = set(re.findall(r'\bcode="([a-z_0-9]+)"', sources))
    assert "code_too_long" in codes
    assert {code for code in codes if f"`{code}`" not in documented} == set()


def test_cancelling_an_unknown_run_is_a_404(client: FlaskClient) -> None:
    response = client.delete(f"/runs/{IDS[0]}")
    assert (response.status_code, response.get_json()["code"]) == (404, "not_found")


def test_the_access_log_has_one_line_without_code(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client.post("/run?secret=1", json={"code": "secret()"}).close()
    client.get("/a%0Aforged").close()
    lines = [record.getMessage() for record in caplog.records if record.name == "web.access"]
    assert lines[0].startswith("POST /run 200 ")
    assert lines[1].startswith("GET /a\\nforged 404 ")
    assert len(lines) == 2
    assert "secret" not in caplog.text


# --- Unknown addresses and methods --------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/nowhere", "/run/", "/runs", "/history/", "/static/", "/static/../app.py", "/%00"])
def test_an_unknown_address_is_a_json_404(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.get_json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/run", "OPTIONS, POST"),
        ("PUT", "/run-zip", "OPTIONS, POST"),
        ("POST", "/history", "DELETE, GET, HEAD, OPTIONS"),
        ("GET", f"/runs/{IDS[0]}", "DELETE, OPTIONS"),
        ("PATCH", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_wrong_method_is_a_json_405_that_lists_the_right_ones(
    client: FlaskClient, method: str, path: str, allowed: str
) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.get_json()["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == allowed


# --- History ------------------------------------------------------------------------------------------------


def test_the_history_comes_in_pages_that_meet(client: FlaskClient) -> None:
    seen, before = [], ""
    while before is not None:
        page = client.get(f"/history?limit=2&before={before}").get_json()
        seen += [item["id"] for item in page["history"]]
        before = page["next"]
    assert seen == IDS


def test_the_last_full_page_has_no_next(client: FlaskClient) -> None:
    assert client.get("/history?limit=5").get_json()["next"] is None
    assert client.get("/history?limit=4").get_json()["next"] == "after 4"


def test_filters_reach_the_store_under_their_canonical_names(client: FlaskClient, history: FakeHistory) -> None:
    client.get("/history?q=a%20b&language=JS&status=timeout&before=abc")
    assert not history.asked.pop("gone")()
    assert history.asked == {"limit": 50, "before": "abc", "text": "a b", "language": "node", "status": "timeout"}
    client.get("/history?q=&language=&status=&before=")
    del history.asked["gone"]
    assert history.asked == {"limit": 50, "before": "", "text": "", "language": "", "status": ""}


@pytest.mark.parametrize(
    "query",
    [
        "limit=",
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1.5",
        "status=fine",
        "language=cobol",
        "page=2",
        "q=" + "x" * 201,
    ],
)
def test_a_wrong_query_is_a_400_that_names_it(client: FlaskClient, query: str) -> None:
    response = client.get(f"/history?{query}")
    assert response.status_code == 400
    name = query.split("=")[0]
    assert name in response.get_json()["error"] or "cobol" in response.get_json()["error"]


def test_one_run_of_the_past_can_be_shown_and_deleted(client: FlaskClient) -> None:
    assert client.get(f"/history/{IDS[2]}").get_json() == row(IDS[2])
    assert client.delete(f"/history/{IDS[2]}").get_json() == {"deleted": 1}
    for response in (client.get(f"/history/{IDS[2]}"), client.delete(f"/history/{IDS[2]}")):
        assert (response.status_code, response.get_json()["code"]) == (404, "not_found")


def test_the_history_can_be_cleared(client: FlaskClient) -> None:
    assert client.delete("/history").get_json() == {"deleted": 5}
    assert client.get("/history").get_json() == {"history": [], "next": None}


def test_only_an_operator_forgets_the_runs_of_everybody(client: FlaskClient, history: FakeHistory) -> None:
    refused = client.delete("/history?owner=all")
    assert (refused.status_code, refused.get_json()["code"]) == (403, "operator_only")
    assert len(history.rows) == 5
    keys = keys_of(client.application)
    keys.add("ada")
    key = keys.add("op", is_operator=True)
    assert client.delete("/history?owner=all", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert history.rows == []
    assert client.delete("/history?owner=ada").get_json()["code"] == "bad_query"


@pytest.mark.parametrize(("method", "path"), [("GET", "/history"), ("GET", "/history/x"), ("DELETE", "/history")])
def test_a_broken_store_is_a_503_on_the_history_only(
    client: FlaskClient, history: FakeHistory, method: str, path: str
) -> None:
    history.problem = HistoryError("The history cannot be used.")
    history.problem.__cause__ = OSError("/secret/history.db is gone")
    response = client.open(path, method=method)
    assert (response.status_code, response.get_json()["code"]) == (503, "history_unavailable")
    assert "secret" not in response.text
    assert client.post("/run", json={"code": "1"}).status_code == 200


# --- The service about itself -------------------------------------------------------------------------------


def test_health_needs_no_engine_and_readiness_does(client: FlaskClient, executor: FakeExecutor) -> None:
    assert client.get("/readyz").get_json() == {"status": "ready"}
    executor.problem = EngineUnavailable("No engine.")
    assert client.get("/healthz").get_json() == {"status": "ok"}
    response = client.get("/readyz")
    assert (response.status_code, response.get_json()["code"]) == (503, "engine_unavailable")


def test_the_page_is_told_languages_and_limits(client: FlaskClient) -> None:
    config = client.get("/config").get_json()
    assert [language["name"] for language in config["languages"]][:3] == ["python", "node", "bash"]
    assert config["languages"][1]["entry_names"] == ["index.js", "main.js"]
    assert config["limits"]["max_code_characters"] == 5000
    assert config["limits"]["timeout_seconds"] == 10


def test_the_page_is_told_which_pack_is_missing_and_what_adds_it(client: FlaskClient, executor: FakeExecutor) -> None:
    def told() -> dict[str, tuple[object, ...]]:
        languages = client.get("/config").get_json()["languages"]
        return {one["name"]: tuple(one[key] for key in ("pack", "group", "ready", "add_with")) for one in languages}

    assert told()["perl"] == ("scripts", "scripts", True, None)
    executor.images.packs = frozenset()
    assert told()["perl"] == ("scripts", "scripts", False, "make packs PACKS=scripts")
    assert told()["python"] == ("", "python", True, None)
    assert "make packs PACKS=scripts" in client.get("/").text


def test_languages_are_listed_with_their_versions(client: FlaskClient, executor: FakeExecutor) -> None:
    executor.images.packs = frozenset()
    found = {one["name"]: one for one in client.get("/languages").get_json()["languages"]}
    assert (found["python"]["version"], found["python"]["ready"]) == ("3.11.2", True)
    assert (found["perl"]["version"], found["perl"]["ready"], found["perl"]["pack"]) == ("", False, "scripts")
    assert found["perl"]["aliases"] == ["pl"]
    assert found["perl"]["limits"]["memory_mb"] == 128
    assert set(found["perl"]) == {
        "name", "title", "version", "aliases", "file_name", "extensions", "limits", "pack", "ready"
    }  # fmt: skip


def test_the_page_is_served_and_may_be_kept_but_not_used_unasked(client: FlaskClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    assert "<textarea" in response.text


# --- Made by itself -----------------------------------------------------------------------------------------


def test_an_executor_that_the_app_makes_writes_to_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}

    def make_executor(settings: object, *, observers: list[Any], files: object) -> FakeExecutor:
        made["observers"] = observers
        return FakeExecutor()

    monkeypatch.setattr(app_module, "Executor", make_executor)
    history = FakeHistory()
    app = app_module.create_app(load(data_dir=tmp_path), history=history)  # type: ignore[arg-type]
    for observer in made["observers"]:
        observer(RunRequest("python", "x"), RunResult("a", "python", Status.OK, "", "", 0))
    assert history.added == ["a"]
    assert app.extensions["history"] is history


def test_a_first_start_has_its_history_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load(data_dir=tmp_path / "not" / "there")
    database = Database(url_of(settings))
    prepare_database(settings, database)
    database.close()
    assert capsys.readouterr().err == ""
    assert (settings.data_dir / "history.db").exists()
