"""Empty databases for the tests of the history: SQLite files, and those of a PostgreSQL server of the tests' own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, text

from sandbox.models import Caller, RunRequest, RunResult, Status
from sandbox.store import database as store
from sandbox.store.artifacts import ArtifactFiles
from sandbox.store.history import History
from tests.postgres_server import postgresql_server


class Database:
    """One that is empty at first. `name` is that of its dialect."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self._opened: list[store.Database] = []

    def history(self, limit: int = 100, files: ArtifactFiles | None = None, **bounds: int) -> History:
        """A history over it, as a server has one."""
        return History(self.open(), limit, files=files, **bounds)

    def open(self) -> store.Database:
        """As a server opens it."""
        self._opened.append(store.Database(self.url))
        return self._opened[-1]

    def execute(self, *statements: str, **values: object) -> list[Any]:
        """Rows of the last one of some statements, in one transaction."""
        engine = create_engine(self.url)
        with engine.begin() as connection:
            results = [connection.execute(text(statement), values) for statement in statements]
            rows = list(results[-1]) if results[-1].returns_rows else []
        engine.dispose()
        return rows

    def close(self) -> None:
        for opened in self._opened:
            opened.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def new_databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Makes empty databases; the test runs once with each kind that histories are kept in."""
    with ExitStack() as stack:

        def make() -> Database:
            name: str = request.param
            if name == "sqlite":
                url = f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"
            else:
                url = stack.enter_context(new_database(request.getfixturevalue("postgresql")))
            return stack.enter_context(closing(Database(name, url)))

        numbers = count()
        yield make


@pytest.fixture
def database(new_databases: Callable[[], Database]) -> Database:
    return new_databases()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The folder of the socket of one server for all tests."""
    with postgresql_server() as server:
        yield str(server.folder)


@contextmanager
def new_database(socket: str) -> Iterator[str]:
    """The URL of a new database of the server, gone afterwards."""
    name = f"history_{secrets.token_hex(4)}"

    def administer(statement: LiteralString) -> None:
        with psycopg.connect(host=socket, user="tests", dbname="postgres", autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    administer("CREATE DATABASE {}")
    yield f"postgresql+psycopg://tests@/{name}?host={socket}"
    administer("DROP DATABASE {} WITH (FORCE)")


NOBODY = Caller()
OPERATOR = Caller(owner="key:operator", is_operator=True)


def result(run_id: str, **fields: object) -> RunResult:
    values: dict[str, object] = {
        "id": run_id,
        "language": "python",
        "status": Status.OK,
        "output": "",
        "error": "",
        "exit_code": 0,
    }
    return RunResult(**(values | fields))  # type: ignore[arg-type]


def ids(history: History, **filters: object) -> list[str]:
    return page(history, **filters)[0]


def page(history: History, **filters: object) -> tuple[list[str], str | None]:
    """The ids of a page, and where the next one begins."""
    rows, following = history.page(filters.pop("caller", NOBODY), **filters)  # type: ignore[arg-type]
    return [row["id"] for row in rows], following


def fill(history: History, count: int, **fields: object) -> None:
    for number in range(count):
        history.add(RunRequest("python", f"print({number})"), result(f"{number:04d}", **fields))
