"""`GET /metrics`: what it says, that each number moves when it should, and who may read it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sandbox.box.lease import REASONS
from sandbox.box.supply import Source
from sandbox.engine.image import default_name
from sandbox.errors import Busy, ContainerLost, EngineError, EngineUnavailable, HistoryError, ImageMissing
from sandbox.languages import LANGUAGES
from sandbox.models import Caller, RunRequest, RunResult, Status
from sandbox.settings import Settings, load
from sandbox.store.recorder import Recorder
from tests.conftest import ROOT
from tests.fakes import FakeExecutor, FakeHistory, Make, keys_of
from tests.samples import Samples, samples
from tests.wire import connect, head, read_answer
from web.metrics import ENGINE_CODES, VERSION, Metrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PYTHON = RunRequest("python", "print(1)", caller=Caller("192.0.2.7", "key:ada"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path, port=0)


def read(app: Flask) -> Samples:
    response = app.test_client().get("/metrics")
    assert response.status_code == 200, response.text
    return samples(response.text)


def ended(app: Flask, status: Status = Status.OK, **fields: Any) -> None:
    """Have a run counted."""
    result = RunResult("0123456789abcdef", "python", status, "", "", 0, **fields)
    app.extensions["metrics"].run_ended(PYTHON, result)


# --- What it says ---------------------------------------------------------------------------------------------


def test_the_answer_is_prometheus_text(app: Flask) -> None:
    response = app.test_client().get("/metrics")
    assert response.content_type.startswith("text/plain; version=")
    assert response.headers["Cache-Control"] == "no-store"
    assert {family.name for family in parse_text(response.text)} >= {"sce_runs", "sce_run_seconds", "sce_places"}


def test_openmetrics_is_had_by_asking(app: Flask) -> None:
    response = app.test_client().get("/metrics", headers={"Accept": OPENMETRICS})
    assert response.content_type.startswith("application/openmetrics-text")
    families = parse_openmetrics(response.text)  # type: ignore[no-untyped-call]
    assert {family.name for family in families} >= {"sce_runs", "sce_run_seconds", "sce_places"}


def test_what_asks_for_a_version_that_is_none_gets_text(app: Flask) -> None:
    response = app.test_client().get("/metrics", headers={"Accept": "application/openmetrics-text; version=x"})
    assert response.status_code == 200 and response.content_type.startswith("text/plain")


def test_every_series_of_a_closed_set_is_there_from_the_start(app: Flask) -> None:
    found = read(app)
    for language in LANGUAGES:
        assert found["sce_run_seconds_count", language] == found["sce_run_cpu_seconds_total", language] == 0
        assert all(found["sce_runs_total", language, status.value] == 0 for status in Status)
        assert all(found["sce_containers_taken_total", language, source.value] == 0 for source in Source)
    assert all(found["sce_kept_ended_total", reason] == 0 for reason in REASONS)
    assert all(found["sce_engine_errors_total", code] == 0 for code in ENGINE_CODES)
    for of in ("owner", "address"):
        assert found["sce_quota_refusals_total", "runs_at_once", of] == 0
        assert found["sce_quota_refusals_total", "cpu_seconds_per_hour", of] == 0


def test_the_codes_of_the_engine_are_all_that_there_are() -> None:
    assert set(ENGINE_CODES) == {kind.code for kind in (EngineError, EngineUnavailable, ImageMissing, ContainerLost)}


def test_the_version_is_that_of_the_project(app: Flask) -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
    (label,) = [labels for name, *labels in read(app) if name == "sce_build_info"]
    assert label == [default_name(), VERSION]


def test_two_applications_count_apart(make: Make) -> None:
    first, second = make(), make()
    ended(first)
    assert read(first)["sce_runs_total", "python", "ok"] == 1
    assert read(second)["sce_runs_total", "python", "ok"] == 0


def test_the_documents_name_every_metric_and_no_other(app: Flask) -> None:
    families = [*parse_text(app.test_client().get("/metrics").text)]
    shown = {family.name + "_total" * (family.type == "counter") for family in families}
    ours = {name for name in shown if name.startswith("sce_") and not name.endswith("_created")}
    text = (ROOT / "docs" / "operations.md").read_text()
    table = {name for row in re.findall(r"^\| (`sce_.*?) \|", text, re.MULTILINE) for name in re.findall(r"\w+", row)}
    assert table == ours
    used = {re.sub("_bucket$", "", name) for name in re.findall(r"\bsce_\w+", text)}
    assert used == ours


# --- What moves it --------------------------------------------------------------------------------------------


def test_a_run_counts_with_its_times(app: Flask) -> None:
    ended(app, duration_ms=40, queued_ms=300, cpu_ms=1500)
    ended(app, Status.TIMEOUT, duration_ms=10_050, cpu_ms=None)
    found = read(app)
    assert found["sce_runs_total", "python", "ok"] == found["sce_runs_total", "python", "timeout"] == 1
    assert found["sce_run_seconds_bucket", "python", "0.025"] == 0
    assert found["sce_run_seconds_bucket", "python", "0.05"] == 1
    assert found["sce_run_seconds_bucket", "python", "+Inf"] == 2
    assert found["sce_run_seconds_sum", "python"] == pytest.approx(10.09)
    assert found["sce_run_queue_seconds_count",] == 2
    assert found["sce_run_queue_seconds_sum",] == pytest.approx(0.3)
    assert found["sce_run_cpu_seconds_total", "python"] == 1.5


def test_what_is_cancelled_in_the_queue_has_no_times(app: Flask) -> None:
    ended(app, Status.CANCELLED)
    found = read(app)
    assert found["sce_runs_total", "python", "cancelled"] == 1
    assert found["sce_run_seconds_count", "python"] == found["sce_run_queue_seconds_count",] == 0


def test_a_run_tells_nothing_of_who_ran_what(app: Flask) -> None:
    ended(app)
    text = app.test_client().get("/metrics").text
    assert not [word for word in ("ada", "192.0.2.7", "0123456789abcdef", "print") if word in text]


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (lambda client: client.get("/nowhere/0123456789abcdef"), "404", "not_found"),
        (lambda client: client.post("/run", json={"code": " "}), "400", "empty_code"),
        (lambda client: client.get("/run"), "405", "method_not_allowed"),
        (lambda client: client.get("/me", headers={"Authorization": "Bearer sce_no"}), "401", "wrong_key"),
        (lambda client: client.get("/config", headers={"Host": "evil.example"}), "400", "bad_host"),
        (lambda client: client.get("/config", headers={"Origin": "http://evil.example"}), "403", "foreign_origin"),
    ],
)
def test_each_refusal_counts_by_status_and_code(app: Flask, ask: Any, status: str, code: str) -> None:
    assert str(ask(app.test_client()).status_code) == status
    assert app.test_client().get("/config").status_code == 200
    assert {key: value for key, value in read(app).items() if key[0] == "sce_http_errors_total"} == {
        ("sce_http_errors_total", code, status): 1
    }


@pytest.mark.parametrize(
    ("problem", "code"),
    [(Busy("Full."), "busy"), (EngineUnavailable("Gone."), "engine_unavailable"), (OSError(), "internal")],
)
def test_what_the_server_cannot_do_counts_too(
    app: Flask, executor: FakeExecutor, problem: Exception, code: str
) -> None:
    executor.script = lambda _: _throw(problem)
    status = app.test_client().post("/run", json={"code": "1"}).status_code
    assert read(app)["sce_http_errors_total", code, str(status)] == 1


def _throw(problem: Exception) -> None:
    raise problem


def test_what_never_reaches_the_application_counts_as_well(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(head("/run", "Content-Length: 99999999"))
        assert read_answer(connection)[0] == 413
    found = samples(requests.get(f"{url}/metrics", timeout=10).text)
    assert found["sce_http_errors_total", "body_too_large", "413"] == 1


def test_what_the_executor_knows_is_read_at_each_scrape(app: Flask, executor: FakeExecutor) -> None:
    assert read(app)["sce_places_used",] == 0
    of_containers = replace(
        executor.counted.containers,
        alive=7,
        kept=2,
        kept_misses=3,
        kept_ended={"idle": 4},
        waiting={"python": 1},
        wanted={"python": 2},
        pool_failures=5,
        taken={("python", Source.COLD): 6, ("node", Source.KEPT): 1},
        failed={"container_lost": 8},
    )
    executor.counted = replace(
        executor.counted,
        running=3,
        waiting=9,
        quota_refusals={("your address", "runs_at_once"): 11},
        containers=of_containers,
    )
    found = read(app)
    expected = {
        ("sce_places",): 4,
        ("sce_places_used",): 3,
        ("sce_queue_places",): 64,
        ("sce_queue_length",): 9,
        ("sce_quota_refusals_total", "runs_at_once", "address"): 11,
        ("sce_containers",): 7,
        ("sce_kept_containers",): 2,
        ("sce_kept_misses_total",): 3,
        ("sce_kept_ended_total", "idle"): 4,
        ("sce_pool_waiting", "python"): 1,
        ("sce_pool_wanted", "python"): 2,
        ("sce_pool_failures_total",): 5,
        ("sce_containers_taken_total", "python", "cold"): 6,
        ("sce_containers_taken_total", "node", "kept"): 1,
        ("sce_containers_taken_total", "node", "cold"): 0,
        ("sce_engine_errors_total", "container_lost"): 8,
    }
    assert {key: found[key] for key in expected} == expected


def test_runs_that_the_history_loses_are_counted_for_good() -> None:
    history = FakeHistory()
    recorder, metrics = Recorder(history), Metrics(load())  # type: ignore[arg-type]
    metrics.watch(FakeExecutor().numbers, recorder)
    result = RunResult("a", "python", Status.OK, "", "", 0)
    history.problem = HistoryError("The disk is full.")
    recorder(PYTHON, result)
    recorder(PYTHON, result)
    history.problem = None
    recorder(PYTHON, result)
    assert samples(metrics.exposition("")[0].decode())["sce_history_lost_runs_total",] == 2


# --- Who may read it ------------------------------------------------------------------------------------------


def asked(app: Flask, address: str = "127.0.0.1", **headers: str) -> tuple[int, str | None]:
    """Status, and the code of an error."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = app.test_client().get("/metrics", headers=named, environ_overrides={"REMOTE_ADDR": address})
    return response.status_code, None if response.status_code == 200 else response.get_json()["code"]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("require_key", [False, True])
