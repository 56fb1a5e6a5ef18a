"""What stands in an executor's place in all tests here, and applications and a server over it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from sandbox.settings import Settings, load
from tests.asking import Refused
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


@pytest.fixture
def client(settings: Settings, executor: FakeExecutor) -> FlaskClient:
    client: FlaskClient = web_app(settings, executor).test_client()
    return client


@pytest.fixture
def refused(client: FlaskClient, executor: FakeExecutor) -> Refused:
    """Post a body; its status, code and sentence. Nothing may have run."""

    def post(path: str, body: Any, content_type: str = "application/json") -> tuple[int, str, str]:
        data: Any = body if isinstance(body, bytes | dict | MultiDict) and content_type != "application/json" else None
        if content_type == "application/json":
            data = body if isinstance(body, bytes) else json.dumps(body)
        response = client.post(path, data=data, content_type=content_type)
        assert executor.requests == []
        assert response.content_type == "application/json"
        answer = response.get_json()
        assert set(answer) == {"error", "code"}
        return response.status_code, answer["code"], answer["error"]

    return post
