"""A real server whose database is stopped, hangs and comes back: programs run, and everybody is told the truth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.store.keys import PREFIX, Keys
from tests.conftest import Server, eventually, serve
from tests.databases import Database, new_database
from tests.postgres_server import PostgresServer, postgresql_server
from tests.samples import samples

BOUND_SECONDS = 2.5
"""The most that an answer takes because of the database."""

BACK_SECONDS = 5.0
SETTLED_RUNS = 5
"""So many in a row that are in the history: it works again."""


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgresql_server() as postgres:
        yield postgres


@pytest.fixture
def bearer(database_url: str) -> dict[str, str]:
    with_keys = Database("postgresql", database_url)
    key = Keys(with_keys.open()).add("ada", runs_at_once=1000)
    with_keys.close()
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    with new_database(str(postgres.folder)) as url:
        yield url
        if not postgres.is_running:
            postgres.start()
        postgres.go_on()


@pytest.fixture
def server(real_engine: None, database_url: str, tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path, pool="python:2", database_url=database_url) as server:
        yield server


class Told:
    """An answer, and what it took beside a program's own time."""

    def __init__(self, server: Server, method: str, path: str, **fields: Any) -> None:
        began_at = time.monotonic()
        response = requests.request(method, f"{server.url}{path}", timeout=30, **fields)
        self.seconds = time.monotonic() - began_at
        self.status = response.status_code
        self.json: dict[str, Any] = response.json() if "json" in response.headers["Content-Type"] else {}
        if path == "/run" and self.status == 200:
            self.seconds -= (self.json["duration_ms"] + self.json["queued_ms"]) / 1000

    @property
    def code(self) -> object:
        return self.json.get("code", self.status)


def run(server: Server, number: int) -> Told:
    """By a page whose container is kept: the start of another is no matter of the database."""
    return Told(server, "POST", "/run", json={"code": f"print({number} * 2)"}, cookies=page_of(server))


@cache
def page_of(server: Server) -> requests.cookies.RequestsCookieJar:
    return requests.get(server.url, timeout=10).cookies


def lost(server: Server) -> float:
    return samples(requests.get(f"{server.url}/metrics", timeout=10).text)["sce_history_lost_runs_total",]


def settle(server: Server) -> int:
    """Run programs until they are in the history again; how many there were."""
    count = in_a_row = 0
    end = time.monotonic() + BACK_SECONDS
    while in_a_row < SETTLED_RUNS:
        before = lost(server)
        assert run(server, count).json["output"] == f"{count * 2}\n"
        in_a_row = in_a_row + 1 if lost(server) == before else 0
        count += 1
        assert in_a_row or time.monotonic() < end
    return count


@pytest.mark.postgres
@pytest.mark.parametrize("fault", ["hang", "stop"])
def test_programs_run_while_the_database_is_away_and_what_is_lost_is_counted(
    server: Server, postgres: PostgresServer, bearer: dict[str, str], fault: str
) -> None:
    count = settle(server)
    assert Told(server, "GET", "/history", headers=bearer).status == 200
    getattr(postgres, fault)()
    wrong = {"Authorization": f"Bearer {PREFIX}{'x' * 32}"}
    for _ in range(3):
        told = {
            "run": run(server, 21),
            "list": Told(server, "GET", "/history"),
            "one": Told(server, "GET", "/history/0123456789abcdef"),
            "file": Told(server, "GET", "/runs/0123456789abcdef/artifacts/0"),
            "forget": Told(server, "DELETE", "/history"),
            "key": Told(server, "POST", "/run", json={"code": "1"}, headers=bearer),
            "no key": Told(server, "POST", "/run", json={"code": "1"}, headers=wrong),
            "alive": Told(server, "GET", "/healthz"),
            "ready": Told(server, "GET", "/readyz"),
            "page": Told(server, "GET", "/"),
        }
        count += 1
        assert told["run"].json["output"] == "42\n"
        assert {name: one.code for name, one in told.items()} == {
            "run": 200, "alive": 200, "ready": 200, "page": 200,
            **dict.fromkeys(("list", "one", "file", "forget"), "history_unavailable"),
            **dict.fromkeys(("key", "no key"), "keys_unavailable"),
        }  # fmt: skip
        assert {name: one.seconds for name, one in told.items() if one.seconds > BOUND_SECONDS} == {}
    getattr(postgres, {"hang": "go_on", "stop": "start"}[fault])()
    count += settle(server)
    assert eventually(lambda: Told(server, "GET", "/history", headers=bearer).status == 200, BACK_SECONDS)
    rows = Told(server, "GET", "/history?limit=100", cookies=page_of(server)).json["history"]
    assert lost(server)
    assert len(rows) + lost(server) == count
    log = server.log.read_text()
    assert "Running programs still works. Not in the history since it last worked: 1 runs." in log
    assert f"The history works again. Not in it: {lost(server):.0f} runs." in log
    assert "Traceback" not in log


@pytest.mark.postgres
def test_64_at_once_are_all_answered_while_the_database_hangs(
    server: Server, postgres: PostgresServer, bearer: dict[str, str]
) -> None:
    settle(server)
    postgres.hang()
    kinds: list[tuple[str, str, dict[str, Any], object]] = [
        ("GET", "/history", {}, "history_unavailable"),
        ("GET", "/me", {"headers": bearer}, "keys_unavailable"),
        ("GET", "/healthz", {}, 200),
        ("POST", "/run", {"json": {"code": "print(42)"}}, 200),
    ]
    with ThreadPoolExecutor(64) as clients:
        asked = [
            (path, code, clients.submit(Told, server, method, path, **fields))
            for method, path, fields, code in kinds * 16
        ]
        told = [(path, code, answer.result()) for path, code, answer in asked]
    assert [(path, answer.code) for path, _, answer in told] == [(path, code) for path, code, _ in told]
    assert {answer.json["output"] for path, _, answer in told if path == "/run"} == {"42\n"}
    # So many programs at once also wait for containers.
    assert [answer.seconds for path, _, answer in told if path != "/run" and answer.seconds > BOUND_SECONDS] == []
    postgres.go_on()
    settle(server)


@pytest.mark.postgres
def test_a_server_starts_without_its_database_and_finds_it_later(
    real_engine: None, postgres: PostgresServer, database_url: str, tmp_path: Path
) -> None:
    postgres.stop()
    with serve(tmp_path, pool="python:2", database_url=database_url) as server:
        assert "No history and no keys yet: The database cannot be used at the moment." in server.log.read_text()
        assert run(server, 21).json["output"] == "42\n"
        postgres.start()
        settle(server)
        assert lost(server)
