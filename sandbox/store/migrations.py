"""From a database as any version has left it to the tables of today, in numbered migrations.

A migration is what changed with its version. It names tables and columns as they were then and never changes again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnClause,
    Connection,
    Engine,
    Float,
    Integer,
    Text,
    column,
    delete,
    func,
    insert,
    inspect,
    select,
    table,
    update,
)

from sandbox.errors import StoreError
from sandbox.store.rows import LONG_FIELDS, TEXT_FIELDS, parted
from sandbox.store.tables import METADATA, RUNS, VERSIONS

LOCK = 5_216_047_337_410_211
"""Of the numbers that PostgreSQL can lock, any that nobody else who uses the same database will choose."""


def prepare_schema(engine: Engine) -> None:
    """Create the tables, or change those of an older version: all of it or nothing, and once, whoever else does so.

    :raises StoreError: when a newer version of this program has written the database.
    """
    with engine.connect() as connection:
        version = _version(connection)
    if version > SCHEMA_VERSION:
        raise StoreError("A newer version of this program has written the database; this one leaves it alone.")
    if version < SCHEMA_VERSION:
        with engine.begin() as connection:
            begin_alone(connection)
            _bring_up_to_date(connection)


def begin_alone(connection: Connection) -> None:
    """Begin a transaction once the others that have begun like this, in any process, have ended."""
    if connection.dialect.name == "sqlite":
        # Its driver would begin only with the first change of a row, and commit each change of a table.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        # Waiting for them, or writing all runs anew, may take longer than an answer to somebody.
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")


def _bring_up_to_date(connection: Connection) -> None:
    version = _version(connection)
    for migration in MIGRATIONS if version else ():
        if migration.version > version:
            migration.take(connection)
    METADATA.create_all(connection)
    connection.execute(delete(VERSIONS))
    connection.execute(insert(VERSIONS).values(version=SCHEMA_VERSION))


def _version(connection: Connection) -> int:
    """The version of the tables that are there; 0 when there are none.

    Without a number they are from before numbers were written down, or from a start of old that was cut short: then
    their tables and columns tell.
    """
    tables = inspect(connection)
    if tables.has_table(VERSIONS.name) and (
        number := connection.execute(select(func.max(VERSIONS.c.version))).scalar()
    ):
        return int(number)
    if not tables.has_table(RUNS.name):
        return 0
    names = tables.get_table_names()
    there = {column["name"] for name in names for column in tables.get_columns(name)} | {*names}
    return max((each.version for each in MIGRATIONS if each.adds in there), default=1)


@dataclass(frozen=True)
class Migration:
    version: int
    adds: str
    """A column, or a table, that no earlier version has."""
    take: Callable[[Connection], None]


def _part_long_text(connection: Connection) -> None:
    """Long text gets its own table, and each run the number of its bytes."""
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0")
    connection.exec_driver_sql(
        "CREATE TABLE run_rests (seq INTEGER NOT NULL PRIMARY KEY REFERENCES runs (seq) ON DELETE CASCADE, "
        "code TEXT NOT NULL, stdin TEXT NOT NULL, output TEXT NOT NULL, error TEXT NOT NULL)"
    )
    runs = table("runs", column("seq"), column("stored_bytes"), *(column(name, Text) for name in TEXT_FIELDS))
    rests = table("run_rests", column("seq"), *(column(name, Text) for name in LONG_FIELDS))
    texts = [runs.c[name] for name in TEXT_FIELDS]
    for seq in connection.execute(select(runs.c.seq)).scalars().all():
        old = connection.execute(select(*texts).where(runs.c.seq == seq)).mappings().one()
        run, rest = parted(dict(old))
        connection.execute(update(runs).where(runs.c.seq == seq).values(run))
        if rest:
            connection.execute(insert(rests).values(seq=seq, **rest))


def _gather_results(connection: Connection) -> None:
    """What is neither searched nor filtered goes into one column, and runs get an owner: nobody."""
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN owner VARCHAR(255) NOT NULL DEFAULT ''")
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN result JSON NOT NULL DEFAULT '{}'")
    gathered: tuple[ColumnClause[Any], ...] = (
        column("exit_code", Integer), column("signal", Text), column("truncated", Boolean),
        column("duration_ms", Float), column("cpu_ms", Float), column("memory_kb", Integer), column("queued_ms", Float),
    )  # fmt: skip
    runs = table("runs", column("seq", Integer), column("result", JSON), *gathered)
    for seq in connection.execute(select(runs.c.seq)).scalars().all():
        old = connection.execute(select(*gathered).where(runs.c.seq == seq)).mappings().one()
        connection.execute(update(runs).where(runs.c.seq == seq).values(result=dict(old)))
    for moved in gathered:
        connection.exec_driver_sql(f"ALTER TABLE runs DROP COLUMN {moved.name}")


def _add_keys(connection: Connection) -> None:
    """Runs are found by owner, and there are keys. Runs that are there already stay nobody's."""
    connection.exec_driver_sql("CREATE INDEX runs_of_owner ON runs (owner, seq)")
    connection.exec_driver_sql(
        "CREATE TABLE api_keys (name VARCHAR(64) NOT NULL PRIMARY KEY, hash VARCHAR(64) NOT NULL, "
        "is_operator BOOLEAN NOT NULL, runs_at_once INTEGER, cpu_seconds_per_hour FLOAT, created VARCHAR(32) NOT NULL, "
        "UNIQUE (hash))"
    )


def _let_keys_send_more_code(connection: Connection) -> None:
    """Keys get a bound of their own for the length of code."""
    connection.exec_driver_sql("ALTER TABLE api_keys ADD COLUMN max_code_characters INTEGER")


MIGRATIONS = (
    Migration(2, "stored_bytes", _part_long_text),
    Migration(3, "result", _gather_results),
    Migration(4, "api_keys", _add_keys),
    Migration(5, "max_code_characters", _let_keys_send_more_code),
)

SCHEMA_VERSION = MIGRATIONS[-1].version
"""What today's tables are. A change of them takes a migration."""
