"""Several runs in one container, and several steps of a run."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.box.classify import classify
from sandbox.box.container import NotStarted
from sandbox.box.protocol import LEFTOVERS
from sandbox.errors import ContainerLost, EngineError
from sandbox.models import Stream
from tests.conftest import eventually
from tests.unit.fake_container import LIMITS, ORDER, STEP, Log, Start, kills, run, run_steps
from tests.unit.fake_container import impatient as impatient
from tests.unit.fake_container import start as start

# --- One run after the other ------------------------------------------------------------------------------

FOLLOWED = replace(ORDER, may_be_followed=True)


def test_a_container_that_is_ready_again_runs_a_second_program(start: Start) -> None:
    container = start(
        "ready(); order(); send(b'S'); done(); ready(1); parts = order(); send(b'S'); send(b'O', parts[0][1]); done()"
    )
    assert run(container, order=FOLLOWED).wait_status == 0
    assert (container.runs, container.is_reusable) == (1, True)
    assert eventually(lambda: container.hear() and container.is_ready)
    report = run(container, order=FOLLOWED)
    assert struct.unpack(">???BI", report.stdout.head) == (True, False, True, 1, 1), "it is told which run it is"
    assert container.runs == 2


def test_the_second_order_need_not_wait_until_the_container_is_ready(start: Start) -> None:
    container = start("order(); send(b'S'); done(); time.sleep(0.2); ready(1); order(); send(b'S'); done()")
    run(container, order=FOLLOWED)
    assert container.hear() and not container.is_ready
    assert run(container, order=FOLLOWED).wait_status == 0


def test_a_cancellation_carries_the_number_of_its_run(start: Start) -> None:
    container = start(
        "order(); send(b'S'); done(); ready(1); order(); send(b'S'); k = receive(); send(b'O', repr(k).encode());"
        "done(wait_status=9, stopped=b'cancelled')"
    )
    run(container, order=FOLLOWED)
    log = Log()
    log.stop = True
    report = run(container, log, FOLLOWED)
    assert eval(bytes(report.stdout.head)) == (b"K", struct.pack(">I", 1))


@pytest.mark.parametrize("word", LEFTOVERS)
def test_a_container_in_which_something_was_left_runs_nothing_more(start: Start, word: bytes) -> None:
    container = start(f"order(); send(b'S'); done(); send(b'Z', {word!r}); sys.stdin.read()")
    run(container, order=FOLLOWED)
    assert eventually(lambda: not container.hear())
    assert container.leftover == word.decode()
    with pytest.raises(NotStarted):
        run(container, order=FOLLOWED)


@pytest.mark.parametrize("said", ["send(b'Z', b'files')", "sys.exit()", "time.sleep(0.1); sys.exit()"])
def test_an_order_that_crosses_the_end_of_a_kept_container_is_tried_in_another(start: Start, said: str) -> None:
    container = start(f"order(); send(b'S'); done(); {said}")
    run(container, order=FOLLOWED)
    with pytest.raises(NotStarted):
        run(container, order=FOLLOWED)


@pytest.mark.parametrize(
    "lie",
    [
        "ready(0)",
        "ready(2)",
        "send(b'Y')",
        "send(b'Y', b'1')",
        "ready(1); ready(1)",
        "send(b'Z', b'nothing')",
        "send(b'S')",
        "send(b'O', b'from the last run')",
    ],
)
def test_a_supervisor_that_lies_between_two_runs_gets_no_other(start: Start, lie: str) -> None:
    container = start(f"order(); send(b'S'); done(); {lie}; time.sleep(60)")
    run(container, order=FOLLOWED)
    assert eventually(lambda: not container.hear())


@pytest.mark.parametrize("lie", ["ready(0)", "ready(1); ready(1)", "send(b'Z', b'nothing')", "send(b'O', b'x')"])
def test_a_lie_that_crosses_an_order_loses_the_container(start: Start, lie: str) -> None:
    container = start(f"order(); send(b'S'); done(); order(); {lie}; time.sleep(60)")
    run(container, order=FOLLOWED)
    with pytest.raises(ContainerLost):
        run(container, order=FOLLOWED)


def test_a_fresh_container_can_have_no_leftovers(start: Start) -> None:
    with pytest.raises(EngineError):
        start("send(b'Z', b'files'); time.sleep(60)").wait_ready()


@pytest.mark.parametrize("fields", ["stopped=b'timeout', wait_status=9", "stopped=b'output_limit', wait_status=9"])
def test_a_container_whose_program_was_stopped_is_not_used_again(start: Start, fields: str) -> None:
    container = start(f"order(); send(b'S'); done({fields}); ready(1); sys.stdin.read()")
    run(container, order=FOLLOWED)
    assert not container.is_reusable


def test_a_container_is_used_again_only_if_the_order_said_so(start: Start) -> None:
    container = start("order(); send(b'S'); done(); ready(1); sys.stdin.read()")
    run(container)
    assert not container.is_reusable


# --- Steps ------------------------------------------------------------------------------------------------

TWO_STEPS = replace(ORDER, steps=(STEP, replace(STEP, command=["second"])))


def test_each_step_has_its_own_report_and_only_the_last_is_heard(start: Start) -> None:
    log = Log()
    script = "order(2); send(b'S'); send(b'O', b'built'); done(); send(b'S'); send(b'E', b'ran'); done(wait_status=512)"
    built, ran = run_steps(start(script), TWO_STEPS, log)
    assert (bytes(built.stdout.head), built.wait_status) == (b"built", 0)
    assert (bytes(ran.stdout.head), bytes(ran.stderr.head), ran.wait_status) == (b"", b"ran", 512)
    assert log.told() == ["started", (Stream.STDERR, b"ran")]


@pytest.mark.parametrize("fields", ["wait_status=256", "wait_status=9", "stopped=b'output_limit'"])
def test_a_step_without_success_is_the_last(start: Start, fields: str) -> None:
    (report,) = run_steps(start(f"order(2); send(b'S'); done({fields}); time.sleep(60)"), TWO_STEPS, Log())
    assert not report.is_success


@pytest.mark.parametrize("reason", ["timeout", "output_limit", "cancelled"])
def test_a_step_stopped_as_it_succeeds_is_no_success_of_the_whole(start: Start, reason: str) -> None:
    script = f"order(2); send(b'S'); done(wait_status=0, stopped=b'{reason}')"
    (report,) = run_steps(start(script), TWO_STEPS, Log())
    assert classify(report, LIMITS).status.value == reason


def test_time_counts_for_each_step(start: Start, tmp_path: Path) -> None:
    """0.3 seconds each, and 0.4 of grace."""
    script = "order(2); send(b'S'); time.sleep(0.5); done(); send(b'S'); time.sleep(0.5); done()"
    assert len(run_steps(start(script), TWO_STEPS, Log())) == 2
    assert kills(tmp_path) == []


def test_a_step_that_is_not_begun_in_time_is_reported_as_stopped(start: Start, tmp_path: Path) -> None:
    done, never = run_steps(start("order(2); send(b'S'); done(); time.sleep(60)"), TWO_STEPS, Log())
    assert done.is_success
    assert (never.wait_status, never.stopped, never.wall_seconds) == (None, "timeout", 0.0)
    assert kills(tmp_path) == ["the-name"]


@pytest.mark.parametrize(
    "script",
    [
        "order(2); done(); time.sleep(60)",
        "order(2); send(b'S'); done(); send(b'O', b'x'); time.sleep(60)",
        "order(2); send(b'S'); done(); done(); time.sleep(60)",
        "order(2); send(b'S'); done(); ready(); time.sleep(60)",
    ],
)
def test_what_belongs_to_no_step_loses_the_container(start: Start, script: str) -> None:
    with pytest.raises(ContainerLost):
        run_steps(start(script), TWO_STEPS, Log())
