"""The tables of the history, and what becomes of a database that an older version has written.

A run is a row of `runs`: small, so that listing and searching read little. What its long fields hold beyond their
first `HEAD_CHARACTERS` is in `run_rests`, for the runs that have so much.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.pool import ConnectionPoolEntry

from sandbox.errors import HistoryError
from sandbox.store.rows import LONG_FIELDS, parted

BUSY_SECONDS = 2
"""How long a write waits for another process that writes to the same SQLite file."""

SCHEMA_VERSION = 2
"""Raise it with every change to the tables, and add the step that brings older ones there to `prepare_schema`."""

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
    # Before the texts: SQLite would read through all of them to get at it.
    Column("stored_bytes", Integer, nullable=False, server_default="0"),
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
RESTS = Table(
    "run_rests",
    METADATA,
    Column("seq", ForeignKey(RUNS.c.seq, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    *(Column(name, Text, nullable=False) for name in LONG_FIELDS),
)


def prepare_schema(engine: Engine) -> None:
    """Create the tables that are missing, and change those of an older version.

    :raises HistoryError: when a newer version of this program has written the database.
    """
    METADATA.create_all(engine)
    with engine.connect() as connection:
        version = _version(connection)
    if version > SCHEMA_VERSION:
        raise HistoryError(
            "A newer version of this program has written the history; this one leaves it alone. "
            "Running programs still works."
        )
    if version < SCHEMA_VERSION:
        with engine.begin() as connection:
            _bring_up_to_date(connection)


def _bring_up_to_date(connection: Connection) -> None:
    """All steps or none, and once, when two processes start together."""
    if connection.dialect.name == "sqlite":
        # Its driver would begin only with the first change of a row, and commit each change of a table.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    if _version(connection) < 2:
        _to_version_2(connection)
    connection.execute(delete(VERSIONS))
    connection.execute(insert(VERSIONS).values(version=SCHEMA_VERSION))


def _version(connection: Connection) -> int:
    """The version of the tables that are there. 0: created just now, or before versions were written down."""
    version: int | None = connection.execute(select(func.max(VERSIONS.c.version))).scalar()
    return version or 0


def _to_version_2(connection: Connection) -> None:
    """Long text gets its own table, and each run the number of its bytes."""
    present = {column["name"] for column in inspect(connection).get_columns(RUNS.name)}
    if RUNS.c.stored_bytes.name not in present:
        connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0")
    for seq in connection.execute(select(RUNS.c.seq).where(RUNS.c.stored_bytes == 0)).scalars().all():
        old = connection.execute(select(RUNS).where(RUNS.c.seq == seq)).mappings().one()
        run, rests = parted(dict(old))
        connection.execute(update(RUNS).where(RUNS.c.seq == seq).values(run))
        if rests:
            connection.execute(insert(RESTS).values(seq=seq, **rests))


def prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    """Set up a connection to SQLite."""
    cursor = connection.cursor()
    # WAL: readers do not wait for a writer. With it, NORMAL loses no committed run when the server dies, only,
    # perhaps, the last ones when the machine does: https://www.sqlite.org/pragma.html#pragma_synchronous
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    # What was deleted shall not stay readable in the file.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
