"""Databases that older versions have written keep their runs; those of newer ones are left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from sandbox.errors import HistoryError
from sandbox.models import Caller, RunRequest
from sandbox.store.keys import Keys, hash_of
from sandbox.store.rows import HEAD_CHARACTERS
from tests.conftest import ROOT
from tests.databases import NOBODY, Database, fill, ids, result

VERSION_1 = """
CREATE TABLE history_version (version INTEGER NOT NULL, PRIMARY KEY (version));
INSERT INTO history_version VALUES (1);
CREATE TABLE runs (
    seq {SERIAL}, id VARCHAR(32) NOT NULL, timestamp VARCHAR(32) NOT NULL,
    kind VARCHAR(8) NOT NULL, language VARCHAR(32) NOT NULL, code TEXT NOT NULL, entry TEXT NOT NULL,
    archive TEXT NOT NULL, args TEXT NOT NULL, stdin TEXT NOT NULL, output TEXT NOT NULL, error TEXT NOT NULL,
    exit_code INTEGER NOT NULL, status VARCHAR(16) NOT NULL, signal VARCHAR(16), truncated BOOLEAN NOT NULL,
    duration_ms FLOAT NOT NULL, cpu_ms FLOAT, memory_kb INTEGER, queued_ms FLOAT NOT NULL, UNIQUE (id)
)
"""
SERIAL = {
    "sqlite": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
    "postgresql": "SERIAL NOT NULL PRIMARY KEY",
}
ROUNDS = 10
OUTPUTS = ["short", "é" * 300_000, "x" * HEAD_CHARACTERS, "é" * 300_000]


def write_version_1(database: Database) -> None:
    """A database as version 1 has made it, with a run for each of the outputs."""
    database.execute(*VERSION_1.format(SERIAL=SERIAL[database.name]).split(";"))
    for number, output in enumerate(OUTPUTS):
        database.execute(
            "INSERT INTO runs (id, timestamp, kind, language, code, entry, archive, args, stdin, output, error, "
            "exit_code, status, signal, truncated, duration_ms, cpu_ms, memory_kb, queued_ms) VALUES (:id, "
            "'2026-01-01T00:00:00.000Z', 'code', 'python', 'print(1)', '', '', '[\"é\"]', '', :output, '', "
            "139, 'error', 'SIGSEGV', true, 1.5, NULL, NULL, 0.0)",
            id=str(number), output=output,
        )  # fmt: skip


@pytest.mark.parametrize("has_version", [True, False])
def test_a_database_of_version_1_keeps_its_runs(database: Database, has_version: bool) -> None:
    write_version_1(database)
    if not has_version:
        database.execute("DROP TABLE history_version")
    check_that_runs_were_kept(database)


def write_version_2(database: Database) -> None:
    """A database as version 2 has made it, with the same runs: long text beyond its beginning is in another table."""
    write_version_1(database)
    database.execute(
        "UPDATE history_version SET version = 2",
        "ALTER TABLE runs ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE run_rests (seq INTEGER NOT NULL, code TEXT NOT NULL, stdin TEXT NOT NULL, output TEXT NOT NULL, "
        "error TEXT NOT NULL, PRIMARY KEY (seq), FOREIGN KEY(seq) REFERENCES runs (seq) ON DELETE CASCADE)",
        "INSERT INTO run_rests SELECT seq, '', '', substr(output, 8193), '' FROM runs WHERE length(output) > 8192",
        "UPDATE runs SET stored_bytes = 600 + length(output) * CASE WHEN output LIKE 'é%' THEN 2 ELSE 1 END",
        "UPDATE runs SET output = substr(output, 1, 8192)",
    )


def test_a_database_of_version_2_keeps_its_runs(database: Database) -> None:
    write_version_2(database)
    check_that_runs_were_kept(database)


def write_version_3(database: Database) -> None:
    """A database as version 3 has made it: runs could have owners, and nobody was one."""
    write_version_2(database)
    gathered = ["exit_code", "signal", "truncated", "duration_ms", "cpu_ms", "memory_kb", "queued_ms"]
    database.execute(
        "UPDATE history_version SET version = 3",
        "ALTER TABLE runs ADD COLUMN owner VARCHAR(255) NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN result JSON NOT NULL DEFAULT '{}'",
        *(f"ALTER TABLE runs DROP COLUMN {column}" for column in gathered),
    )
    database.execute("UPDATE runs SET result = :result", result=json.dumps({name: OLD[name] for name in gathered}))


def test_a_database_of_version_3_keeps_its_runs(database: Database) -> None:
    write_version_3(database)
    check_that_runs_were_kept(database)


def write_version_4(database: Database) -> None:
    """A database as version 4 has made it: there were keys, with two bounds of their own."""
    write_version_3(database)
    database.execute(
        "UPDATE history_version SET version = 4",
        "CREATE INDEX runs_of_owner ON runs (owner, seq)",
        "CREATE TABLE api_keys (name VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL, is_operator BOOLEAN NOT NULL, "
        "runs_at_once INTEGER, cpu_seconds_per_hour FLOAT, created VARCHAR(32) NOT NULL, PRIMARY KEY (name), "
        "UNIQUE (hash))",
    )


def test_a_database_of_version_4_keeps_its_runs(database: Database) -> None:
    write_version_4(database)
    check_that_runs_were_kept(database)


def test_a_key_of_an_older_version_goes_on(database: Database) -> None:
    write_version_4(database)
    database.execute(
        "INSERT INTO api_keys VALUES ('ada', :hash, :is_operator, 3, NULL, '2026-01-01T00:00:00Z')",
        hash=hash_of("sce_" + "a" * 32),
        is_operator=False,
    )
    key = Keys(database.open()).find("sce_" + "a" * 32)
    assert key and (key.name, key.runs_at_once, key.max_code_characters) == ("ada", 3, None)


def test_what_older_versions_ran_is_nobodys(database: Database) -> None:
    write_version_1(database)
    history = database.history()
    assert ids(history, caller=Caller(owner="key:ada")) == ["3", "2", "1", "0"]
    assert ids(history, caller=Caller(owner="key:ada", sees_nobodys=False)) == []


@pytest.mark.parametrize("write", [write_version_1, write_version_2, write_version_3, write_version_4])
def test_an_older_database_ends_with_the_tables_of_a_new_one(
    new_databases: Callable[[], Database], write: Callable[[Database], None]
) -> None:
    old, new = new_databases(), new_databases()
    write(old)
    for database in (old, new):
        fill(database.history(), 1)
    assert tables_of(old) == tables_of(new)


def tables_of(database: Database) -> dict[str, set[Any]]:
    """Of each table the columns, with type and whether they may be empty, and what is unique or indexed."""
    engine = create_engine(database.url)
    inspector = inspect(engine)
    tables = {
        table: {(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)}
        | {(index["name"], *index["column_names"]) for index in inspector.get_indexes(table) if not index["unique"]}
        | {("unique", *unique["column_names"]) for unique in inspector.get_unique_constraints(table)}
        | {("key", *inspector.get_pk_constraint(table)["constrained_columns"])}
        for table in inspector.get_table_names()
    }
    engine.dispose()
    return tables


def check_that_runs_were_kept(database: Database) -> None:
    """What is there comes back as it was, and is trimmed like other runs; also at the next start."""
    history = database.history(max_bytes=1 << 20)
    assert ids(history) == ["3", "2", "1", "0"]
    rows = [history.get(NOBODY, str(number)) for number in range(4)]
    assert rows == [
        OLD | {"id": str(number), "output": output, "output_bytes": len(output.encode())}
        for number, output in enumerate(OUTPUTS)
    ]
    history.add(RunRequest("python", "x"), result("new"))
    assert ids(history) == ["new", "3", "2"]
    assert ids(database.history()) == ["new", "3", "2"]


OLD = {
    "owner": "",
    "timestamp": "2026-01-01T00:00:00.000Z",
    "kind": "code",
    "language": "python",
    "code": "print(1)",
    "entry": "",
    "archive": "",
    "args": ["é"],
    "stdin": "",
    "error": "",
    "exit_code": 139,
    "status": "error",
    "signal": "SIGSEGV",
    "truncated": True,
    "error_bytes": 0,
    "duration_ms": 1.5,
    "cpu_ms": None,
    "memory_kb": None,
    "queued_ms": 0.0,
    "runs_before": 0,
    "compile": None,
    "artifacts": [],
    "artifacts_omitted": [],
    "shortened": [],
}


def test_a_database_without_a_version_is_taken_over(database: Database) -> None:
    fill(database.history(), 2)
    database.execute("DROP TABLE history_version")
    assert ids(database.history()) == ["0001", "0000"]


def test_a_database_of_a_newer_version_is_left_alone(database: Database, tmp_path: Path) -> None:
    fill(database.history(), 2)
    database.close()
    database.execute("UPDATE history_version SET version = version + 1")
    before = {path: path.read_bytes() for path in tmp_path.glob("0.db")}
    second = database.history()
    for use in (lambda: second.page(NOBODY), lambda: second.clear(NOBODY), lambda: fill(second, 1)):
        with pytest.raises(HistoryError, match="newer version"):
            use()
    assert {path: path.read_bytes() for path in tmp_path.glob("0.db")} == before
    assert database.execute("SELECT count(*) FROM runs") == [(2,)]


STARTS = """
import sys
from sandbox.models import Caller
from sandbox.store.database import Database
from sandbox.store.history import History
print("ready", flush=True)
for url in sys.stdin:
    database = Database(url.strip())
    try:
        print(History(database, limit=10).page(Caller()), flush=True)
    except Exception as problem:
        print("failed:", problem, repr(problem.__cause__), flush=True)
    database.close()
"""


def test_four_first_starts_at_once_all_work(new_databases: Callable[[], Database]) -> None:
    databases = [new_databases() for _ in range(ROUNDS)]
    starts = [
        subprocess.Popen([sys.executable, "-c", STARTS], stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT) for _ in range(4)
    ]
    seen = [read_line(start) for start in starts]
    for database in databases:
        for start in starts:
            assert start.stdin
            start.stdin.write(f"{database.url}\n")
            start.stdin.flush()
        seen += [read_line(start) for start in starts]
    for start in starts:
        start.communicate(timeout=30)
    assert Counter(seen) == {"ready": 4, "([], None)": 4 * ROUNDS}


def read_line(start: subprocess.Popen[str]) -> str:
    assert start.stdout
    return start.stdout.readline().strip()
