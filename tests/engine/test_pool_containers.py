"""What the pool promises, on the real engine."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from executor import Executor
from sandbox.box import pool
from sandbox.box.container import Container
from sandbox.engine import image
from sandbox.engine.flags import container_name, run_words, waiting_words
from sandbox.engine.image import Image
from sandbox.errors import Busy
from sandbox.languages import LANGUAGES
from sandbox.models import Caller, RunRequest, RunResult, Status
from sandbox.settings import load
from tests.conftest import containers, docker, eventually

PYTHON, NODE = "python", "node"


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(image, "WATCH_SECONDS", 0.0)


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
