"""Owners who are expected to run something soon."""

from __future__ import annotations

import pytest

from sandbox.box import visitors
from sandbox.box.visitors import Visitors


def test_an_owner_counts_once_until_he_runs_something() -> None:
    expected = Visitors(10)
    for owner in ("page:a", "page:b", "page:a"):
        expected.expect(owner)
    assert expected.count() == 2
    expected.met("page:a")
    expected.met("page:c")
    assert expected.count() == 1
    expected.clear()
    assert expected.count() == 0


def test_never_more_than_so_many_are_expected() -> None:
    expected = Visitors(3)
    for number in range(50):
        expected.expect(f"page:{number}")
    assert expected.count() == 3


def test_who_does_not_come_is_forgotten_and_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    expected = Visitors(1)
    expected.expect("page:a")
    now += visitors.STAY_SECONDS / 2
    expected.expect("page:b")
    assert expected.count() == 1
    expected.expect("page:a")
    now += visitors.STAY_SECONDS - 1
    assert expected.count() == 1, "each visit counts anew"
    now += 2
    assert expected.count() == 0
    expected.expect("page:b")
    assert expected.count() == 1
