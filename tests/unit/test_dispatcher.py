"""The threads that serve requests: as many as are needed, up to the limit, and no request left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.conftest import eventually
from web.serving.dispatcher import Dispatcher


class Task:
    """A request that ends when told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.end = threading.Event()
        self.thread = ""

    def service(self) -> None:
        self.thread = threading.current_thread().name
        self.begun.set()
        self.end.wait(10)

    def cancel(self) -> None:
        raise AssertionError("nothing may be cancelled")


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    made = Dispatcher(3)
    yield made
    made.shutdown()
    assert not made.threads


def finish(tasks: list[Task]) -> None:
    for task in tasks:
        assert task.begun.wait(5)
        task.end.set()


def test_one_after_the_other_they_share_a_thread(dispatcher: Dispatcher) -> None:
    tasks = [Task() for _ in range(20)]
    for task in tasks:
        assert eventually(lambda: dispatcher.active_count == 0)
        dispatcher.add_task(task)
        finish([task])
    assert len({task.thread for task in tasks}) == 1


def test_at_the_same_time_each_has_its_own_up_to_the_limit(dispatcher: Dispatcher) -> None:
    tasks = [Task() for _ in range(5)]
    for task in tasks:
        dispatcher.add_task(task)
    assert all(task.begun.wait(5) for task in tasks[:3])
    assert len(dispatcher.threads) == 3
    assert not tasks[3].begun.wait(0.2)
    finish(tasks)


def test_all_at_once_none_is_left_behind(dispatcher: Dispatcher) -> None:
    tasks = [Task() for _ in range(200)]
    adders = [
        threading.Thread(target=lambda part: [dispatcher.add_task(task) for task in part], args=(tasks[n::4],))
        for n in range(4)
    ]
    for task in tasks:
        task.end.set()
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    assert all(task.begun.wait(5) for task in tasks)
    assert len(dispatcher.threads) <= 3


def test_without_a_thread_to_be_had_those_that_are_there_serve(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    first, second = Task(), Task()
    with monkeypatch.context() as patch:
        patch.setattr(dispatcher, "start_new_thread", refuse)
        dispatcher.add_task(first)
        assert first.begun.wait(5)
        dispatcher.add_task(second)
    assert "no thread could be started; 1 serve requests" in caplog.text
    assert len(dispatcher.threads) == 1
    finish([first, second])
