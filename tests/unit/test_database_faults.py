"""A database that is stopped, hangs or is cut off: everybody is told so in time, and it is found again."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from sandbox.errors import HistoryError, KeysError, StoreError
from sandbox.models import RunRequest
from sandbox.store.keys import PREFIX, Keys
from sandbox.store.recorder import Recorder
from tests.conftest import eventually
from tests.databases import NOBODY, OPERATOR, Database, fill, ids, new_database, result
from tests.postgres_server import PostgresServer, postgresql_server

BOUND_SECONDS = 2.5
"""The most that anybody waits for a database."""

BACK_SECONDS = 5.0
"""After this it has been found again."""

REQUEST = RunRequest("python", "x")


@pytest.fixture(scope="module")
def running() -> Iterator[PostgresServer]:
    with postgresql_server() as running:
        yield running


@pytest.fixture
def server(running: PostgresServer) -> Iterator[PostgresServer]:
    """Its faults end with the test."""
    yield running
    if not running.is_running:
        running.start()
    running.go_on()


@pytest.fixture
def own(server: PostgresServer) -> Iterator[Database]:
    """An empty database of that server."""
    with new_database(str(server.folder)) as url:
        database = Database("postgresql", url)
        yield database
        if not server.is_running:
            server.start()
        server.go_on()
        database.close()


def waited(use: Callable[[], object]) -> tuple[str, float]:
    """What somebody is told, and after how many seconds: a thread, since it might be never."""
    told: list[str] = []

    def ask() -> None:
        try:
            use()
            told.append("")
        except StoreError as problem:
            told.append(problem.message)

    began_at = time.monotonic()
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(4 * BOUND_SECONDS)
    return (told or ["nothing, ever"])[0], time.monotonic() - began_at


def uses(database: Database) -> dict[str, Callable[[], object]]:
    """Whatever is done with one."""
    history, keys = database.history(), Keys(database.open())
    history.page(NOBODY)
    return {
        "add": lambda: history.add(REQUEST, result(f"{time.monotonic_ns()}"[-16:])),
        "page": lambda: history.page(NOBODY),
        "get": lambda: history.get(NOBODY, "0000"),
        "artifacts": lambda: history.artifacts(NOBODY, "0000"),
        "delete": lambda: history.delete(NOBODY, "0000"),
        "find": lambda: keys.find(PREFIX + "x" * 32),
        "add key": lambda: keys.add(f"ada{time.monotonic_ns()}"),
    }


def is_back(use: Callable[[], object]) -> bool:
    return eventually(lambda: not waited(use)[0], BACK_SECONDS)


@pytest.mark.postgres
def test_whoever_needs_a_stopped_database_is_told_and_it_is_found_again(server: PostgresServer, own: Database) -> None:
    things = uses(own)
    server.stop()
    for name, use in things.items():
        told, seconds = waited(use)
        assert ("cannot be used" in told, seconds < BOUND_SECONDS) == (True, True), (name, told, seconds)
    server.start()
    assert {name: is_back(use) for name, use in things.items()} == dict.fromkeys(things, True)


@pytest.mark.postgres
def test_whoever_needs_a_hung_database_is_told_in_time_and_it_is_found_again(
    server: PostgresServer, own: Database
) -> None:
    things = uses(own)
    server.hang()
    for name, use in things.items():
        told, seconds = waited(use)
        assert ("does not answer" in told, seconds < BOUND_SECONDS) == (True, True), (name, told, seconds)
    server.go_on()
    assert {name: is_back(use) for name, use in things.items()} == dict.fromkeys(things, True)


@pytest.mark.postgres
def test_a_database_that_hangs_from_the_first_is_waited_for_no_longer(server: PostgresServer, own: Database) -> None:
    history = own.history()
    server.hang()
    told, seconds = waited(lambda: history.page(NOBODY))
    assert ("does not answer" in told, seconds < BOUND_SECONDS) == (True, True), (told, seconds)
    server.go_on()
    assert is_back(lambda: history.page(NOBODY))


@pytest.mark.postgres
@pytest.mark.parametrize("has_connections", [True, False])
def test_many_that_need_a_hung_database_at_once_are_all_told_in_time(
    server: PostgresServer, own: Database, has_connections: bool
) -> None:
    history = own.history()
    if has_connections:
        history.page(NOBODY)
    server.hang()
    told: list[tuple[str, float]] = []

    def ask() -> None:
        told.append(waited(lambda: history.get(NOBODY, "a")))

    threads = [threading.Thread(target=ask) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 64
    assert {sentence for sentence, _ in told} == {"The database does not answer. Running programs still works."}
    assert max(seconds for _, seconds in told) < BOUND_SECONDS
    # And whoever comes now does not wait at all, but for the one who looks again.
    assert sum(waited(lambda: history.get(NOBODY, "a"))[1] < 0.5 for _ in range(3)) >= 2
    server.go_on()
    assert is_back(lambda: history.page(NOBODY))


@pytest.mark.postgres
def test_every_run_is_in_the_history_or_counted_as_lost(server: PostgresServer, own: Database) -> None:
    history = own.history(limit=1000)
    record = Recorder(history)
    faults = {10: server.hang, 13: server.go_on, 30: server.stop, 35: server.start}
    done, count = 0, 0
    while done < 10:  # runs after the last fault that are in the history
        if fault := faults.get(count):
            fault()
        lost = record.lost_in_all
        record(REQUEST, result(f"{count:04d}"))
        time.sleep(0.05)
        count += 1
        done += count > 36 and lost == record.lost_in_all
        assert count < 300
    assert record.lost_in_all
    assert len(ids(history, limit=1000)) + record.lost_in_all == count


@pytest.mark.postgres
def test_whoever_waits_for_a_lock_that_somebody_keeps_is_told_in_time(own: Database) -> None:
    things = uses(own)
    engine = create_engine(own.url)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE runs, api_keys"))
        for name, use in things.items():
            told, seconds = waited(use)
            assert ("does not answer" in told, seconds < BOUND_SECONDS) == (True, True), (name, told, seconds)
    engine.dispose()
    assert {name: is_back(use) for name, use in things.items()} == dict.fromkeys(things, True)


@pytest.mark.postgres
def test_connections_that_were_cut_are_made_anew_without_anybody_noticing(own: Database) -> None:
    things = uses(own)
    own.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert {name: waited(use)[0] for name, use in things.items()} == dict.fromkeys(things, "")


@pytest.mark.postgres
def test_no_key_is_taken_for_unknown_and_none_is_let_in_while_the_database_hangs(
    server: PostgresServer, own: Database
) -> None:
    keys = Keys(own.open())
    known = keys.add("ada")
    server.hang()
    for key in (known, PREFIX + "x" * 32) * 2:
        with pytest.raises(KeysError, match=r"does not answer.*are refused"):
            keys.find(key)
    server.go_on()
    assert is_back(lambda: keys.find(known))
    found = keys.find(known)
    assert found is not None
    assert found.name == "ada"


def test_many_writes_to_a_file_that_stays_locked_are_all_told_in_time(tmp_path: Path) -> None:
    database = Database("sqlite", f"sqlite:///{tmp_path / 'history.db'}")
    history = database.history()
    fill(history, 1)
    other = sqlite3.connect(tmp_path / "history.db")
    other.execute("BEGIN IMMEDIATE")
    told: list[tuple[str, float]] = []

    def add(number: int) -> None:
        time.sleep(number / 40)
        told.append(waited(lambda: history.add(REQUEST, result(f"{number}"))))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {sentence for sentence, _ in told} == {
        "Another process keeps the database locked. Running programs still works."
    }
    assert max(seconds for _, seconds in told) < BOUND_SECONDS
    assert ids(history) == ["0000"]  # who reads does not wait for who writes
    other.close()
    assert is_back(lambda: history.add(REQUEST, result("back")))
    database.close()


@pytest.mark.postgres
def test_what_nobody_waits_for_any_more_ends_in_the_database(own: Database) -> None:
    opened = own.open()
    with opened.reading(HistoryError) as connection:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            assert connection.execute(text(f"SHOW {name}")).scalar() == "30s"


@pytest.mark.postgres
def test_forgetting_everything_may_take_longer(own: Database) -> None:
    history = own.history()
    fill(history, 3)
    own.execute(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN OLD; END'",
        "CREATE TRIGGER slowly BEFORE DELETE ON runs FOR EACH ROW EXECUTE FUNCTION slowly()",
    )
    assert history.clear(OPERATOR, everybodys=True) == 3


def test_an_address_at_which_nobody_says_anything_is_waited_for_no_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = Database("postgresql", f"postgresql+psycopg://a@127.0.0.1:{silent.getsockname()[1]}/a")
        told, seconds = waited(lambda: database.history().page(NOBODY))
    assert ("does not answer" in told, seconds < BOUND_SECONDS) == (True, True), (told, seconds)
    database.close()
