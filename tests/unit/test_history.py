"""The history on each kind of database: newest first, bounded, whole again on request, and never in the way."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.errors import NotFound
from sandbox.models import Archive, Caller, RunRequest, RunResult, Status
from sandbox.store import history as history_module
from sandbox.store.history import History
from sandbox.store.rows import HEAD_CHARACTERS, SHORT_CHARACTERS, to_row
from sandbox.store.tables import RUNS
from tests.databases import NOBODY, OPERATOR, Database, fill, ids, page, result


@pytest.fixture
def history(database: Database) -> History:
    return database.history()


def test_a_run_comes_back_as_it_was(history: History) -> None:
    request = RunRequest("node", "console.log('<b>é🎉</b>')\n", args=("-x", ""), stdin="in\r\nput")
    history.add(
        request,
        result(
            "a",
            language="node",
            status=Status.ERROR,
            output="<script>\n",
            error="Error: é",
            exit_code=139,
            signal="SIGSEGV",
            truncated=True,
            duration_ms=12.5,
            cpu_ms=3.25,
            memory_kb=4096,
            queued_ms=0.5,
        ),
    )
    row = history.get(NOBODY, "a")
    assert row is not None
    assert row.pop("timestamp").endswith("Z")
    assert row == {
        "id": "a",
        "owner": "",
        "kind": "code",
        "language": "node",
        "code": request.code,
        "entry": "",
        "archive": "",
        "args": ["-x", ""],
        "stdin": "in\r\nput",
        "output": "<script>\n",
        "error": "Error: é",
        "exit_code": 139,
        "status": "error",
        "signal": "SIGSEGV",
        "truncated": True,
        "output_bytes": 0,
        "error_bytes": 0,
        "shortened": [],
        "duration_ms": 12.5,
        "cpu_ms": 3.25,
        "memory_kb": 4096,
        "queued_ms": 0.5,
        "runs_before": 0,
        "compile": None,
        "artifacts": [],
        "artifacts_omitted": [],
    }


def test_values_have_the_types_of_their_columns() -> None:
    """SQLite would take others; PostgreSQL refuses a bool for a whole number, for one."""
    row = to_row(RunRequest("python", "x"), result("a", truncated=True, cpu_ms=1.5, memory_kb=1), 1000)
    assert type(row.pop("result")) is dict
    assert {name: type(value) for name, value in row.items() if value is not None} == {
        column.name: column.type.python_type for column in RUNS.c if row.get(column.name) is not None
    }


def test_an_archive_is_remembered_by_name_and_entry(history: History) -> None:
    archive = Archive(b"PK", ("main.py",), 10, name="project.zip")
    history.add(RunRequest("python", archive=archive, entry="main.py"), result("a"))
    row = history.get(NOBODY, "a")
    assert row is not None
    assert (row["kind"], row["archive"], row["entry"], row["code"]) == ("zip", "project.zip", "main.py", "")


def test_fields_come_in_their_order(history: History) -> None:
    """One run: text where it belongs. A listing: long text last."""
    fill(history, 1)
    row = history.get(NOBODY, "0000")
    (listed,) = history.page(NOBODY)[0]
    run = "id timestamp owner kind language {} entry archive args {} exit_code status signal truncated "
    run += "output_bytes error_bytes duration_ms cpu_ms memory_kb queued_ms runs_before compile artifacts "
    run += "artifacts_omitted {} shortened"
    assert " ".join(row or ()).split() == run.format("code", "stdin output error", "").split()
    assert list(listed) == run.format("", "", "code stdin output error").split()


def test_a_new_field_of_results_needs_no_column(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    to_json = RunResult.to_json
    monkeypatch.setattr(RunResult, "to_json", lambda result: to_json(result) | {"runs_before": 7})
    fill(history, 1)
    row = history.get(NOBODY, "0000")
    assert row and row["runs_before"] == history.page(NOBODY)[0][0]["runs_before"] == 7


def test_runs_are_nobodys(database: Database) -> None:
    fill(database.history(), 1)
    assert database.execute("SELECT owner FROM runs") == [("",)]


def test_the_newest_run_comes_first(history: History) -> None:
    fill(history, 3)
    assert ids(history) == ["0002", "0001", "0000"]


def test_pages_follow_each_other_without_gap_or_overlap(history: History) -> None:
    fill(history, 25)
    seen: list[str] = []
    before: str | None = ""
    while before is not None:
        shown, before = page(history, limit=10, before=before)
        seen += shown
        history.add(RunRequest("python", "new"), result(f"new{len(seen)}"))
    assert seen == [f"{number:04d}" for number in reversed(range(25))]


def test_a_page_that_ends_with_the_last_run_is_the_last(history: History) -> None:
    fill(history, 4)
    assert page(history, limit=2, before="0002") == (["0001", "0000"], None)
    assert page(history, limit=1, before="0001") == (["0000"], None)


def test_the_next_page_is_found_when_all_of_this_one_has_been_deleted(history: History) -> None:
    fill(history, 5)
    shown, following = page(history, limit=2)
    for run_id in shown:
        history.delete(NOBODY, run_id)
    assert following is not None
    assert ids(history, before=following) == ["0002", "0001", "0000"]


@pytest.mark.parametrize("before", ["unknown", "row-", "row--1", "row-1x", "row-" + "9" * 19, "row-1\n"])
def test_what_no_page_can_begin_at_is_refused(history: History, before: str) -> None:
    fill(history, 3)
    with pytest.raises(NotFound, match="before"):
        ids(history, before=before)


@pytest.mark.parametrize("limit", [0, -1])
def test_no_rows_are_listed_when_none_are_asked_for(history: History, limit: int) -> None:
    fill(history, 3)
    assert ids(history, limit=limit) == []


@pytest.mark.parametrize(("length", "shortened"), [(1999, []), (2000, []), (2001, ["output"])])
def test_a_listing_cuts_long_fields_and_says_so(history: History, length: int, shortened: list[str]) -> None:
    history.add(RunRequest("python", "x"), result("a", output="é" * length))
    (row,) = history.page(NOBODY)[0]
    assert (len(row["output"]), row["shortened"]) == (min(length, SHORT_CHARACTERS), shortened)
    whole = history.get(NOBODY, "a")
    assert whole is not None
    assert (len(whole["output"]), whole["shortened"]) == (length, [])


def test_text_is_found_in_code_output_and_error_in_any_case(history: History) -> None:
    history.add(RunRequest("python", "print('Needle')"), result("code"))
    history.add(RunRequest("python", "x"), result("output", output="needle"))
    history.add(RunRequest("python", "x"), result("error", error="NEEDLE"))
    history.add(RunRequest("python", "x"), result("other"))
    assert ids(history, text="needle") == ["error", "output", "code"]


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", "a%b"])
def test_wildcards_are_ordinary_characters_in_a_search(history: History, text: str) -> None:
    history.add(RunRequest("python", "x = 1"), result("without"))
    history.add(RunRequest("python", f"x = {text} y"), result("with"))
    assert ids(history, text=text) == ["with"]


def test_filters_combine(history: History) -> None:
    history.add(RunRequest("python", "x"), result("a", status=Status.TIMEOUT))
    history.add(RunRequest("node", "x"), result("b", language="node", status=Status.TIMEOUT))
    history.add(RunRequest("node", "x"), result("c", language="node"))
    assert ids(history, language="node") == ["c", "b"]
    assert ids(history, language="node", status="timeout") == ["b"]


@pytest.mark.parametrize("field", ["code", "output", "error"])
@pytest.mark.parametrize(("place", "found"), [(HEAD_CHARACTERS - 6, ["a"]), (HEAD_CHARACTERS - 5, [])])
def test_a_search_looks_at_the_first_8192_characters_of_a_field(
    history: History, field: str, place: int, found: list[str]
) -> None:
    text = "é" * place + "needle" + "é" * 3 * HEAD_CHARACTERS
    code, fields = (text, {}) if field == "code" else ("x", {field: text})
    history.add(RunRequest("python", code), result("a", **fields))
    assert ids(history, text="NEEDLE") == found
    whole = history.get(NOBODY, "a")
    assert whole is not None
    assert whole[field] == text


def test_a_search_that_takes_long_goes_on_with_the_next_page(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "SEARCH_SECONDS", 0)
    monkeypatch.setattr(history_module, "SCANNED_ROWS", 10)
    history.add(RunRequest("python", "needle"), result("a"))
    fill(history, 35)
    pages = [page(history, text="needle")]
    while (following := pages[-1][1]) is not None:
        pages.append(page(history, text="needle", before=following))
    assert [shown for shown, _ in pages] == [[], [], [], ["a"]]


def test_a_search_ends_when_nobody_waits_for_it(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "SCANNED_ROWS", 10)
    fill(history, 35)
    asked: list[bool] = []
    found, _ = history.page(NOBODY, text="nothing", gone=lambda: bool(asked.append(True)) or len(asked) == 2)
    assert (found, len(asked)) == ([], 2)


@pytest.mark.parametrize("count", [9, 10, 11, 200])
def test_only_the_newest_are_kept(database: Database, count: int) -> None:
    history = database.history(limit=10)
    fill(history, count)
    assert ids(history, limit=1000) == [f"{number:04d}" for number in reversed(range(max(0, count - 10), count))]
    ((stored,),) = database.execute("SELECT count(*) FROM runs")
    assert stored <= 12


def test_the_oldest_go_when_the_bytes_are_used_up(database: Database) -> None:
    history = database.history(limit=1000, max_bytes=1 << 20)
    for number in range(60):
        history.add(RunRequest("python", "x"), result(f"{number:04d}", output=f"{number:04d}" * 12_800))
        assert stored_text(database) <= 1 << 20
    kept = ids(history, limit=1000)
    assert kept == [f"{number:04d}" for number in reversed(range(60 - len(kept), 60))]
    assert 18 <= len(kept) <= 20


def test_bytes_of_earlier_servers_count(database: Database) -> None:
    for number in range(40):
        history = database.history(limit=1000, max_bytes=1 << 20)
        history.add(RunRequest("python", "x"), result(f"{number}", output="x" * 50_000))
        database.close()
    assert stored_text(database) <= 1 << 20


def test_a_run_that_is_larger_than_all_of_the_history_is_not_kept(database: Database) -> None:
    history = database.history(limit=10, max_bytes=100_000)
    fill(history, 1)
    history.add(RunRequest("python", "x"), result("large", output="x" * 100_000))
    assert ids(history) == []
    fill(history, 1)
    assert ids(history) == ["0000"]


def stored_text(database: Database) -> int:
    """Bytes of text in the database."""
    columns = {"runs": ("code", "stdin", "output", "error", "args"), "run_rests": ("code", "stdin", "output", "error")}
    length = "octet_length({})" if database.name == "postgresql" else "length(cast({} as blob))"
    total = 0
    for table, names in columns.items():
        lengths = "+".join(length.format(name) for name in names)
        total += database.execute(f"SELECT coalesce(sum({lengths}), 0) FROM {table}")[0][0]
    return total


@pytest.mark.parametrize("text", ["\ufffd" * (1 << 20), "\0" * (1 << 20), "\0\ufffdé" * (1 << 18)])
def test_output_that_is_no_text_takes_no_more_room_than_what_the_program_wrote(
    history: History, database: Database, text: str
) -> None:
    end = "\nExecution timed out after 10 seconds."
    history.add(RunRequest("python", "x"), result("a", output=text, error=text + end))
    assert stored_text(database) <= (2 << 20) + 4096
    row = history.get(NOBODY, "a")
    assert row is not None
    assert row["truncated"]
    assert "bytes not kept" in row["output"]
    assert row["error"].endswith(end)


def test_arguments_are_stored_as_they_are_sent(history: History, database: Database) -> None:
    history.add(RunRequest("python", "x", args=("🎉" * 1000,)), result("a"))
    assert stored_text(database) < 4100


def test_a_run_is_stored_as_its_owners(history: History, database: Database) -> None:
    history.add(RunRequest("python", "x", caller=Caller("127.0.0.1", owner="key:ann")), result("a"))
    history.add(RunRequest("python", "x"), result("b"))
    assert [row.owner for row in database.execute("SELECT owner FROM runs ORDER BY seq")] == ["key:ann", ""]
    assert [row["owner"] for row in history.page(OPERATOR)[0]] == ["", "key:ann"]


def test_a_limit_of_zero_stores_nothing(database: Database) -> None:
    history = database.history(limit=0)
    fill(history, 1)
    assert ids(history) == []


def test_it_survives_a_restart(database: Database) -> None:
    fill(database.history(limit=10), 2)
    database.close()
    assert ids(database.history(limit=10)) == ["0001", "0000"]


def test_runs_can_be_forgotten_one_by_one_and_all_at_once(history: History) -> None:
    fill(history, 3)
    assert history.delete(NOBODY, "0001")
    assert not history.delete(NOBODY, "0001")
    assert history.get(NOBODY, "0001") is None
    assert history.clear(NOBODY) == 2
    assert ids(history) == []


def test_a_forgotten_run_does_not_disturb_paging(history: History) -> None:
    fill(history, 2)
    history.delete(NOBODY, "0001")
    history.add(RunRequest("python", "x"), result("next"))
    assert ids(history, before="next") == ["0000"]


def test_many_threads_may_write_at_once(history: History) -> None:
    def write(thread: int) -> None:
        for number in range(10):
            history.add(RunRequest("python", "x"), result(f"{thread}-{number}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids(history, limit=100))) == 80


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec=None)))
def test_any_text_can_be_stored_and_comes_back(history: History, text: str) -> None:
    history.clear(NOBODY)
    history.add(RunRequest("python", text), result("a", output=text))
    row = history.get(NOBODY, "a")
    assert row is not None
    expected = text.replace("\0", "␀").encode(errors="replace").decode()
    assert (row["code"], row["output"]) == (expected, expected)
