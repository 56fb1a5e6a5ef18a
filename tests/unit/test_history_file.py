"""The history in a file of SQLite's, and what goes wrong with files."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import HistoryError
from sandbox.models import Caller, RunRequest
from sandbox.store import database as database_module
from sandbox.store.database import Database
from sandbox.store.history import History
from sandbox.store.rows import HEAD_CHARACTERS
from tests.databases import NOBODY, OPERATOR, fill, ids, page, result


def in_folder(folder: Path) -> Database:
    return Database(f"sqlite:///{folder / 'history.db'}")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = in_folder(tmp_path)
    yield database
    database.close()


@pytest.fixture
def history(database: Database) -> History:
    return History(database, limit=100)


def test_the_file_is_in_wal_mode(history: History, tmp_path: Path) -> None:
    fill(history, 1)
    connection = sqlite3.connect(tmp_path / "history.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_nobody_else_on_the_machine_can_read_it(history: History, tmp_path: Path) -> None:
    fill(history, 1)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("history.db*")}
    assert modes == dict.fromkeys(("history.db", "history.db-wal", "history.db-shm"), 0o600)


def test_one_search_over_the_largest_history_takes_bounded_cpu(database: Database, tmp_path: Path) -> None:
    """The worst for each step: full rows of one letter, and a text that nearly matches at each place of them."""
    history = History(database, limit=1000)
    text = "a" * HEAD_CHARACTERS
    for number in range(1000):
        history.add(RunRequest("python", text), result(f"{number}", output=text, error=text))
    started = time.process_time()
    found, following = page(history, text="a" * 199 + "b")
    assert time.process_time() - started < 5  # 16 s with LIKE, which compares a letter at a time
    assert found == []
    assert following is None or following.startswith("row-")


def test_the_file_does_not_grow_with_what_has_gone(database: Database, tmp_path: Path) -> None:
    history = History(database, limit=1000, max_bytes=1 << 20)
    for number in range(60):
        history.add(RunRequest("python", "x"), result(f"{number}", output="1234" * 12_800))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 8 << 20


def test_what_was_forgotten_cannot_be_found_in_the_file(history: History, tmp_path: Path) -> None:
    secret = "hunter2" * 1000
    history.add(RunRequest("python", secret), result("a", output=secret))
    history.clear(NOBODY)
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert not any(b"hunter2" in content for content in files)
    assert sum(map(len, files)) < 200_000


def test_what_was_forgotten_cannot_be_found_between_what_others_keep(history: History, tmp_path: Path) -> None:
    secret = "hunter2" * 1000
    kept = RunRequest("python", "kept", caller=Caller(owner="key:ada"))
    history.add(kept, result("a"))
    history.add(RunRequest("python", secret), result("b", output=secret))
    history.add(kept, result("c"))
    assert history.clear(NOBODY) == 1
    assert not any(b"hunter2" in path.read_bytes() for path in tmp_path.iterdir())
    assert ids(history, caller=OPERATOR) == ["c", "a"]


def test_a_damaged_file_is_an_error_with_a_sentence_and_is_left_alone(tmp_path: Path) -> None:
    damaged = b"this is no database, and somebody may still want it" * 100
    (tmp_path / "history.db").write_bytes(damaged)
    history = History(in_folder(tmp_path), limit=10)
    for use in (
        lambda: history.page(NOBODY),
        lambda: history.clear(NOBODY),
        lambda: history.get(NOBODY, "a"),
        lambda: fill(history, 1),
    ):
        with pytest.raises(HistoryError, match=r"file is damaged.*still works"):
            use()
    assert (tmp_path / "history.db").read_bytes() == damaged


def test_a_file_that_another_process_keeps_locked_is_an_error(history: History, tmp_path: Path) -> None:
    fill(history, 1)
    other = sqlite3.connect(tmp_path / "history.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HistoryError, match="locked"):
        fill(history, 1)
    assert ids(history) == ["0000"]
    other.close()


def test_a_full_disk_is_an_error_and_what_is_stored_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    prepare = database_module.prepare_sqlite

    def prepare_small(connection: sqlite3.Connection, record: object) -> None:
        prepare(connection, record)  # type: ignore[arg-type]
        connection.execute("PRAGMA max_page_count=40").close()

    monkeypatch.setattr(database_module, "prepare_sqlite", prepare_small)
    history = History(in_folder(tmp_path), limit=10)
    fill(history, 1)
    with pytest.raises(HistoryError, match="disk of the database is full"):
        history.add(RunRequest("python", "x"), result("large", output="x" * 1_000_000))
    assert ids(history) == ["0000"]


def test_a_missing_database_driver_is_an_error_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(HistoryError, match="driver"):
        History(Database("postgresql+psycopg://localhost/runs"), limit=10).page(NOBODY)


def test_a_folder_that_is_not_there_is_an_error_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="cannot be opened") as caught:
        History(in_folder(tmp_path / "missing"), limit=10).page(NOBODY)
    assert str(tmp_path) not in caught.value.message
