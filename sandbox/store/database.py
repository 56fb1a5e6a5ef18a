"""The database that a URL names: whether there can be one, how a connection to it is set up, and what goes wrong."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from sandbox.errors import StoreError
from sandbox.settings import Settings, SettingsError
from sandbox.store.migrations import prepare_schema
from sandbox.store.patience import ANSWER_SECONDS, HANG_SECONDS, Patience, begin_anew, deadline, seconds_left

SQLITE_PROBLEMS = {
    sqlite3.SQLITE_NOTADB: "The database's file is damaged; moved away, a new one takes its place.",
    sqlite3.SQLITE_CORRUPT: "The database's file is damaged; moved away, a new one takes its place.",
    sqlite3.SQLITE_BUSY: "Another process keeps the database locked.",
    sqlite3.SQLITE_FULL: "The disk of the database is full.",
    sqlite3.SQLITE_READONLY: "The database's file may not be written.",
    sqlite3.SQLITE_CANTOPEN: "The database's file cannot be opened.",
}
"""By primary result code: https://www.sqlite.org/rescode.html"""

DOES_NOT_ANSWER = "The database does not answer."


class Failed(Exception):
    """A use that began then, in `time.monotonic`, has: in words for everybody."""

    def __init__(self, problem: Exception, began_at: float) -> None:
        has_waited = time.monotonic() - began_at >= HANG_SECONDS
        self.had_no_answer: bool = has_waited or (isinstance(problem, Failed) and problem.had_no_answer)
        self.reason = _sentence(problem, had_no_answer=self.had_no_answer)
        super().__init__(self.reason)


PROBLEMS = (exc.SQLAlchemyError, OSError, ImportError, StoreError, Failed)
"""What a use of it may raise that is no bug of ours."""


class Database:
    """What the history and the keys are kept in. Thread-safe; connects at first use, and then makes its tables."""

    def __init__(self, url: str, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        """`url` is SQLAlchemy's. A use takes `answer_seconds` at the most, unless it says otherwise."""
        self._url = url
        self._answer_seconds = answer_seconds
        self._reads, self._writes = Patience(), Patience()
        self._opening = threading.Lock()
        self._opened: Future[Engine] | None = None

    def open(self, seconds: float) -> None:
        """Connect, and have the tables made or changed, now and not at first use. Goes on after the seconds.

        :raises StoreError: when it cannot be used, or not yet.
        """
        with self._used(self._reads, StoreError, seconds):
            pass

    @contextmanager
    def reading(self, error: type[StoreError], seconds: float = 0) -> Iterator[Connection]:
        """A connection; what goes wrong with it is raised as `error`, in words for everybody.

        `seconds` are for what takes longer than uses do once there is one.
        """
        with self._used(self._reads, error) as engine, engine.connect() as connection:
            if seconds:
                begin_anew(seconds)
            yield connection

    @contextmanager
    def writing(self, error: type[StoreError], seconds: float = 0) -> Iterator[Connection]:
        """The same in a transaction, which is undone when anything is raised in it."""
        with self._used(self._writes, error) as engine, engine.begin() as connection:
            if seconds:
                begin_anew(seconds)
            yield connection

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        if self._opened:
            self._opened.add_done_callback(_dispose)

    @contextmanager
    def _used(self, patience: Patience, error: type[StoreError], seconds: float = 0) -> Iterator[Engine]:
        if reason := patience.what_hangs():
            raise error(reason)
        began_at = time.monotonic()
        try:
            with deadline(seconds or self._answer_seconds):
                yield self._engine()
        except PROBLEMS as problem:
            failed = Failed(problem, began_at)
            patience.failed(failed.reason, had_no_answer=failed.had_no_answer)
            raise error(failed.reason) from problem
        else:
            patience.worked()

    def _engine(self) -> Engine:
        """Opened by a thread of its own: tables of an older version may take it longer than anybody here waits."""
        with self._opening:
            if self._opened is None or (self._opened.done() and self._opened.exception()):
                self._opened = Future()
                threading.Thread(target=_open, args=(self._url, self._opened), daemon=True).start()
            opened = self._opened
        return opened.result(seconds_left())


def _open(url: str, opened: Future[Engine]) -> None:
    began_at = time.monotonic()
    try:
        opened.set_result(_open_engine(url))
    except PROBLEMS as problem:
        opened.set_exception(Failed(problem, began_at))
    except BaseException as problem:
        opened.set_exception(problem)


def _open_engine(url: str) -> Engine:
    is_file = url.startswith("sqlite")
    engine = create_engine(url, poolclass=QueuePool, pool_timeout=ANSWER_SECONDS, pool_pre_ping=not is_file)
    if is_file:
        event.listen(engine, "connect", prepare_sqlite)
        event.listen(engine, "checkout", _limit_busy)
        _make_private(engine.url.database)
    elif engine.driver == "psycopg":
        from sandbox.store import postgres  # the driver may not be there

        event.listen(engine, "do_connect", postgres.connect)
    try:
        prepare_schema(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _dispose(opened: Future[Engine]) -> None:
    if not opened.exception():
        opened.result().dispose()


def _make_private(path: str | None) -> None:
    """Make SQLite's file where there is none, for nobody but its owner; SQLite goes by it for those beside it."""
    if path and path != ":memory:" and not path.startswith("file:"):
        with contextlib.suppress(OSError):  # SQLite will say what is wrong
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _sentence(problem: Exception, *, had_no_answer: bool) -> str:
    """What is wrong and can be told to anybody: no path, no SQL."""
    if isinstance(problem, StoreError | Failed):
        return problem.reason
    if isinstance(problem, ImportError):
        return "The Python driver for the database is not installed."
    code = getattr(problem.orig, "sqlite_errorcode", 0) if isinstance(problem, exc.DBAPIError) else 0
    other = DOES_NOT_ANSWER if had_no_answer else "The database cannot be used at the moment."
    return SQLITE_PROBLEMS.get(code & 0xFF, other)


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
    _limit_busy(connection)
    cursor = connection.cursor()
    # WAL: readers do not wait for a writer. With it, NORMAL loses no committed run when the server dies, only,
    # perhaps, the last ones when the machine does: https://www.sqlite.org/pragma.html#pragma_synchronous
    _enter_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    # What was deleted shall not stay readable in the file.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _limit_busy(connection: sqlite3.Connection, *_: object) -> None:
    """Have it wait for another process that writes to the same file no longer than this thread does."""
    connection.execute(f"PRAGMA busy_timeout={int(_busy_seconds() * 1000)}").close()


def _busy_seconds() -> float:
    left = seconds_left()
    return ANSWER_SECONDS if left is None else left


def _enter_wal(cursor: sqlite3.Cursor) -> None:
    """SQLite does not wait by itself when another process is doing the same to a new file."""
    end = time.monotonic() + _busy_seconds()
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return
