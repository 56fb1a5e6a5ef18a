"""The database that a URL names: whether there can be one, how a connection to it is set up, and what goes wrong."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from sandbox.errors import StoreError
from sandbox.settings import Settings, SettingsError
from sandbox.store.migrations import prepare_schema

BUSY_SECONDS = 2
"""How long a write waits for another process that writes to the same SQLite file."""

SQLITE_PROBLEMS = {
    sqlite3.SQLITE_NOTADB: "The database's file is damaged; moved away, a new one takes its place.",
    sqlite3.SQLITE_CORRUPT: "The database's file is damaged; moved away, a new one takes its place.",
    sqlite3.SQLITE_BUSY: "Another process keeps the database locked.",
    sqlite3.SQLITE_FULL: "The disk of the database is full.",
    sqlite3.SQLITE_READONLY: "The database's file may not be written.",
    sqlite3.SQLITE_CANTOPEN: "The database's file cannot be opened.",
}
"""By primary result code: https://www.sqlite.org/rescode.html"""


class Database:
    """What the history and the keys are kept in. Thread-safe; connects at first use, and then makes its tables."""

    def __init__(self, url: str) -> None:
        """`url` is SQLAlchemy's."""
        self._url = url
        self._connecting = threading.Lock()
        self._engine: Engine | None = None

    @contextmanager
    def reading(self, error: type[StoreError]) -> Iterator[Connection]:
        """A connection; what goes wrong with it is raised as `error`, in words for everybody."""
        with _translated(error), self._connected().connect() as connection:
            yield connection

    @contextmanager
    def writing(self, error: type[StoreError]) -> Iterator[Connection]:
        """The same in a transaction, which is undone when anything is raised in it."""
        with _translated(error), self._connected().begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        if self._engine is not None:
            self._engine.dispose()

    def _connected(self) -> Engine:
        with self._connecting:
            if self._engine is None:
                engine = create_engine(self._url, pool_pre_ping=not self._url.startswith("sqlite"))
                if engine.dialect.name == "sqlite":
                    event.listen(engine, "connect", prepare_sqlite)
                    _make_private(engine.url.database)
                try:
                    prepare_schema(engine)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine


def _make_private(path: str | None) -> None:
    """Make SQLite's file where there is none, for nobody but its owner; SQLite goes by it for those beside it."""
    if path and path != ":memory:" and not path.startswith("file:"):
        with contextlib.suppress(OSError):  # SQLite will say what is wrong
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


@contextmanager
def _translated(error: type[StoreError]) -> Iterator[None]:
    try:
        yield
    except (exc.SQLAlchemyError, OSError, ImportError, StoreError) as problem:
        raise error(_sentence(problem)) from problem


def _sentence(problem: Exception) -> str:
    """What is wrong and can be told to anybody: no path, no SQL."""
    if isinstance(problem, StoreError):
        return problem.message
    if isinstance(problem, ImportError):
        return "The Python driver for the database is not installed."
    code = getattr(problem.orig, "sqlite_errorcode", 0) if isinstance(problem, exc.DBAPIError) else 0
    return SQLITE_PROBLEMS.get(code & 0xFF, "The database cannot be used at the moment.")


def url_of(settings: Settings) -> str:
    """The SQLAlchemy URL of the database.

    :raises SettingsError: the setting is no URL, or names a database or a driver that is not there. It is not
        repeated, since it may hold a password.
    """
    if not settings.database_url:
        return f"sqlite:///{settings.data_dir.resolve() / 'history.db'}"
    if problem := _problem(settings.database_url):
        raise SettingsError(f"SCE_DATABASE_URL: {problem}")
    return settings.database_url


def _problem(url: str) -> str:
    try:
        make_url(url).get_dialect().import_dbapi()
    except exc.NoSuchModuleError:
        return "SQLAlchemy knows no such database or driver"
    except (exc.ArgumentError, ValueError):
        return "this is no SQLAlchemy URL, such as postgresql+psycopg://user@host/name"
    except ImportError:
        return "the Python driver for this database is not installed"
    return ""


def prepare_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """Set up a connection to SQLite."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    # WAL: readers do not wait for a writer. With it, NORMAL loses no committed run when the server dies, only,
    # perhaps, the last ones when the machine does: https://www.sqlite.org/pragma.html#pragma_synchronous
    _enter_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    # What was deleted shall not stay readable in the file.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _enter_wal(cursor: sqlite3.Cursor) -> None:
    """SQLite does not wait by itself when another process is doing the same to a new file."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
