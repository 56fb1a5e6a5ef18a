"""The API does what its OpenAPI document says: schemathesis makes requests, right and wrong ones, and compares.

The executor is a fake; the history is the real one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app import create_app
from sandbox.intake.inputs import NOT_BLANK
from sandbox.models import RunRequest, RunResult
from sandbox.settings import load
from sandbox.store.database import url_of
from sandbox.store.history import History
from tests.fakes import FakeExecutor
from web.openapi import describe


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
    history = History(url_of(settings), 50)
    yield create_app(settings, RecordingExecutor(history), history)  # type: ignore[arg-type]
    history.close()


@pytest.fixture(scope="module")
def api(application: Flask) -> Any:
    loaded = schemathesis.openapi.from_wsgi("/openapi.json", application)
    # A form with more parts than there are fields is refused as too large.
    loaded.config.checks.negative_data_rejection.expected_statuses = ["400", "413", "415"]
    return loaded


OPERATIONS = [
    (method.upper(), path)
    for path, item in describe(load())["paths"].items()
    for method in item
    if method != "parameters"
]


REFUSING = [("POST", "/run"), ("POST", "/run-zip"), ("POST", "/run-batch"), ("GET", "/history")]
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
    def check(case: schemathesis.Case) -> None:
        # No schema can say that bytes are a zip archive.
        not_for_archives = [positive_data_acceptance] if path == "/run-zip" else []
        # Its client asks for encodings that it does not decode.
        case.call_and_validate(excluded_checks=not_for_archives, headers={"Accept-Encoding": "identity"})

    check()


def test_every_route_is_described(application: Flask) -> None:
    paths = describe(load())["paths"]
    described = {(path.replace("{id}", "<run_id>"), method.upper()) for path in paths for method in paths[path]}
    served = {
        (rule.rule, method)
        for rule in application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint not in ("static", "index")
    }
    assert served == {(path, method) for path, method in described if method != "PARAMETERS"}


def test_the_description_names_the_limits_that_hold(tmp_path: Path) -> None:
    schemas = describe(load(data_dir=tmp_path, max_code_characters=77, max_batch_tasks=3))["components"]["schemas"]
    assert schemas["Task"]["properties"]["code"]["maxLength"] == 77
    assert schemas["Batch"]["properties"]["tasks"]["maxItems"] == 3


def test_the_pattern_of_code_means_what_the_check_means() -> None:
    described = re.compile(NOT_BLANK)
    assert [
        chr(number) for number in range(0x110000) if bool(described.search(chr(number))) == chr(number).isspace()
    ] == []
