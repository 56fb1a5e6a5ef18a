"""What stands in an executor's place in all tests here, and applications and a server over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from sandbox.settings import Settings, load
from tests.fakes import FakeExecutor, Make, serving, web_app


@pytest.fixture
def executor() -> FakeExecutor:
    return FakeExecutor()


@pytest.fixture
def url(settings: Settings, executor: FakeExecutor) -> Iterator[str]:
    """Where a server with these settings and that executor listens."""
    with serving(settings, executor) as address:
        yield address


@pytest.fixture
def make(tmp_path: Path, executor: FakeExecutor) -> Iterator[Make]:
    """Makes applications over one database and one secret."""
    apps: list[Flask] = []

    def make(**settings: Any) -> Flask:
        apps.append(web_app(load(data_dir=tmp_path, **settings), executor))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions["database"].close()


@pytest.fixture
def app(make: Make) -> Flask:
    return make()
