"""Several servers over one database: they trim it together, and bring it up to date while others go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection, text

from sandbox.errors import HistoryError
from sandbox.models import RunRequest
from sandbox.store import migrations
from sandbox.store.recorder import Recorder
from tests.conftest import eventually
from tests.databases import NOBODY, OPERATOR, Database, fill, ids, result

REQUEST = RunRequest("python", "x")
SLOW_SECONDS = 6.0
DOWN_TO_4 = "ALTER TABLE api_keys DROP COLUMN max_code_characters", "UPDATE history_version SET version = 4"


@contextmanager
def aside(work: Callable[[], object]) -> Iterator[None]:
    """Done by a thread meanwhile; what it raises is raised when both have ended."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    if problems:
        raise problems[0]


def test_servers_that_trim_at_once_lose_nothing_and_keep_the_newest(database: Database) -> None:
    histories = [database.history(limit=20, max_bytes=400_000) for _ in range(4)]

    def add_many(number: int) -> None:
        for count in range(40):
            histories[number].add(REQUEST, result(f"{number}-{count}", output="x" * 10_000))

    with aside(lambda: add_many(0)), aside(lambda: add_many(1)), aside(lambda: add_many(2)):
        add_many(3)
    fill(histories[0], 20)  # by now nobody else is in the way
    assert ids(histories[1]) == [f"{number:04d}" for number in reversed(range(20))]
    assert len(database.execute("SELECT seq FROM runs")) <= 22
    assert database.execute("SELECT seq FROM run_rests WHERE seq NOT IN (SELECT seq FROM runs)") == []


def test_bytes_that_other_servers_add_count(database: Database) -> None:
    histories = [database.history(limit=1000, max_bytes=1 << 20) for _ in range(2)]
    for count in range(60):
        histories[count % 2].add(REQUEST, result(f"{count}", output="x" * 50_000))
        ((stored,),) = database.execute("SELECT sum(stored_bytes) FROM runs")
        assert stored <= (1 << 20) * 18 // 16


@pytest.mark.postgres
@pytest.mark.parametrize("new_databases", ["postgresql"], indirect=True)
def test_one_that_trims_and_one_that_forgets_do_not_lock_each_other_out(database: Database) -> None:
    """Who forgets all takes the rows as they lie, here the newest first; who trims takes the oldest first."""
    history = database.history(limit=1900)
    history.page(NOBODY)
    database.execute(
        "INSERT INTO runs (seq, id, timestamp, kind, language, status, code, entry, archive, args, stdin, output, "
        "error, result) SELECT number, number::text, '', 'code', 'python', 'ok', 'x', '', '', '[]', '', '', '', '{}' "
        "FROM generate_series(2000, 1, -1) number",
        "SELECT setval('runs_seq_seq', 2000)",
        "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN OLD; END'",
        "CREATE TRIGGER linger BEFORE DELETE ON runs FOR EACH ROW WHEN (OLD.seq = 50) EXECUTE FUNCTION linger()",
        "ANALYZE runs",
    )
    other = database.history(limit=1900)
    with aside(lambda: history.clear(OPERATOR, everybodys=True)):
        assert eventually(lambda: sleeps(database))
        fill(other, 1)
    assert ids(other) == ["0000"]


def sleeps(database: Database) -> bool:
    """Whether somebody has come to the row at which it takes long."""
    return bool(database.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))


def test_a_start_waits_for_the_tables_to_be_changed(database: Database, seen: dict[str, object]) -> None:
    database.history().page(NOBODY)
    database.close()
    database.execute(*DOWN_TO_4)
    database.open().open(10 * SLOW_SECONDS)
    assert seen
    assert database.execute("SELECT version FROM history_version") == [(migrations.SCHEMA_VERSION,)]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What is seen in a migration, which takes longer than anybody waits for an answer."""
    seen: dict[str, object] = {}

    def slowly(connection: Connection) -> None:
        migrations._let_keys_send_more_code(connection)
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE runs"))  # as changing it does
            seen["bound"] = connection.execute(text("SHOW statement_timeout")).scalar()
        seen["began"] = True
        time.sleep(SLOW_SECONDS)

    last = replace(migrations.MIGRATIONS[-1], take=slowly)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS[:-1], last))
    return seen


def test_while_one_server_changes_the_tables_others_go_on_and_count_what_they_lose(
    database: Database, seen: dict[str, object]
) -> None:
    running, starting = database.history(limit=1000), database.history(limit=1000)
    record = Recorder(running)
    record(REQUEST, result("before"))
    database.execute(*DOWN_TO_4)
    with pytest.raises(HistoryError, match="does not answer"):
        starting.page(NOBODY)
    assert seen
    count, longest, in_a_row = 1, 0.0, 0
    while in_a_row < 5:  # runs that are in the history
        lost, began_at = record.lost_in_all, time.monotonic()
        record(REQUEST, result(f"{count}"))
        longest = max(longest, time.monotonic() - began_at)
        in_a_row = 0 if record.lost_in_all > lost else in_a_row + 1
        count += 1
        assert count < 500
        time.sleep(0.05)
    assert longest < 2.5
    assert 0 < record.lost_in_all < count - 1
    assert len(ids(running, limit=1000)) + record.lost_in_all == count
    assert eventually(lambda: len(ids(starting, limit=1000)) + record.lost_in_all == count)
    assert database.execute("SELECT version FROM history_version") == [(migrations.SCHEMA_VERSION,)]
    assert seen.get("bound") in (None, "0")
