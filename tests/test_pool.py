"""The pool: unit tests with containers made of nothing, then its promises on the real engine."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from executor import Executor
from sandbox.box import pool
from sandbox.box.container import Container
from sandbox.box.pool import Pool
from sandbox.engine.flags import container_name, run_words, waiting_words
from sandbox.engine.image import Image
from sandbox.errors import Busy, EngineUnavailable
from sandbox.languages import LANGUAGES
from sandbox.models import Caller, RunRequest, RunResult, Status
from sandbox.settings import load
from tests.conftest import containers, docker, eventually

PYTHON, NODE = "python", "node"


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

    def start(self, language: str) -> FakeContainer:
        self.attempts += 1
        if self.problem:
            raise self.problem
        self.started.append(FakeContainer(language, self.gate))
        return self.started[-1]

    def retire(self, container: FakeContainer) -> None:
        container.living = False
        container.retired += 1

    def image_id(self) -> str:
        if self.image_problem:
            raise self.image_problem
        return self.image

    def living(self) -> list[FakeContainer]:
        return [container for container in self.started if container.living]


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(pool, "IMAGE_CHECK_SECONDS", 0.0)


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
        image_id=fake.image_id,
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


def test_a_dead_container_is_never_handed_out(fake: FakeEngine, filled: Pool) -> None:
    dead, sound = [container for container in fake.started if container.language == PYTHON]
    dead.living = False
    taken = filled.take(PYTHON)
    assert taken is sound or taken not in fake.started[:3]
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


# --- On the real engine -----------------------------------------------------------------------------------


@pytest.fixture
def data_dir(real_engine: None, tmp_path: Path) -> Iterator[Path]:
    """A data folder whose servers must have left no container behind."""
    yield tmp_path / "data"
    assert containers(tmp_path / "data") == []


def hello(number: int = 0, client: str = "") -> RunRequest:
    return RunRequest(language=PYTHON, code=f"print('hello', {number})", caller=Caller(client))


def waiting(data_dir: Path) -> set[str]:
    return set(containers(data_dir))


def test_a_container_killed_while_it_waits_costs_nobody_a_run(data_dir: Path) -> None:
    with Executor(load(data_dir=data_dir, pool="python:2")) as executor:
        assert executor.wait_warm(60)
        killed = waiting(data_dir)
        docker("kill", *killed)
        assert executor.run(hello(7)).output == "hello 7\n"
        assert eventually(lambda: len(waiting(data_dir)) == 2 and not waiting(data_dir) & killed, 30)
        assert executor.wait_warm(30)


def test_a_container_may_wait_without_an_interpreter(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LANGUAGES, PYTHON, dataclasses.replace(LANGUAGES[PYTHON], waiting=None))
    with Executor(load(data_dir=data_dir, pool="python:1")) as executor:
        assert executor.wait_warm(60)
        waits = waiting(data_dir)
        assert len(docker("top", *waits).splitlines()) == 2, "a head line, and the supervisor"
        assert executor.run(hello(9)).output == "hello 9\n"
        assert eventually(lambda: not waiting(data_dir) & waits, 30), "it was not the one that ran the program"


@pytest.mark.parametrize("has_interpreter", [True, False])
def test_a_container_that_nobody_comes_for_ends_by_itself(executor: Executor, has_interpreter: bool) -> None:
    python = LANGUAGES[PYTHON] if has_interpreter else dataclasses.replace(LANGUAGES[PYTHON], waiting=None)
    number = executor._supply.instance.new_number()
    words = run_words(
        executor._supply.options,
        executor.settings.limits,
        number=number,
        labels={},
        app_mb=1,
        waiting=waiting_words(python, 1),
    )
    container = Container(executor._supply.client, words, container_name(number))
    container.wait_ready()
    assert eventually(lambda: not container.alive(), 30)
    container.close()


def test_a_container_removed_by_an_operator_costs_nobody_a_run(data_dir: Path) -> None:
    with Executor(load(data_dir=data_dir, pool="python:1,node:1")) as executor:
        assert executor.wait_warm(60)
        docker("rm", "--force", *waiting(data_dir))
        assert executor.run(RunRequest(language=NODE, code="console.log(40 + 2)")).output == "42\n"
        assert executor.run(hello(8)).output == "hello 8\n"


def test_a_burst_of_fifty_on_a_pool_of_four_is_answered_or_refused(data_dir: Path) -> None:
    def ask(number: int) -> RunResult | Busy:
        try:
            return executor.run(hello(number, client=f"client {number % 10}"))
        except Busy as refusal:
            return refusal

    settings = load(data_dir=data_dir, pool="python:4", queue_size=30, max_concurrent_runs=4)
    with Executor(settings) as executor, ThreadPoolExecutor(50) as clients:
        assert executor.wait_warm(60)
        answers = list(clients.map(ask, range(50)))
        results = {number: answer for number, answer in enumerate(answers) if isinstance(answer, RunResult)}
        assert {number: result.output for number, result in results.items()} == {n: f"hello {n}\n" for n in results}
        assert 34 <= len(results) < 50, "4 places and 30 in the queue"
        assert executor.wait_warm(60), "the pool did not refill"
        assert executor.run(hello(51)).output == "hello 51\n"


def test_a_batch_larger_than_the_places_is_answered_in_order(data_dir: Path) -> None:
    with Executor(load(data_dir=data_dir, pool="", max_concurrent_runs=1)) as executor:
        results = executor.run_many([hello(number) for number in range(5)])
    assert [result.output for result in results] == [f"hello {number}\n" for number in range(5)]


def test_clients_that_vanish_while_queued_start_nothing(data_dir: Path) -> None:
    released: list[int] = []
    vanished = threading.Event()

    def ask(number: int) -> RunResult:
        return executor.run(hello(number), gone=vanished.is_set, on_start=lambda: released.append(number))

    settings = load(data_dir=data_dir, pool="python:1", max_concurrent_runs=1)
    with Executor(settings) as executor, ThreadPoolExecutor(9) as clients:
        running = threading.Event()
        slow = RunRequest(language=PYTHON, code="import time; time.sleep(3); print('done')")
        patient = clients.submit(executor.run, slow, on_start=running.set)
        assert running.wait(30)
        queued = [clients.submit(ask, number) for number in range(8)]
        assert eventually(lambda: executor._admission.waiting == 8)
        vanished.set()
        assert [future.result(2).status for future in queued] == [Status.CANCELLED] * 8
        assert executor._admission.waiting == 0
        assert patient.result(30).output == "done\n"
        assert released == []
        assert executor.run(hello(9)).output == "hello 9\n"


def test_a_replaced_image_replaces_the_waiting_containers(data_dir: Path) -> None:
    image = "safe-code-executor/pool-test:replaced"
    original = Image.of(load(data_dir=data_dir)).name
    docker("tag", original, image)
    try:
        with Executor(load(data_dir=data_dir, pool="python:1", image=image)) as executor:
            assert executor.wait_warm(60)
            (old,) = waiting(data_dir)
            replacement = replace(image)
            assert eventually(lambda: (names := waiting(data_dir)) and old not in names, 30)
            assert executor.wait_warm(30)
            (new,) = waiting(data_dir)
            assert docker("inspect", "--format", "{{.Image}}", new) == replacement
            assert executor.run(hello()).output == "hello 0\n"
    finally:
        docker("rmi", image)


def replace(image: str) -> str:
    """Give the name to a copy of the image that differs in a label; the id of the copy."""
    name = docker("create", image)
    try:
        return docker("commit", "--change", "LABEL replaced=yes", name, image)
    finally:
        docker("rm", name)
