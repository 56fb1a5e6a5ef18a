"""Runs go into the history; when they cannot, programs run all the same, and the log says so in a line."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sandbox.errors import HistoryError
from sandbox.models import RunRequest, RunResult, Status
from sandbox.store import recorder
from sandbox.store.recorder import Recorder
from tests.conftest import serve
from tests.fakes import FakeHistory

REQUEST = RunRequest("python", "x")
RESULT = RunResult("a", "python", Status.OK, "", "", 0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.fail("This test mounts a file system, which takes root.", pytrace=False)
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_in_the_log_and_programs_run(
    real_engine: None, tmp_path: Path, small_disk: Path
) -> None:
    program = {"code": "print('x' * 200_000)"}
    with serve(tmp_path, database_url=f"sqlite:///{small_disk / 'history.db'}", pool="python:5") as server:
        for _ in range(8):
            answer = requests.post(f"{server.url}/run", json=program, timeout=60)
            assert (answer.status_code, len(answer.json()["output"])) == (200, 200_001)
        log = server.log.read_text()
    assert "Traceback" not in log
    (line,) = [line for line in log.splitlines() if "Not in the history" in line]
    assert "The disk of the history is full. Running programs still works." in line


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
    monkeypatch.setattr(recorder.time, "monotonic", lambda: 1e9)
    record(REQUEST, RESULT)
    history.problem = None
    for _ in range(2):
        record(REQUEST, RESULT)
    assert [entry.getMessage() for entry in caplog.records] == [
        "The disk is full. Not in the history since it last worked: 1 runs.",
        "The disk is full. Not in the history since it last worked: 6 runs.",
        "The history works again. Not in it: 6 runs.",
    ]


def test_a_bug_in_the_history_is_not_taken_for_its_failure() -> None:
    history = FakeHistory()
    history.problem = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        Recorder(history)(REQUEST, RESULT)  # type: ignore[arg-type]
