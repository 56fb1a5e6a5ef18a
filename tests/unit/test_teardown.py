"""Used containers end behind the answer: later than it, all of them, and waited for at the end."""

from __future__ import annotations

import threading
import time

import pytest

from sandbox.box.container import Container
from sandbox.box.teardown import HEAD_START_SECONDS, Teardown
from tests.conftest import eventually


class SlowContainer(Container):
    """None at all: notes when it is closed, and takes its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.name = "slow"
        self._seconds = seconds
        self.closed_at: float | None = None

    def close(self) -> None:
        time.sleep(self._seconds)
        self.closed_at = time.monotonic()


def test_a_container_is_closed_after_a_moment() -> None:
    teardown, container = Teardown(), SlowContainer()
    retired_at = time.monotonic()
    teardown.retire(container)
    assert container.closed_at is None
    assert eventually(lambda: container.closed_at)
    assert container.closed_at is not None
    assert container.closed_at - retired_at >= HEAD_START_SECONDS
    teardown.close()


def test_what_is_not_closed_yet_is_counted() -> None:
    teardown, slow, quick = Teardown(), SlowContainer(0.5), SlowContainer()
    assert teardown.count() == 0
    teardown.retire(slow)
    teardown.retire(quick)
    assert teardown.count() == 2
    assert eventually(lambda: quick.closed_at and teardown.count() == 1)
    teardown.close()
    assert teardown.count() == 0


def test_slow_ones_do_not_hold_up_the_others() -> None:
    teardown, slow, quick = Teardown(), SlowContainer(1.5), SlowContainer()
    teardown.retire(slow)
    teardown.retire(quick)
    assert eventually(lambda: quick.closed_at, 1)
    assert slow.closed_at is None
    teardown.close()


def test_the_end_waits_for_all_of_them() -> None:
    teardown, containers = Teardown(), [SlowContainer(0.2) for _ in range(10)]
    for container in containers:
        teardown.retire(container)
    teardown.close()
    assert all(container.closed_at for container in containers)


def test_without_a_thread_to_be_had_it_is_closed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    teardown, containers = Teardown(), [SlowContainer(), SlowContainer()]

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for container in containers:
            teardown.retire(container)
        assert eventually(lambda: all(container.closed_at for container in containers) and not teardown.count())
    teardown.close()
