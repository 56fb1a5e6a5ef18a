"""Runs go into the history; when they cannot, programs run all the same, and the log says so in a line."""

from __future__ import annotations

import logging

import pytest

from sandbox.errors import HistoryError
from sandbox.models import RunRequest, RunResult, Status
from sandbox.store import recorder
from sandbox.store.recorder import Recorder
from tests.fakes import FakeHistory

REQUEST = RunRequest("python", "x")
RESULT = RunResult("a", "python", Status.OK, "", "", 0)


def test_failures_are_counted_and_told_once_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    history = FakeHistory()
    record = Recorder(history)  # type: ignore[arg-type]
    record(REQUEST, RESULT)
    history.problem = HistoryError("The disk is full.")
    for _ in range(5):
        record(REQUEST, RESULT)
    monkeypatch.setattr(recorder.time, "monotonic", lambda: 1e9)  # type: ignore[attr-defined]
    record(REQUEST, RESULT)
    history.problem = None
    for _ in range(2):
        record(REQUEST, RESULT)
    assert record.lost_in_all == 6
    assert [entry.getMessage() for entry in caplog.records] == [
        "The disk is full. Running programs still works. Not in the history since it last worked: 1 runs.",
        "The disk is full. Running programs still works. Not in the history since it last worked: 6 runs.",
        "The history works again. Not in it: 6 runs.",
    ]


def test_a_bug_in_the_history_is_not_taken_for_its_failure() -> None:
    history = FakeHistory()
    history.problem = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        Recorder(history)(REQUEST, RESULT)  # type: ignore[arg-type]