def test_whoever_is_on_this_machine_may(make: Make, address: str, require_key: bool) -> None:
    assert asked(make(require_key=require_key), address) == (200, None)


@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "10.0.0.1", "", "unknown"])
def test_others_need_a_key(app: Flask, address: str) -> None:
    assert asked(app, address) == (401, "key_required")


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For",
        "x-forwarded-host",
        "X-Forwarded-Proto",
        "X-Forwarded-Anything",
        "Forwarded",
        "Via",
        "X-Real-IP",
    ],
)
def test_what_a_proxy_passed_on_is_not_from_this_machine(app: Flask, header: str) -> None:
    assert asked(app, **{header: ""}) == (401, "key_required")


def test_what_is_addressed_to_a_public_name_is_not_either(make: Make) -> None:
    app = make(allowed_hosts="run.example.org")
    assert asked(app, Host="run.example.org") == (401, "key_required")
    assert asked(app, Host="localhost:5000") == (200, None)


def test_where_proxies_are_named_everybody_needs_a_key(make: Make) -> None:
    app = make(trusted_proxies="10.0.0.1")
    assert asked(app) == (401, "key_required")
    assert asked(app, Authorization=f"Bearer {keys_of(app).add('root', is_operator=True)}") == (200, None)


def test_an_operators_key_opens_it_from_anywhere(app: Flask) -> None:
    key = f"Bearer {keys_of(app).add('root', is_operator=True)}"
    assert asked(app, "192.0.2.1", Authorization=key) == (200, None)
    assert asked(app, X_Forwarded_For="192.0.2.1", Authorization=key) == (200, None)


def test_another_key_does_not(app: Flask) -> None:
    key = f"Bearer {keys_of(app).add('ada')}"
    assert asked(app, "192.0.2.1", Authorization=key) == (403, "operator_only")


def test_a_wrong_key_is_refused_even_on_this_machine(app: Flask) -> None:
    assert asked(app, Authorization="Bearer sce_no") == (401, "wrong_key")


def test_the_cookie_of_a_page_is_no_key(app: Flask) -> None:
    client = app.test_client()
    client.get("/")
    response = client.get("/metrics", environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    assert (response.status_code, response.get_json()["code"]) == (401, "key_required")
    assert response.headers["WWW-Authenticate"]


def test_a_page_of_another_site_cannot_have_it_read(app: Flask) -> None:
    assert asked(app, Sec_Fetch_Site="cross-site") == (403, "foreign_origin")


def test_the_listening_server_passes_on_what_gives_a_proxy_away(url: str) -> None:
    assert requests.get(f"{url}/metrics", timeout=10).status_code == 200
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        assert requests.get(f"{url}/metrics", headers={header: "192.0.2.1"}, timeout=10).status_code == 401
