"""How often the engine is asked whether it is ready, and what others are told meanwhile."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from executor import Executor
from sandbox import readiness
from sandbox.errors import EngineUnavailable, ImageMissing, SandboxError
from sandbox.readiness import Readiness
from sandbox.settings import Settings


def test_the_engine_is_asked_once_a_second_however_many_ask_us(
    settings: Settings, real_engine: None, tmp_path: Path
) -> None:
    log, client = tmp_path / "log", tmp_path / "client"
    client.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {shutil.which(settings.docker)} "$@"\n')
    client.chmod(0o755)
    with Executor(settings.model_copy(update={"docker": str(client)})) as executor:
        log.write_text("")
        started_at = time.monotonic()
        for _ in range(50):
            executor.check_ready()
        allowed = 1 + (time.monotonic() - started_at) // readiness.REMEMBERED_SECONDS
    asked = [line for line in log.read_text().splitlines() if line.startswith("image inspect")]
    assert 1 <= len(asked) <= allowed


def test_a_problem_and_its_end_are_noticed_when_the_answer_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[SandboxError | None] = [None, ImageMissing("Gone."), None]

    def look() -> None:
        if problem := problems.pop(0):
            raise problem

    checked = Readiness(look)
    checked.check()
    checked.check()
    assert len(problems) == 2
    monkeypatch.setattr(readiness, "REMEMBERED_SECONDS", 0)
    with pytest.raises(ImageMissing):
        checked.check()
    checked.check()


def test_an_engine_that_hangs_holds_one_caller_and_not_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "REMEMBERED_SECONDS", 0)
    looking, answer = threading.Event(), threading.Event()

    def look() -> None:
        looking.set()
        assert answer.wait(10)

    checked = Readiness(look)
    with ThreadPoolExecutor(1) as first:
        waiting = first.submit(checked.check)
        assert looking.wait(5)
        with pytest.raises(EngineUnavailable):
            checked.check()
        answer.set()
        waiting.result(5)
        checked.check()
        answer.clear()
        looking.clear()
        waiting = first.submit(checked.check)
        assert looking.wait(5)
        checked.check()  # as it was before
        answer.set()
        waiting.result(5)
