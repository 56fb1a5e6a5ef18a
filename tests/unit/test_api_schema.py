"""The API does what its OpenAPI document says: schemathesis makes requests, right and wrong ones, and compares.

The executor is a fake; the history is the real one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app import create_app
from sandbox.intake.inputs import NOT_BLANK
from sandbox.models import (
    InlineArtifact,
    Omission,
    OmittedArtifact,
    RunRequest,
    RunResult,
    Status,
    StoredArtifact,
)
from sandbox.settings import Settings, load
from sandbox.store.database import Database, url_of
from sandbox.store.history import History
from tests.databases import NOBODY
from tests.fakes import FakeExecutor, keys_of, web_app
from web import errors
from web.route import Body, Routes, adapter_of
from web.routes.history import HistoryRow
from web.routes.tasks import RUN_BODY, Task, read_run


class RecordingExecutor(FakeExecutor):
    """Writes every run to the history, as the real one does."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self.history = history

    def run(self, request: RunRequest, **options: Any) -> RunResult:
        result = super().run(request, **options)
        self.history.add(request, result)
        return result


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = load(data_dir=tmp_path_factory.mktemp("schema"))
    database = Database(url_of(settings))
    history = History(database, 50)
    yield create_app(settings, RecordingExecutor(history), history, database)  # type: ignore[arg-type]
    database.close()


@pytest.fixture(scope="module")
def api(application: Flask) -> Any:
    loaded = schemathesis.openapi.from_wsgi("/openapi.json", application)
    # A form with more parts than there are fields is refused as too large.
    loaded.config.checks.negative_data_rejection.expected_statuses = ["400", "413", "415"]
    return loaded


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """The description of a server that needs a key, and one."""
    application = web_app(load(data_dir=tmp_path_factory.mktemp("closed"), require_key=True))
    yield schemathesis.openapi.from_wsgi("/openapi.json", application), keys_of(application).add("ada")
    application.extensions["database"].close()


def described(settings: Settings) -> Any:
    """The description that an application with these settings serves."""
    return web_app(settings).test_client().get("/openapi.json").get_json()


PATHS = described(load(cookie_secret="x" * 32))["paths"]
OPERATIONS = [(method.upper(), path) for path, item in PATHS.items() for method in item]


REFUSING = [("POST", "/sign-in"), ("POST", "/run"), ("POST", "/run-zip"), ("POST", "/run-batch"), ("GET", "/history")]
"""Those that can be asked in a wrong way: they take a body or a query."""


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        *((method, path, GenerationMode.POSITIVE) for method, path in OPERATIONS),
        *((method, path, GenerationMode.NEGATIVE) for method, path in REFUSING),
    ],
)
def test_the_api_does_what_its_description_says(api: Any, method: str, path: str, mode: GenerationMode) -> None:
    """Right requests get the answers described; wrong ones are refused; no answer is one nobody described."""
    operation = api[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def check(case: schemathesis.Case[Any]) -> None:
        excluded: list[Any] = [positive_data_acceptance] if is_beyond_schemas(case) else []
        # Its client asks for encodings that it does not decode.
        case.call_and_validate(excluded_checks=excluded, headers={"Accept-Encoding": "identity"})

    check()


def is_beyond_schemas(case: schemathesis.Case[Any]) -> bool:
    """No schema can say that bytes are a zip archive, that one file is no other's folder, or the entry one of them;
    ours does not say which languages are in a pack."""
    return any(f"'{name}'" in repr(case.body) for name in ("file", "files", "entry", "pack"))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_server_that_needs_a_key_does_what_its_description_says(closed: Any, method: str, path: str) -> None:
    """Schemathesis tries each request without the key, too, and with a wrong one."""
    api, key = closed

    @given(case=api[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE))
    @hypothesis_settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def check(case: schemathesis.Case[Any]) -> None:
        headers = {"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"}
        case.call_and_validate(excluded_checks=[positive_data_acceptance], headers=headers)

    check()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize(
    ("require_key", "ways"), [(False, [{}, {"key": []}, {"cookie": []}]), (True, [{"key": []}, {"cookie": []}])]
)
def test_the_description_says_who_may_ask(tmp_path: Path, method: str, path: str, require_key: bool, ways: Any) -> None:
    description = described(load(data_dir=tmp_path, require_key=require_key))
    operation = description["paths"][path][method.lower()]
    is_open = path in (
        "/config",
        "/languages",
        "/openapi.json",
        "/healthz",
        "/readyz",
        "/metrics",
        "/me",
        "/sign-in",
        "/sign-out",
    )
    assert operation["security"] == ([] if is_open else ways)
    assert is_open or "401" in operation["responses"]
    schemes = description["components"]["securitySchemes"]
    assert (schemes["key"]["scheme"], schemes["cookie"]["in"]) == ("bearer", "cookie")


def test_every_route_is_described(application: Flask) -> None:
    listed = {(method, path.replace("{", "<").replace("}", ">")) for method, path in OPERATIONS}
    assert served_by(application) == listed


def served_by(application: Flask) -> set[tuple[str, str]]:
    return {
        (method, rule.rule)
        for rule in application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint not in ("static", "index")
    }


def test_a_route_that_declares_nothing_would_be_found() -> None:
    application = web_app(load(cookie_secret="x" * 32))
    application.get("/new")(lambda: "")
    declared = {(route.method, route.path) for route in application.extensions["routes"]}
    assert served_by(application) - declared == {("GET", "/new")}


def test_a_route_cannot_be_without_an_answer_or_its_body_without_a_limit() -> None:
    routes = Routes(Flask(__name__), load())
    with pytest.raises(TypeError, match="answers"):
        routes.add("GET", "/new")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="limit"):
        Body(Task, read_run)  # type: ignore[call-arg]


