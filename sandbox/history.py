"""What has been run: a table in a database, SQLite unless told otherwise. Knows nothing of containers or HTTP.

Text is kept as it came, except that NUL becomes U+2400 and a lone surrogate a question mark: PostgreSQL stores
neither, and SQLite measures and cuts text at the first NUL. The time of a run is when it was asked for: now, less
what it and its wait in the queue took.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from sandbox.errors import NotFound, SandboxError
from sandbox.models import RunRequest, RunResult

SHORT_CHARACTERS = 2000
"""How much of a long field a listing shows."""

LONG_FIELDS = ("code", "stdin", "output", "error")

RETENTION_SLACK = 50
"""Old runs are deleted this many at a time, so that most runs pay nothing for it."""

BUSY_SECONDS = 2
"""How long a write waits for another process that writes to the same SQLite file."""

CURSOR_PREFIX = "row-"
CURSOR = re.compile(CURSOR_PREFIX + "([0-9]{1,18})")
"""Where a page of a listing ended: no run's id, and good also when that run has been deleted."""

SCHEMA_VERSION = 1
"""Raise it with every change to the tables, and say in `_prepare_schema` what becomes of older ones."""

METADATA = MetaData()
VERSIONS = Table("history_version", METADATA, Column("version", Integer, primary_key=True, autoincrement=False))
RUNS = Table(
    "runs",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("timestamp", String(32), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("language", String(32), nullable=False),
    Column("code", Text, nullable=False),
    Column("entry", Text, nullable=False),
    Column("archive", Text, nullable=False),
    Column("args", Text, nullable=False),
    Column("stdin", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("exit_code", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("signal", String(16)),
    Column("truncated", Boolean, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("cpu_ms", Float),
    Column("memory_kb", Integer),
    Column("queued_ms", Float, nullable=False),
    # SQLite would otherwise give the number of a deleted last row again, and paging goes by it.
    sqlite_autoincrement=True,
)

ADD_RUN = insert(RUNS)
"""Made once, with the values as parameters: SQLAlchemy then finds its SQL by identity and need not build it again."""


class HistoryError(SandboxError):
    """The store cannot be read or written; programs can still be run."""

    code = "history_unavailable"


SQLITE_PROBLEMS = {
    sqlite3.SQLITE_NOTADB: "The history's file is damaged; moved away, a new one takes its place.",
    sqlite3.SQLITE_CORRUPT: "The history's file is damaged; moved away, a new one takes its place.",
    sqlite3.SQLITE_BUSY: "Another process keeps the history locked.",
    sqlite3.SQLITE_FULL: "The disk of the history is full.",
    sqlite3.SQLITE_READONLY: "The history's file may not be written.",
    sqlite3.SQLITE_CANTOPEN: "The history's file cannot be opened.",
}
"""By primary result code: https://www.sqlite.org/rescode.html"""


class History:
    """The store. Thread-safe; connects at first use."""

    def __init__(self, url: str, limit: int) -> None:
        """`url` is SQLAlchemy's; `limit` is the number of runs kept, 0 for none."""
        self._url = url
        self._limit = limit
        self._since_trim = RETENTION_SLACK
        self._connecting = threading.Lock()
        self._engine: Engine | None = None

    def _connected(self) -> Engine:
        with self._connecting:
            if self._engine is None:
                engine = create_engine(self._url, pool_pre_ping=not self._url.startswith("sqlite"))
                if engine.dialect.name == "sqlite":
                    event.listen(engine, "connect", _prepare_sqlite)
                try:
                    _prepare_schema(engine)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def add(self, request: RunRequest, result: RunResult) -> None:
        """Store one finished run.

        :raises HistoryError: when that was not possible.
        """
        if not self._limit:
            return
        with _translated(), self._connected().begin() as connection:
            connection.execute(ADD_RUN, _to_row(request, result))
            self._since_trim += 1
            if self._since_trim > min(RETENTION_SLACK, self._limit // 10):
                self._since_trim = 0
                self._trim(connection)

    def _trim(self, connection: Connection) -> None:
        """Keep the newest `limit` rows. Numbers may have gaps, so the oldest kept one is looked up."""
        newest_first = select(RUNS.c.seq).order_by(RUNS.c.seq.desc())
        oldest = connection.execute(newest_first.offset(self._limit - 1).limit(1)).scalar()
        if oldest is not None:
            connection.execute(delete(RUNS).where(RUNS.c.seq < oldest))

    def page(
        self,
        *,
        limit: int = 50,
        before: str = "",
        text: str = "",
        language: str = "",
        status: str = "",
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Runs, newest first, with long fields cut to their first 2000 characters and named in `shortened`.

        With them comes what to give as `before` for the older ones, None when there are none. That holds also when
        runs are deleted meanwhile. `before` may be the id of a run, too. `text` is looked for in code, output,
        error, entry and archive name, in any case (SQLite: of ASCII letters).

        :raises HistoryError: when the store cannot be read.
        :raises NotFound: when `before` is neither, or the run of that id is not there.
        """
        conditions = list(_conditions(text, language, status))
        columns: list[ColumnElement[Any]] = [column for column in RUNS.c if column.name not in LONG_FIELDS]
        # One character more than is shown tells whether there is more; length() would read the field again.
        columns += [func.substr(RUNS.c[name], 1, SHORT_CHARACTERS + 1).label(name) for name in LONG_FIELDS]
        # A negative LIMIT means none at all to SQLite.
        wanted = max(0, min(limit, self._limit))
        with _translated(), self._connected().connect() as connection:
            if before:
                conditions.append(RUNS.c.seq < _position(connection, before))
            query = select(*columns).where(*conditions).order_by(RUNS.c.seq.desc()).limit(wanted + 1)
            rows = connection.execute(query).mappings().all()
        shown = rows[:wanted]
        following = f"{CURSOR_PREFIX}{shown[-1]['seq']}" if shown and len(rows) > wanted else None
        return [_shortened(_to_json(row)) for row in shown], following

    def get(self, run_id: str) -> dict[str, Any] | None:
        """One run, whole; None when it is not there.

        :raises HistoryError: when the store cannot be read.
        """
        with _translated(), self._connected().connect() as connection:
            row = connection.execute(select(RUNS).where(RUNS.c.id == run_id)).mappings().first()
        return None if row is None else _to_json(row)

    def delete(self, run_id: str) -> bool:
        """Forget one run; False when it was not there.

        :raises HistoryError: when the store cannot be written.
        """
        with _translated(), self._connected().begin() as connection:
            return connection.execute(delete(RUNS).where(RUNS.c.id == run_id)).rowcount > 0

    def clear(self) -> int:
        """Forget all runs, and give their room back; how many there were.

        :raises HistoryError: when the store cannot be written.
        """
        with _translated():
            with self._connected().begin() as connection:
                count = connection.execute(delete(RUNS)).rowcount
            if self._connected().dialect.name == "sqlite":
                with self._connected().connect() as connection:
                    connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def close(self) -> None:
        """Close every connection; the next use opens new ones."""
        if self._engine is not None:
            self._engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError, ImportError) as problem:
        raise HistoryError(f"{_sentence(problem)} Running programs still works.") from problem


def _sentence(problem: Exception) -> str:
    """What is wrong and can be told to anybody: no path, no SQL."""
    if isinstance(problem, ImportError):
        return "The Python driver for the history's database is not installed."
    code = getattr(problem.orig, "sqlite_errorcode", 0) if isinstance(problem, DBAPIError) else 0
    return SQLITE_PROBLEMS.get(code & 0xFF, "The history cannot be used at the moment.")


def _prepare_schema(engine: Engine) -> None:
    """Create the tables that are missing.

    :raises HistoryError: when a newer version of this program has written the database.
    """
    METADATA.create_all(engine)
    with engine.begin() as connection:
        version = connection.execute(select(func.max(VERSIONS.c.version))).scalar()
        if version is None:
            connection.execute(insert(VERSIONS).values(version=SCHEMA_VERSION))
        elif version > SCHEMA_VERSION:
            raise HistoryError(
                "A newer version of this program has written the history; this one leaves it alone. "
                "Running programs still works."
            )


def _prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    # WAL: readers do not wait for a writer. With it, NORMAL loses no committed run when the server dies, only,
    # perhaps, the last ones when the machine does: https://www.sqlite.org/pragma.html#pragma_synchronous
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    # What was deleted shall not stay readable in the file.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _position(connection: Connection, before: str) -> int:
    """The number of the row that a cursor or a run's id names."""
    if match := CURSOR.fullmatch(before):
        return int(match[1])
    position = connection.execute(select(RUNS.c.seq).where(RUNS.c.id == before)).scalar()
    if position is None:
        raise NotFound("before: no run of that id is in the history.")
    return int(position)


def _conditions(text: str, language: str, status: str) -> Iterator[ColumnElement[bool]]:
    if text:
        searched = (RUNS.c.code, RUNS.c.output, RUNS.c.error, RUNS.c.entry, RUNS.c.archive)
        yield or_(*(column.icontains(_storable(text), autoescape=True) for column in searched))
    if language:
        yield RUNS.c.language == language
    if status:
        yield RUNS.c.status == status


def _to_row(request: RunRequest, result: RunResult) -> dict[str, Any]:
    started = datetime.now(UTC) - timedelta(milliseconds=result.duration_ms + result.queued_ms)
    archive = request.archive
    return result.to_json() | {
        "timestamp": started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "kind": "zip" if archive else "code",
        "code": _storable(request.code),
        "entry": _storable(request.entry),
        "archive": _storable(archive.name) if archive else "",
        "args": json.dumps(request.args),
        "stdin": _storable(request.stdin),
        "output": _storable(result.output),
        "error": _storable(result.error),
    }


def _storable(text: str) -> str:
    return text.replace("\0", "␀").encode("utf-8", errors="replace").decode()


def _to_json(row: RowMapping) -> dict[str, Any]:
    fields = {name: value for name, value in row.items() if name != "seq"}
    return fields | {"args": json.loads(fields["args"]), "shortened": []}


def _shortened(fields: dict[str, Any]) -> dict[str, Any]:
    for name in LONG_FIELDS:
        if len(fields[name]) > SHORT_CHARACTERS:
            fields[name] = fields[name][:SHORT_CHARACTERS]
            fields["shortened"].append(name)
    return fields
