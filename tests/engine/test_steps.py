"""Runs of several steps in a real container, and runs with limits of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from executor import Executor
from sandbox.box.lease import Wanted
from sandbox.box.protocol import Order, Report, Step
from sandbox.models import RunRequest, Status, Stream
from tests.conftest import eventually

Steps = Callable[..., list[Report]]


@pytest.fixture
def steps(executor: Executor) -> Steps:
    """Runs shell commands as the steps of one run, in a fresh container."""
    limits = executor.settings.limits

    def run(*scripts: str, heard: list[bytes] | None = None, stop: Callable[[], bool] = lambda: False) -> list[Report]:
        commands = (Step(["bash", "-c", script], [f"STEP={at}"], limits) for at, script in enumerate(scripts))
        order = Order(
            tuple(commands), ("a.txt",), b"a file\n", is_archive=False, stdin=b"typed\n", may_use_waiting=False
        )
        container = executor._supply.start(Wanted("", "bash", limits), waits_at_once=False)

        def on_output(stream: Stream, data: bytes) -> None:
            if heard is not None:
                heard.append(data)

        try:
            return container.run(order, on_start=lambda: None, on_output=on_output, should_stop=stop)
        finally:
            container.close()

    return run


def texts(reports: list[Report]) -> list[str]:
    return [bytes(report.stdout.head + report.stderr.head).decode() for report in reports]


def test_steps_share_their_files_and_have_environments_of_their_own(steps: Steps) -> None:
    reports = steps("cat a.txt; echo $STEP > /dev/shm/from", "cat a.txt /dev/shm/from; echo $STEP")
    assert texts(reports) == ["a file\n", "a file\n0\n1\n"]


def test_only_the_last_step_has_the_stdin_and_is_heard(steps: Steps) -> None:
    heard: list[bytes] = []
    assert texts(steps("cat; echo first", "cat; echo last", heard=heard)) == ["first\n", "typed\nlast\n"]
    assert b"".join(heard) == b"typed\nlast\n"


@pytest.mark.parametrize(("script", "wait_status"), [("exit 3", 3 << 8), ("kill -9 $$", 9)])
def test_nothing_follows_a_step_that_failed(steps: Steps, script: str, wait_status: int) -> None:
    (report,) = steps(script, "echo never")
    assert report.wait_status == wait_status


def test_nothing_of_a_step_lives_on_in_the_next(steps: Steps) -> None:
    script = "for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $p; echo; done"
    _, seen = texts(steps("sleep 100 & (setsid sleep 101 &) ; echo", script))
    assert "sleep" not in seen


def test_a_cancellation_ends_the_step_that_runs_and_those_to_come(steps: Steps) -> None:
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > 2

    (report,) = steps("sleep 100", "echo never", stop=stop)
    assert report.stopped == "cancelled"


def test_many_steps_use_up_no_descriptors(steps: Steps) -> None:
    assert len(steps(*["true"] * 200)) == 200


def test_a_request_may_carry_limits_of_its_own(executor: Executor) -> None:
    limits = replace(executor.settings.limits, timeout_seconds=0.5, output_bytes=100)
    result = executor.run(RunRequest("python", "print('x' * 1000); import time; time.sleep(9)", limits=limits))
    assert (result.status, result.truncated) == (Status.TIMEOUT, True)
    assert "after 0.5 seconds" in result.error


def test_a_request_with_limits_of_the_container_gets_a_container_of_its_own(executor: Executor) -> None:
    assert executor.wait_warm(60)
    limits = replace(executor.settings.limits, memory_mb=64)
    code = "data = bytearray(80 << 20); print(len(data))"
    assert executor.run(RunRequest("python", code, limits=limits)).status is Status.MEMORY
    assert executor.run(RunRequest("python", code)).status is Status.OK
    assert eventually(lambda: executor.wait_warm(0), 30)
