"""Kept containers, with fakes in their place: who gets them, how long they are kept, and that none is lost."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from sandbox.box import lease
from sandbox.box.budget import IDLE_MB, Budget
from sandbox.box.container import Container
from sandbox.box.lease import Leases, Wanted
from sandbox.engine.image import ImageWatch
from sandbox.errors import SandboxError
from sandbox.settings import Settings
from tests.conftest import eventually

LIMITS = Settings().limits
ADA, BOB = Wanted("key:ada", "python", LIMITS), Wanted("key:bob", "python", LIMITS)


class FakeContainer(Container):
    """What leases see of a container."""

    numbers = itertools.count()

    def __init__(self) -> None:  # without a client
        self.number = next(self.numbers)
        self.started_at = time.monotonic()
        self.runs = 1
        self.is_reusable = True
        self.is_ready = True
        self.leftover = ""
        self.living = True
        self.retired = 0

    def hear(self) -> bool:
        return self.living and not self.leftover


class House:
    """Leases with everything they need."""

    def __init__(self, *, room: int = 100, **limits: float) -> None:
        self.image = "one"
        self.watch = ImageWatch(lambda: self.image)
        self.budget = Budget(IDLE_MB * room)
        bounds: dict[str, Any] = {"max_runs": 100, "max_age_seconds": 600.0, "max_idle_seconds": 60.0} | limits
        self.leases = Leases(retire=self.retire, budget=self.budget, image=self.watch, **bounds)

    def retire(self, container: Container) -> None:
        assert isinstance(container, FakeContainer)
        container.retired += 1
        self.budget.release(container)

    def keep(self, wanted: Wanted = ADA, container: FakeContainer | None = None) -> FakeContainer:
        container = container or FakeContainer()
        assert self.leases.keep(wanted, container)
        return container


@pytest.fixture
def house() -> House:
    return House()


def test_a_kept_container_is_its_owners_and_handed_out_once(house: House) -> None:
    kept = house.keep(ADA)
    assert house.leases.take(BOB) is None
    assert house.leases.take(ADA) is kept
    assert house.leases.take(ADA) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(ADA, owner=""),
        replace(ADA, owner="page:ada"),
        replace(ADA, language="node"),
        replace(ADA, limits=replace(LIMITS, memory_mb=64)),
        replace(ADA, limits=replace(LIMITS, pids=32)),
    ],
)
def test_another_owner_language_or_container_gets_another(house: House, other: Wanted) -> None:
    house.keep(ADA)
    assert house.leases.take(other) is None


def test_limits_that_an_order_carries_make_no_difference(house: House) -> None:
    kept = house.keep(ADA)
    assert house.leases.take(replace(ADA, limits=replace(LIMITS, timeout_seconds=1, output_bytes=1))) is kept


def test_the_nth_run_at_once_takes_the_nth_container(house: House) -> None:
    kept = {house.keep() for _ in range(3)}
    assert {house.leases.take(ADA) for _ in range(3)} == kept


def test_one_that_is_ready_comes_before_one_that_is_not(house: House) -> None:
    first, ready, last = house.keep(), house.keep(), house.keep()
    first.is_ready = last.is_ready = False
    assert [house.leases.take(ADA) for _ in range(3)] == [ready, first, last]


def test_of_those_that_are_ready_the_one_used_last_is_taken(house: House) -> None:
    house.keep()
    last = house.keep()
    assert house.leases.take(ADA) is last


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda container: setattr(container, "is_reusable", False), "stopped"),
        (lambda container: setattr(container, "runs", 100), "runs"),
        (lambda container: setattr(container, "started_at", time.monotonic() - 601), "age"),
    ],
)
def test_what_may_not_be_used_again_is_not_kept(
    house: House, change: Callable[[FakeContainer], None], reason: str
) -> None:
    container = FakeContainer()
    change(container)
    assert not house.leases.keep(ADA, container)
    assert house.leases.ended == {reason: 1}
    assert house.leases.count() == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda container: setattr(container, "leftover", "files"), "files"),
        (lambda container: setattr(container, "living", False), "lost"),
        (lambda container: setattr(container, "started_at", time.monotonic() - 601), "age"),
    ],
)
def test_what_turns_out_unfit_is_never_handed_out_and_goes(
    house: House, change: Callable[[FakeContainer], None], reason: str
) -> None:
    container = house.keep()
    change(container)
    assert house.leases.take(ADA) is None
    house.leases.weed()
    assert (container.retired, house.leases.ended) == (1, {reason: 1})


def test_what_nobody_uses_goes() -> None:
    house = House(max_idle_seconds=0.05)
    container = house.keep()
    house.leases.weed()
    assert container.retired == 0
    time.sleep(0.06)
    house.leases.weed()
    assert (container.retired, house.leases.ended) == (1, {"idle": 1})


def test_containers_of_a_replaced_image_go(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.engine.image.WATCH_SECONDS", 0.0)
    house.watch.check()
    kept, running = house.keep(), FakeContainer()
    house.image = "two"
    house.watch.check()
    assert house.leases.take(ADA) is None
    house.leases.weed()
    assert kept.retired == 1
    assert not house.leases.keep(ADA, running), "it was started from the old one"
    assert house.leases.take(ADA) is None
    house.keep(ADA, FakeContainer())


def test_the_one_used_least_recently_makes_room() -> None:
    house = House(room=2)
    first, second = house.keep(ADA), house.keep(BOB)
    third = house.keep(ADA)
    assert [each.retired for each in (first, second, third)] == [1, 0, 0]
    assert house.leases.make_room(IDLE_MB)
    assert [each.retired for each in (first, second, third)] == [1, 1, 0]
    assert house.leases.ended == {"room": 2}


def test_there_may_be_no_room_at_all() -> None:
    house = House(room=1)
    kept = house.keep()
    assert not house.leases.make_room(IDLE_MB * 2)
    assert kept.retired == 1


def test_the_thread_weeds_and_closing_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "CHECK_SECONDS", 0.02)
    house = House()
    house.leases.open()
    gone, there = house.keep(), house.keep()
    gone.living = False
    assert eventually(lambda: gone.retired == 1)
    house.leases.close()
    assert there.retired == 1
    late = FakeContainer()
    assert not house.leases.keep(ADA, late), "nobody would ever retire it"


def test_an_engine_that_cannot_tell_its_image_costs_no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "CHECK_SECONDS", 0.02)
    house = House()
    asked = threading.Event()

    def fail() -> str:
        asked.set()
        raise SandboxError("no engine")

    house.watch._image_id = fail
    house.leases.open()
    kept = house.keep()
    assert asked.wait(5)
    assert house.leases.take(ADA) is kept
    house.leases.close()


def test_the_thread_outlives_what_nobody_foresaw(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "CHECK_SECONDS", 0.02)
    failed = threading.Event()

    def fail() -> bool:
        failed.set()
        raise OSError("no more descriptors")

    kept = house.keep()
    monkeypatch.setattr(kept, "hear", fail)
    house.leases.open()
    assert failed.wait(5)
    monkeypatch.setattr(kept, "hear", lambda: False)
    assert eventually(lambda: kept.retired == 1)
    house.leases.close()


def test_many_takers_never_get_the_same_container(house: House) -> None:
    for _ in range(50):
        house.keep()

    def take_all(_: int) -> Iterator[object]:
        while (container := house.leases.take(ADA)) is not None:
            yield container

    with ThreadPoolExecutor(8) as workers:
        taken = list(itertools.chain(*workers.map(lambda number: list(take_all(number)), range(8))))
    assert len(taken) == len(set(taken)) == 50


# --- At random --------------------------------------------------------------------------------------------

OWNERS = [f"key:{name}" for name in ("ada", "bob", "eve")]
WANTED = st.builds(Wanted, st.sampled_from(OWNERS), st.sampled_from(["python", "node"]), st.just(LIMITS))
RUNNING_MB = 140
TOTAL_MB = RUNNING_MB * 4


class Machine(RuleBasedStateMachine):
    """Takes, returns, deaths and evictions in any order."""

    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.house = House(max_runs=5)
        self.budget = self.house.budget
        self.budget.total_mb = TOTAL_MB
        self.owners: dict[FakeContainer, Wanted] = {}
        self.in_use: set[FakeContainer] = set()
        self.idle: set[FakeContainer] = set()

    @rule(target=running, wanted=WANTED)
    def begin(self, wanted: Wanted) -> object:
        """A run: in a kept container, or in a fresh one as long as there is a place."""
        if len(self.in_use) == 4:
            return multiple()
        container = self.house.leases.take(wanted) or FakeContainer()
        assert isinstance(container, FakeContainer)
        assert container not in self.in_use, "two runs in one container"
        assert container.retired == 0, "a container that has ended"
        assert self.owners.setdefault(container, wanted) == wanted, "somebody else's container"
        self.idle.discard(container)
        self.in_use.add(container)
        self.budget.charge(container, RUNNING_MB)
        self.house.leases.make_room()
        return container

    @rule(container=consumes(running), is_reusable=st.booleans(), is_ready=st.booleans())
    def end(self, container: FakeContainer, is_reusable: bool, is_ready: bool) -> None:
        container.runs += 1
        container.is_reusable = is_reusable
        container.is_ready = is_ready
        self.in_use.remove(container)
        if self.house.leases.keep(self.owners[container], container):
            assert is_reusable and container.runs < 5
            self.idle.add(container)
        else:
            self.house.retire(container)

    @rule(data=st.data(), leftover=st.sampled_from(["", "files"]))
    def lose(self, data: st.DataObject, leftover: str) -> None:
        """A kept container dies, or finds something."""
        there = sorted((each for each in self.idle if not each.retired), key=lambda each: each.number)
        if there:
            container = data.draw(st.sampled_from(there))
            container.living = bool(leftover)
            container.leftover = leftover

    @rule(size_mb=st.sampled_from([0, IDLE_MB, RUNNING_MB]))
    def need_room(self, size_mb: int) -> None:
        self.house.leases.make_room(size_mb)

    @rule()
    def look_after(self) -> None:
        self.house.leases.weed()

    @invariant()
    def everything_is_accounted_for(self) -> None:
        assert self.budget.has_room(), "more than the budget"
        assert not any(container.retired for container in self.in_use)
        living = {container for container in self.idle if not container.retired}
        assert self.house.leases.count() == len(living), "a container was forgotten"
        assert all(container.retired <= 1 for container in self.owners)
        assert set(self.budget._charged) == living | self.in_use

    def teardown(self) -> None:
        self.house.leases.close()
        assert all(container.retired == 1 for container in self.owners if container not in self.in_use)


Machine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLeasesAtRandom = Machine.TestCase
