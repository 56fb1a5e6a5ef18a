"""What callers are told while the engine is being asked whether it is ready."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox import readiness
from sandbox.errors import EngineUnavailable, ImageMissing, SandboxError
from sandbox.readiness import Readiness


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
