"""What an executor believes of a supervisor that a program has taken over, with its containers replaced."""

from __future__ import annotations

import os
from typing import Any

import pytest

import executor
from sandbox.box.protocol import Report
from sandbox.models import Caller, RunRequest
from sandbox.settings import Settings
from tests.fakes import FakeImages


class LyingSupply:
    """Says that the program has used years."""

    images = FakeImages()

    def __init__(self, settings: Settings) -> None:
        pass

    def check(self) -> None:
        pass

    def may_keep(self, owner: str) -> bool:
        return True

    def run(self, *_: Any, **__: Any) -> tuple[Report, int]:
        return Report(wait_status=0, wall_seconds=1e12, cpu_seconds=1e12), 1

    def close(self) -> None:
        pass


def test_nobody_is_charged_with_more_time_than_there_was(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one pupil could have a whole class, behind one router, refused for ever."""
    monkeypatch.setattr(executor, "Supply", LyingSupply)
    with executor.Executor(settings) as running:
        result = running.run(RunRequest("python", "1", caller=Caller("192.0.2.1", "page:ada")))
        left = running.allowance(Caller("192.0.2.1", "page:bob")).cpu_seconds_per_hour.left
    assert result.duration_ms < 60_000
    assert result.cpu_ms is not None and result.cpu_ms < 60_000 * (os.cpu_count() or 1)
    assert left == settings.owner_cpu_seconds_per_hour


def test_what_is_true_is_left_as_it_is() -> None:
    honest = Report(wait_status=0, wall_seconds=1.0, cpu_seconds=0.9)
    assert honest.within(1.5) == honest
    assert Report(stopped="timeout", wall_seconds=2.0).within(1.0).cpu_seconds is None


def test_a_compiler_has_had_no_more_time_than_there_was_either() -> None:
    compiler = Report(wait_status=0, wall_seconds=1e12, cpu_seconds=1e12)
    before = Report(wait_status=0, before=compiler).within(1.5).before
    assert before is not None and before.wall_seconds == 1.5
