"""Whose history it is, on each kind of database: everybody lists, reads and forgets what he may see, as if there were
nothing else."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.engine import Engine

from sandbox.errors import NotFound
from sandbox.models import Caller, RunRequest
from sandbox.store import history as history_module
from sandbox.store.history import History
from tests.databases import NOBODY, OPERATOR, Database, ids, page, result

ADA, BOB = Caller(owner="key:ada"), Caller(owner="page:0f3a")
STRICT = Caller(owner="key:ada", sees_nobodys=False)
OWNERS = ["key:ada", "page:0f3a", "key:operator", ""]


@pytest.fixture
def history(database: Database) -> History:
    """With a run for each of the owners, in their order."""
    history = database.history(limit=1000)
    add(history, *OWNERS)
    return history


def add(history: History, *owners: str) -> None:
    """A run for each; its id is its owner's, and a number."""
    for owner in owners:
        count = len(ids(history, caller=OPERATOR, limit=1000))
        history.add(RunRequest("python", "needle", caller=Caller(owner=owner)), result(f"{count}-{owner}"))


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        (ADA, ["3-", "0-key:ada"]),
        (BOB, ["3-", "1-page:0f3a"]),
        (STRICT, ["0-key:ada"]),
        (NOBODY, ["3-"]),
        (Caller(sees_nobodys=False), []),
        (OPERATOR, ["3-", "2-key:operator", "1-page:0f3a", "0-key:ada"]),
        (Caller(owner="key:op", is_operator=True, sees_nobodys=False),
         ["3-", "2-key:operator", "1-page:0f3a", "0-key:ada"]),
    ],
)  # fmt: skip
def test_everybody_sees_his_own_and_nobodys_and_an_operator_sees_all(
    history: History, caller: Caller, seen: list[str]
) -> None:
    assert ids(history, caller=caller) == seen
    assert ids(history, caller=caller, text="needle") == seen
    for run_id in ids(history, caller=OPERATOR):
        row = history.get(caller, run_id)
        assert (row is not None) == (run_id in seen)
        assert row is None or row["owner"] == run_id.split("-", 1)[1]


def test_what_one_may_not_see_he_cannot_forget(history: History) -> None:
    assert not history.delete(ADA, "1-page:0f3a")
    assert history.delete(ADA, "0-key:ada")
    assert history.delete(ADA, "3-")
    assert history.delete(OPERATOR, "1-page:0f3a")
    assert ids(history, caller=OPERATOR) == ["2-key:operator"]


@pytest.mark.parametrize(
    ("caller", "everybodys", "left"),
    [
        (ADA, False, ["2-key:operator", "1-page:0f3a"]),
        (STRICT, False, ["3-", "2-key:operator", "1-page:0f3a"]),
        (NOBODY, False, ["2-key:operator", "1-page:0f3a", "0-key:ada"]),
        (OPERATOR, False, ["1-page:0f3a", "0-key:ada"]),
        (OPERATOR, True, []),
        (ADA, True, ["2-key:operator", "1-page:0f3a"]),
        (Caller(sees_nobodys=False), True, ["3-", "2-key:operator", "1-page:0f3a", "0-key:ada"]),
    ],
)
def test_clearing_forgets_ones_own_and_nobodys_and_an_operator_can_forget_all(
    history: History, caller: Caller, everybodys: bool, left: list[str]
) -> None:
    assert history.clear(caller, everybodys=everybodys) == 4 - len(left)
    assert ids(history, caller=OPERATOR) == left


def test_a_page_cannot_begin_at_a_run_of_somebody_else(history: History) -> None:
    assert ids(history, caller=ADA, before="3-") == ["0-key:ada"]
    for stranger in (ADA, NOBODY):
        with pytest.raises(NotFound):
            ids(history, caller=stranger, before="1-page:0f3a")


def test_pages_follow_each_other_over_what_others_ran(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "SCANNED_ROWS", 3)
    add(history, *(OWNERS * 6))
    for caller in (ADA, NOBODY, OPERATOR):
        seen: list[str] = []
        before: str | None = ""
        while before is not None:
            shown, before = page(history, caller=caller, limit=2, before=before)
            assert len(shown) == 2 or before is None
            seen += shown
        assert seen == [run for run in ids(history, caller=OPERATOR, limit=100) if caller.may_see(run.split("-", 1)[1])]


def test_a_listing_reads_no_rows_of_others(history: History) -> None:
    """However many there are, it takes as many questions as there are own ones."""
    asked: list[str] = []
    add(history, *(["page:0f3a"] * 120))

    def count(*arguments: object) -> None:
        asked.append(str(arguments[2]))

    event.listen(Engine, "before_cursor_execute", count)
    assert page(history, caller=STRICT) == (["0-key:ada"], None)
    event.remove(Engine, "before_cursor_execute", count)
    assert len(asked) <= 4, asked


owners = st.sampled_from(OWNERS)
callers = st.builds(Caller, owner=owners, is_operator=st.booleans(), sees_nobodys=st.booleans())


@given(callers, st.lists(owners, max_size=8))
@hypothesis_settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_database_and_may_see_agree(database: Database, caller: Caller, owners: list[str]) -> None:
    history = database.history()
    history.clear(OPERATOR, everybodys=True)
    for number, owner in enumerate(owners):
        history.add(RunRequest("python", "x", caller=Caller(owner=owner)), result(str(number)))
    seen = [str(number) for number, owner in enumerate(owners) if caller.may_see(owner)]
    assert ids(history, caller=caller) == seen[::-1]
    assert [str(number) for number in range(len(owners)) if history.get(caller, str(number))] == seen
    assert [str(number) for number in range(len(owners)) if history.delete(caller, str(number))] == seen
