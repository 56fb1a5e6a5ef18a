"""A supervisor waits for the host before it exits."""

from __future__ import annotations

import time

import pytest

from executor import Executor
from sandbox.box.lease import Wanted
from sandbox.box.orders import order_of
from sandbox.models import RunRequest


@pytest.mark.parametrize("language", ["python", "node"])
def test_a_supervisor_waits_for_the_host_before_it_exits(executor: Executor, language: str) -> None:
    code = {"python": "print(1)", "node": "console.log(1)"}[language]
    limits = executor.settings.limits
    container = executor._supply.start(Wanted("", language, limits), waits_at_once=True)
    try:
        container.wait_ready()
        order = order_of(RunRequest(language=language, code=code, limits=limits))
        (report,) = container.run(
            order, on_start=lambda: None, on_output=lambda stream, data: None, should_stop=lambda: False
        )
        assert report.wait_status == 0
        time.sleep(0.5)
        assert container.alive(), "the engine's clean-up began before the answer could be written"
    finally:
        container.close()
    assert not container.alive()