def test_a_route_with_a_body_has_a_path_that_the_server_can_look_up() -> None:
    with pytest.raises(ValueError, match="/<name>/new takes a body"):
        Routes(Flask(__name__), load()).add("POST", "/<name>/new", answers=dict, body=RUN_BODY)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_has_a_summary_and_a_schema_for_what_it_takes_and_answers(method: str, path: str) -> None:
    operation = PATHS[path][method.lower()]
    assert operation["summary"].endswith(".")
    media_types = {"/metrics": "text/plain", "/runs/{run_id}/artifacts/{number}": "application/octet-stream"}
    assert operation["responses"]["200"]["content"][media_types.get(path, "application/json")]["schema"]
    has_body = method in ("POST", "PUT") and path != "/sign-out"
    assert ("requestBody" in operation) == has_body == ("413" in operation["responses"])


def test_what_the_store_hands_out_is_what_the_description_says_of_a_run(tmp_path: Path) -> None:
    database = Database(url_of(load(data_dir=tmp_path)))
    history = History(database, 50)
    result = RunResult("0123456789abcdef", "python", Status.OK, "", "", 0)
    history.add(RunRequest("python", "1"), result)
    stored = history.get(NOBODY, result.id)
    database.close()
    assert stored is not None
    assert stored.keys() == {field.name for field in fields(HistoryRow)}


texts = st.text(st.characters(codec="utf-8"))
times = st.floats(0, 1e9).map(lambda number: round(number, 3))


@given(
    st.builds(
        RunResult,
        id=texts,
        language=texts,
        status=st.sampled_from(Status),
        output=texts,
        error=texts,
        exit_code=st.integers(-(2**31), 2**31),
        signal=st.none() | texts,
        truncated=st.booleans(),
        output_bytes=st.integers(0, 2**60),
        error_bytes=st.integers(0, 2**60),
        duration_ms=times,
        cpu_ms=st.none() | times,
        memory_kb=st.none() | st.integers(0, 2**60),
        queued_ms=times,
        artifacts=st.lists(
            st.builds(InlineArtifact, path=texts, bytes=st.integers(0), media_type=texts, base64=texts)
            | st.builds(StoredArtifact, path=texts, bytes=st.integers(0), media_type=texts, url=texts)
        ).map(tuple),
        artifacts_omitted=st.lists(st.builds(OmittedArtifact, texts, st.sampled_from(Omission))).map(tuple),
    )
)
@hypothesis_settings(max_examples=300, deadline=None, database=None)
def test_a_result_is_the_same_bytes_as_an_answer_and_as_an_event(result: RunResult) -> None:
    assert adapter_of(RunResult).dump_json(result).decode() == errors.to_json(result.to_json())


def test_the_description_names_the_limits_that_hold(tmp_path: Path) -> None:
    schemas = described(load(data_dir=tmp_path, max_code_characters=77, max_batch_tasks=3))["components"]["schemas"]
    assert schemas["Task"]["properties"]["code"]["maxLength"] == 77
    assert schemas["Batch"]["properties"]["tasks"]["maxItems"] == 3


def test_the_pattern_of_code_means_what_the_check_means() -> None:
    described = re.compile(NOT_BLANK)
    assert [
        chr(number) for number in range(0x110000) if bool(described.search(chr(number))) == chr(number).isspace()
    ] == []
