"""The pool, with containers made of nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.box import pool
from sandbox.box.pool import Pool
from sandbox.engine import image
from sandbox.engine.image import ImageWatch
from sandbox.errors import EngineUnavailable
from tests.conftest import eventually

PYTHON, NODE = "python", "node"


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(image, "WATCH_SECONDS", 0.0)


class FakeContainer:
    """What the pool sees of a container."""

    def __init__(self, language: str, gate: threading.Event) -> None:
        self.language = language
        self.gate = gate
        self.living = True
        self.retired = 0
        self.started_at = time.monotonic()

    def wait_ready(self) -> None:
        self.gate.wait(10)

    def alive(self) -> bool:
        return self.living


class FakeEngine:
    """Starts fake containers. `problem` makes it fail, a cleared `gate` makes starts take for ever."""

    def __init__(self) -> None:
        self.started: list[FakeContainer] = []
        self.attempts = 0
        self.at_once = 0
        self.image = "first"
        self.problem: Exception | None = None
        self.image_problem: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.has_room = True
        self.more = 0
        self.asked_for_more: list[bool] = []

    def start(self, language: str) -> FakeContainer:
        self.attempts += 1
        if self.problem:
            raise self.problem
        self.started.append(FakeContainer(language, self.gate))
        return self.started[-1]

    def retire(self, container: FakeContainer) -> None:
        container.living = False
        container.retired += 1

    def fits(self, is_more: bool) -> bool:
        self.asked_for_more.append(is_more)
        return self.has_room

    def image_id(self) -> str:
        if self.image_problem:
            raise self.image_problem
        return self.image

    def living(self) -> list[FakeContainer]:
        return [container for container in self.started if container.living]


@pytest.fixture
def fake() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def filled(fake: FakeEngine) -> Iterator[Pool]:
    """A pool of two Python containers and one of Node, full."""
    filling = make_pool(fake, {PYTHON: 2, NODE: 1})
    assert filling.wait_full(5)
    yield filling
    fake.gate.set()
    filling.close()
    assert fake.living() == [], "a container was forgotten"
    assert all(container.retired == 1 for container in fake.started if container.retired)


def make_pool(fake: FakeEngine, sizes: dict[str, int], max_age_seconds: float = 600) -> Pool:
    made = Pool(
        start=fake.start,  # type: ignore[arg-type]
        retire=fake.retire,  # type: ignore[arg-type]
        has_room=fake.fits,
        more=lambda language: fake.more if language == PYTHON else 0,
        image=ImageWatch(fake.image_id),
        sizes=sizes,
        max_age_seconds=max_age_seconds,
    )
    made.open()
    return made


# --- With fake containers ---------------------------------------------------------------------------------


def test_it_fills_every_language_to_its_size(fake: FakeEngine, filled: Pool) -> None:
    assert filled.sizes() == {PYTHON: 2, NODE: 1}
    assert Counter(container.language for container in fake.started) == {PYTHON: 2, NODE: 1}


def test_it_begins_with_the_language_that_lacks_most(fake: FakeEngine) -> None:
    mixed = make_pool(fake, {PYTHON: 4, NODE: 2})
    assert mixed.wait_full(5)
    mixed.close()
    assert {container.language for container in fake.started[:2]} == {PYTHON, NODE}


def test_a_container_is_handed_out_once_and_replaced(fake: FakeEngine, filled: Pool) -> None:
    taken = [filled.take(NODE)]
    assert filled.wait_full(5)
    taken.append(filled.take(NODE))
    assert None not in taken
    assert taken[0] is not taken[1]
    for container in taken:
        fake.retire(container)  # type: ignore[arg-type]


def test_the_run_that_takes_a_container_has_a_head_start(fake: FakeEngine, filled: Pool) -> None:
    taken_at = time.monotonic()
    taken = filled.take(NODE)
    assert eventually(lambda: len(fake.started) == 4)
    assert pool.HEAD_START_SECONDS <= fake.started[-1].started_at - taken_at < 0.5
    fake.retire(taken)  # type: ignore[arg-type]


def test_an_empty_pool_hands_out_nothing_and_does_not_wait(fake: FakeEngine, filled: Pool) -> None:
    fake.gate.clear()
    taken = [filled.take(PYTHON), filled.take(PYTHON)]
    started = time.monotonic()
    assert filled.take(PYTHON) is None
    assert time.monotonic() - started < 0.5
    for container in taken:
        fake.retire(container)  # type: ignore[arg-type]


def test_a_language_without_a_pool_starts_cold(filled: Pool) -> None:
    assert filled.take("cobol") is None


def test_a_pool_of_size_zero_starts_nothing(fake: FakeEngine) -> None:
    off = make_pool(fake, {PYTHON: 0, NODE: 0})
    assert off.wait_full(0)
    assert off.take(PYTHON) is None
    off.close()
    assert fake.attempts == 0


def test_more_wait_for_visitors_and_go_when_nobody_is_expected(fake: FakeEngine, filled: Pool) -> None:
    fake.more = 3
    assert eventually(lambda: filled.sizes() == {PYTHON: 5, NODE: 1})
    assert filled.wanted() == {PYTHON: 5, NODE: 1}
    assert fake.asked_for_more == [False] * 3 + [True] * 3
    fake.more = 1
    assert eventually(lambda: filled.sizes() == {PYTHON: 3, NODE: 1})
    assert len(fake.living()) == 4


def test_what_visitors_are_denied_for_want_of_room_others_still_get(fake: FakeEngine, filled: Pool) -> None:
    fake.more, fake.has_room = 1, False
    assert eventually(lambda: True in fake.asked_for_more)
    fake.more, fake.has_room = 0, True
    taken = filled.take(PYTHON)
    assert eventually(lambda: filled.sizes() == {PYTHON: 2, NODE: 1}, 5)
    fake.retire(taken)  # type: ignore[arg-type]


def test_a_dead_container_is_never_handed_out(fake: FakeEngine, filled: Pool) -> None:
    dead, sound = [container for container in fake.started if container.language == PYTHON]
    dead.living = False
    taken = filled.take(PYTHON)
    assert taken in [sound, *fake.started[3:]]  # type: ignore[comparison-overlap]
    assert dead.retired == 1
    fake.retire(taken)  # type: ignore[arg-type]


def test_a_container_that_died_unnoticed_is_replaced(fake: FakeEngine, filled: Pool) -> None:
    fake.started[0].living = False
    assert eventually(lambda: fake.started[0].retired and len(fake.living()) == 3)


def test_an_aged_container_is_replaced(fake: FakeEngine) -> None:
    aging = make_pool(fake, {PYTHON: 1}, max_age_seconds=0.3)
    assert aging.wait_full(5)
    assert not fake.started[0].retired
    assert eventually(lambda: fake.started[0].retired and len(fake.living()) == 1)
    aging.close()


def test_containers_of_a_replaced_image_are_replaced(fake: FakeEngine, filled: Pool) -> None:
    fake.image = "second"
    assert eventually(lambda: all(container.retired for container in fake.started[:3]))
    assert filled.wait_full(5)
    assert len(fake.living()) == 3


def test_an_engine_that_cannot_tell_its_image_costs_no_container(fake: FakeEngine, filled: Pool) -> None:
    fake.image_problem = EngineUnavailable("away")
    time.sleep(0.3)
    assert len(fake.started) == len(fake.living()) == 3


def test_a_failing_engine_is_asked_less_and_less(fake: FakeEngine, caplog: pytest.LogCaptureFixture) -> None:
    fake.problem = EngineUnavailable("away")
    failing = make_pool(fake, {PYTHON: 4})
    with caplog.at_level(logging.WARNING):
        assert eventually(lambda: fake.attempts == 2, 5)
        time.sleep(0.5)
    assert fake.attempts == 2
    assert failing.problem() is fake.problem
    assert failing.failures == 2
    fake.problem = None
    assert failing.wait_full(10)
    assert failing.problem() is None
    failing.close()
    assert fake.living() == []


def test_while_something_waits_a_failing_engine_is_no_problem(fake: FakeEngine, filled: Pool) -> None:
    fake.problem = EngineUnavailable("away")
    taken = [filled.take(PYTHON)]
    assert eventually(lambda: fake.attempts == 4)
    assert filled.problem() is None
    taken += [filled.take(PYTHON), filled.take(NODE)]
    assert eventually(lambda: filled.problem() is fake.problem)
    for container in taken:
        fake.retire(container)  # type: ignore[arg-type]


def test_a_surprise_does_not_end_the_refilling(fake: FakeEngine, caplog: pytest.LogCaptureFixture) -> None:
    fake.problem = RuntimeError("can't start new thread")
    surprised = make_pool(fake, {PYTHON: 1})
    assert eventually(lambda: fake.attempts == 1)
    fake.problem = None
    assert surprised.wait_full(5)
    surprised.close()
    assert "can't start new thread" in caplog.text


def test_a_container_that_does_not_get_ready_is_retired(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(container: FakeContainer) -> None:
        raise EngineUnavailable("no")

    with monkeypatch.context() as patch:
        patch.setattr(FakeContainer, "wait_ready", fail)
        failing = make_pool(fake, {PYTHON: 1})
        assert eventually(lambda: fake.started and fake.started[0].retired == 1)
    assert failing.wait_full(5)
    failing.close()


def test_closing_while_a_container_starts_leaves_none(fake: FakeEngine) -> None:
    fake.gate.clear()
    starting = make_pool(fake, {PYTHON: 4})
    assert eventually(lambda: fake.started)
    closer = threading.Thread(target=starting.close)
    closer.start()
    fake.gate.set()
    closer.join(5)
    assert not closer.is_alive()
    assert len(fake.started) == 1, "it went on filling"
    assert fake.living() == []


def test_closing_does_not_wait_for_a_backoff_to_end(fake: FakeEngine) -> None:
    fake.problem = EngineUnavailable("away")
    failing = make_pool(fake, {PYTHON: 1})
    assert eventually(lambda: fake.attempts == 2)
    started = time.monotonic()
    failing.close()
    assert time.monotonic() - started < 0.4


def test_many_takers_never_get_the_same_container(fake: FakeEngine) -> None:
    busy = make_pool(fake, {PYTHON: 3})
    with ThreadPoolExecutor(16) as takers:
        taken = [container for container in takers.map(lambda _: busy.take(PYTHON), range(500)) if container]
    assert len(taken) == len(set(map(id, taken)))
    busy.close()
    for container in taken:
        fake.retire(container)  # type: ignore[arg-type]
    assert fake.living() == []
