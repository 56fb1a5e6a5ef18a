"""Fixtures of several modules about kept containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from executor import Executor
from sandbox.models import RunResult, Status
from sandbox.settings import load
from tests.conftest import containers, plain
from tests.engine.keeping import LOOK, owned


@pytest.fixture(scope="module")
def keeping(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """One whose kept containers end only for what was left in them; none may be left when it has closed."""
    data_dir = tmp_path_factory.mktemp("kept")
    with Executor(load(data_dir=data_dir, pool="python:1", keep_runs=1000, keep_age_seconds=3600)) as executor:
        yield executor
    assert containers(data_dir) == []


@pytest.fixture(scope="module")
def run_for(keeping: Executor) -> Callable[..., RunResult]:
    """`run_for(owner, code, language="python", **fields)` with it."""
    return owned(keeping)


@pytest.fixture(scope="module")
def seen_alone(run_for: Callable[..., RunResult]) -> str:
    """What the look prints where nothing ever ran."""
    result = run_for("key:alone", LOOK)
    assert (result.status, result.runs_before) == (Status.OK, 0), result.error
    return plain(result.output)
