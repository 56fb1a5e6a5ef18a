"""What a container, its supervisor or its engine does against the rules, and how a container ends."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.box import container as container_module
from sandbox.box.container import Container, NotStarted
from sandbox.box.protocol import FRAME_ROOM_BYTES
from sandbox.engine.client import Client
from sandbox.engine.complaints import error_of
from sandbox.errors import ContainerLost, EngineError, EngineUnavailable, ImageMissing
from sandbox.models import Stream
from tests.conftest import eventually
from tests.unit.fake_container import LIMITS, ORDER, Log, Start, kills, run, with_limits
from tests.unit.fake_container import impatient as impatient
from tests.unit.fake_container import start as start

# --- Not by the rules -------------------------------------------------------------------------------------


def test_a_client_that_is_not_installed_is_named_as_the_cause() -> None:
    with pytest.raises(EngineUnavailable):
        Container(Client("/nowhere/docker"), ["run"], "the-name")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("docker: Error: No such image: safe/x:1.", ImageMissing),
        ("dial unix /x: permission denied", EngineUnavailable),
        ("something new", EngineUnavailable),
        ("", EngineUnavailable),
    ],
)
def test_a_client_that_gives_up_is_explained_in_our_words(start: Start, words: str, kind: type[EngineError]) -> None:
    with pytest.raises(EngineError) as caught:
        start(f"say({words!r}); sys.exit(125)").wait_ready()
    assert type(caught.value) is kind
    assert caught.value.message == error_of(words, "The container engine could not start a container.").message
    assert not words or words not in caught.value.message


def test_a_container_that_dies_before_it_is_ready_is_no_container(start: Start) -> None:
    with pytest.raises(EngineError):
        start("pass").wait_ready()


def test_a_container_that_died_while_waiting_has_run_nothing(start: Start) -> None:
    container = start("ready()")
    container.wait_ready()
    container._pipes._process.wait(10)
    assert not container.alive()
    with pytest.raises(NotStarted):
        run(container)


def test_a_container_that_dies_over_the_order_has_run_nothing(start: Start) -> None:
    with pytest.raises(NotStarted):
        run(start("ready(); order()"))


def test_a_container_that_dies_while_the_program_runs_is_lost(start: Start) -> None:
    log = Log()
    with pytest.raises(ContainerLost):
        run(start("order(); send(b'S'); send(b'O', b'some')"), log)
    assert log.told() == ["started", (Stream.STDOUT, b"some")]


def test_a_frame_cut_short_is_not_taken_for_a_whole_one(start: Start) -> None:
    log = Log()
    with pytest.raises(ContainerLost):
        run(start("order(); send(b'S'); os.write(1, struct.pack('>cI', b'O', 100) + b'half')"), log)
    assert log.told() == ["started"]


def test_a_report_cut_short_is_no_report(start: Start) -> None:
    with pytest.raises(ContainerLost):
        run(start("""order(); send(b'S'); os.write(1, struct.pack('>cI', b'D', 50) + b'only 7')"""))


@pytest.mark.parametrize(
    "lie",
    ["wait_status=-1", "wait_status=0x137f", "wait_status=0xff", "wait_status=-2**31", "wall_us=-1", "cpu_us=-1",
     "max_rss_kb=-1", "dropped_stdout=-5", "dropped_stderr=-5"],
)  # fmt: skip
def test_a_report_that_no_kernel_could_give_is_none(start: Start, lie: str) -> None:
    with pytest.raises(ContainerLost):
        run(start(f"order(); send(b'S'); done({lie})"))


@pytest.mark.parametrize("frames", ["send(b'O')", "send(b'e')", "send(b'X', b'corrupt_archive')"])
def test_what_says_nothing_or_comes_too_late_loses_the_container(start: Start, frames: str) -> None:
    """Else a supervisor that lies could keep the server busy, or blame the caller."""
    with pytest.raises(ContainerLost):
        run(start(f"order(); send(b'S'); {frames}; time.sleep(60)"))


def test_a_supervisor_is_ready_once(start: Start) -> None:
    with pytest.raises(ContainerLost):
        run(start("order(); ready(); ready(); time.sleep(60)"))


@pytest.mark.parametrize("length", [FRAME_ROOM_BYTES + LIMITS.output_bytes + 1, (1 << 32) - 1])
def test_a_frame_too_large_to_be_ours_is_not_waited_for(start: Start, length: int) -> None:
    began = time.monotonic()
    with pytest.raises(ContainerLost):
        run(start(f"order(); send(b'S'); os.write(1, struct.pack('>cI', b'O', {length})); time.sleep(60)"))
    assert time.monotonic() - began < 5


def test_garbage_instead_of_frames_is_no_container(start: Start) -> None:
    with pytest.raises(EngineError):
        start("os.write(1, b'What would you like to do today?'); time.sleep(60)").wait_ready()


def test_garbage_while_the_program_runs_loses_the_container(start: Start) -> None:
    with pytest.raises(ContainerLost):
        run(start("order(); send(b'S'); os.write(1, b'\\xff' * 1000); time.sleep(60)"))


def test_a_supervisor_that_does_not_keep_the_time_is_killed_from_outside(start: Start, tmp_path: Path) -> None:
    log, began = Log(), time.monotonic()
    container = start("order(); send(b'S'); send(b'O', b'kept'); time.sleep(60)")
    report = run(container, log)
    assert container._pipes._process.returncode is not None, "it is dead before there is an answer"
    assert (report.stopped, report.wait_status, bytes(report.stdout.head)) == ("timeout", None, b"kept")
    assert report.cpu_seconds is None
    assert report.max_rss_kb is None
    assert 0.6 < time.monotonic() - began < 5
    assert kills(tmp_path) == ["the-name"]


def test_a_supervisor_that_ignores_a_cancellation_is_killed_from_outside(start: Start, tmp_path: Path) -> None:
    log = Log()
    log.stop = True
    order = with_limits(timeout_seconds=60.0)
    container = start("order(); send(b'S'); time.sleep(60)")
    report = run(container, log, order)
    assert container._pipes._process.returncode is not None, "it is dead before there is an answer"
    assert report.stopped == "cancelled"
    assert kills(tmp_path) == ["the-name"]


def test_an_engine_that_never_starts_the_program_has_run_nothing(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_module, "START_SECONDS", 0.3)
    container = start("order(); time.sleep(60)")
    with pytest.raises(NotStarted) as caught:
        run(container)
    assert container._pipes._process.returncode is not None, "it is dead before another one is tried"
    assert isinstance(caught.value.reason, EngineUnavailable)
    assert kills(tmp_path) == ["the-name"]


def test_a_run_is_not_tried_again_while_the_container_that_has_it_may_live(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_module, "START_SECONDS", 0.3)
    monkeypatch.setattr(container_module, "DYING_SECONDS", 0.5)
    monkeypatch.setenv("REFUSE_KILLS", "1000")
    with pytest.raises(EngineUnavailable):
        run(start("order(); time.sleep(60)"))


def test_a_waiting_container_whose_engine_is_frozen_is_given_up_soon(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_module, "RELEASE_SECONDS", 0.3)
    container = start("ready(); order(); time.sleep(60)")
    container.wait_ready()
    with pytest.raises(NotStarted):
        run(container)
    assert kills(tmp_path) == ["the-name"]


FORGED = [
    "send(b'S')",
    "send(b'O', b'x' * 501); send(b'O', b'x' * 500)",
    "send(b'E', b'x' * 600); send(b'e', b'x' * 600)",
    "send(b'o', b'x'); send(b'o', b'x')",
    "send(b'Z', b'what is this?')",
    "send(b'X', b'internal_error')",
    "ready()",
]


@pytest.mark.parametrize("script", [f"send(b'S'); {forged}" for forged in FORGED] + ["send(b'O', b'early')", "done()"])
def test_what_our_supervisor_never_says_loses_the_container_and_ends_it(
    start: Start, tmp_path: Path, script: str
) -> None:
    container = start(f"order(); {script}; time.sleep(60)")
    with pytest.raises(ContainerLost):
        run(container)
    assert container._pipes._process.returncode is not None, "it is dead before there is an answer"
    assert kills(tmp_path) == ["the-name"]


@pytest.mark.parametrize("done", [b"", b"nonsense", bytes(51), bytes(52) + b"\xff", bytes(52) + b"tired"])
def test_a_report_that_is_none_loses_the_container(start: Start, done: bytes) -> None:
    with pytest.raises(ContainerLost):
        run(start(f"order(); send(b'S'); send(b'D', {done!r}); time.sleep(60)"))


def test_a_container_that_takes_no_order_has_run_nothing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_module, "START_SECONDS", 0.3)
    with pytest.raises(NotStarted):
        run(start("time.sleep(60)"), order=replace(ORDER, payload=b"x" * 5_000_000))


def test_a_container_that_never_gets_ready_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_module, "START_SECONDS", 0.3)
    with pytest.raises(EngineError):
        start("time.sleep(60)").wait_ready()


# --- Waiting and ending -----------------------------------------------------------------------------------


def test_a_container_that_speaks_unasked_does_not_count_as_waiting(start: Start) -> None:
    container = start("ready(); time.sleep(0.1); send(b'X', b'{}'); time.sleep(60)")
    container.wait_ready()
    assert container.alive()
    assert eventually(lambda: not container.alive(), 5)


def test_the_end_of_stdin_ends_a_container(start: Start, tmp_path: Path) -> None:
    container = start("ready(); sys.stdin.read()")
    container.wait_ready()
    container.close()
    assert container._pipes._process.returncode == 0
    assert kills(tmp_path) == []


def test_a_container_that_ignores_the_end_of_stdin_is_killed(start: Start, tmp_path: Path) -> None:
    start("time.sleep(60)").close()
    assert kills(tmp_path) == ["the-name"]


def test_a_container_that_floods_is_ended_all_the_same(start: Start) -> None:
    container = start("ready()\nwhile True: send(b'O', b'x' * 100_000)")
    container.wait_ready()
    began = time.monotonic()
    container.close()
    assert time.monotonic() - began < 5
    assert container._pipes._process.returncode is not None


def test_killing_is_insisted_on_while_the_engine_knows_no_such_container(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSE_KILLS", "2")
    start("time.sleep(60)").close()
    assert kills(tmp_path) == ["the-name"] * 3


def test_insisting_goes_on_while_the_engine_answers(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_module, "KILL_SECONDS", 1.0)
    monkeypatch.setenv("REFUSE_KILLS", "4")
    start("time.sleep(60)").close()
    assert kills(tmp_path) == ["the-name"] * 5, "the container is dead, if later than hoped"


def test_insisting_has_an_end_and_leaves_no_client(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(container_module, "DYING_SECONDS", 0.5)
    monkeypatch.setenv("REFUSE_KILLS", "1000")
    container = start("time.sleep(60)")
    container.close()
    assert container._pipes._process.returncode is not None
    assert "could not be killed" in caplog.text


def test_closing_from_many_threads_ends_it_once(start: Start, tmp_path: Path) -> None:
    container = start("time.sleep(60)")
    threads = [threading.Thread(target=container.close) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert kills(tmp_path) == ["the-name"]
