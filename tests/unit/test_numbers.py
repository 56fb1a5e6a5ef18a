"""What is counted of containers, where nothing else shows it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sandbox.box.budget import Budget
from sandbox.box.container import Container
from sandbox.box.lease import REASONS, Leases, Wanted
from sandbox.engine.image import ImageWatch
from sandbox.settings import Settings

ADA = Wanted("key:ada", "python", Settings().limits)


class UsedContainer(Container):
    """None at all: what leases look at."""

    def __init__(self) -> None:
        self.started_at = time.monotonic()
        self.runs = 1
        self.is_reusable = True
        self.is_ready = True
        self.leftover = ""

    def hear(self) -> bool:
        return True


@pytest.fixture
def leases() -> Leases:
    bounds: dict[str, Any] = {"max_runs": 9, "max_age_seconds": 60, "max_idle_seconds": 60}
    return Leases(retire=lambda _: None, budget=Budget(1000), image=ImageWatch(lambda: "one"), **bounds)


def test_who_finds_nothing_kept_is_a_miss(leases: Leases) -> None:
    leases.take(ADA)
    leases.keep(ADA, UsedContainer())
    assert leases.take(ADA)
    assert leases.misses == 1


def test_a_container_that_was_used_again_too_early_counts_by_what_was_left_in_it(leases: Leases) -> None:
    """Its run has not begun, and goes to another container; this one comes back with what it has said meanwhile."""
    container = UsedContainer()
    container.is_reusable, container.leftover = False, "files"
    assert not leases.keep(ADA, container)
    assert leases.ended == {"files": 1}
    assert set(leases.ended) <= set(REASONS)
