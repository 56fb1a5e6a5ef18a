"""The host's end of the protocol against a supervisor that plays by the rules, or not at all.

Only the process is faked: `client` is a small program in the docker client's place. `client run SCRIPT` speaks
frames as the script says; `client kill NAME` ends it. Everything else, pipes and polling included, is real.
"""

from __future__ import annotations

import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.box import container as container_module
from sandbox.box.classify import classify
from sandbox.box.container import Container, NotStarted
from sandbox.box.protocol import FRAME_ROOM_BYTES, LEFTOVERS, Order, Report, Step
from sandbox.engine.client import ENVIRONMENT, Client
from sandbox.engine.complaints import error_of
from sandbox.errors import ContainerLost, EngineError, EngineUnavailable, ImageMissing, InvalidArchive
from sandbox.models import Stream
from sandbox.settings import Settings
from tests.conftest import eventually

CLIENT = '''#!{python} -I
"""A docker client of sorts."""
import os, signal, struct, sys, time

state = {state!r}

def send(kind, payload=b""):
    data = memoryview(struct.pack(">cI", kind, len(payload)) + payload)
    while data:
        data = data[os.write(1, data):]

def receive():
    kind, length = struct.unpack(">cI", sys.stdin.buffer.read(5))
    return kind, sys.stdin.buffer.read(length)

def order(steps=1):
    return [receive() for _ in "RNPIG" + "LAVW" * steps]

def done(**fields):
    report = dict(wait_status=0, oom_kills=0, wall_us=500_000, cpu_us=250_000, max_rss_kb=1000,
                  dropped_stdout=0, dropped_stderr=0, stopped=b"")
    *numbers, stopped = (report | fields).values()
    send(b"D", struct.pack(">iqqqqqq", *numbers) + stopped)

def ready(run=0):
    send(b"Y", struct.pack(">I", run))

def say(words):
    print(words, file=sys.stderr)

if sys.argv[1] == "run":
    with open(state + "/pid", "w") as file:
        file.write(str(os.getpid()))
    exec(sys.argv[2])
else:
    attempts = os.path.join(state, "kills")
    with open(attempts, "a") as file:
        file.write(sys.argv[2] + "\\n")
    refusals = int(os.environ.get("REFUSE_KILLS", "0"))
    if len(open(attempts).readlines()) <= refusals:
        sys.exit("Error: No such container")
    os.kill(int(open(state + "/pid").read()), signal.SIGKILL)
'''

LIMITS = replace(Settings().limits, timeout_seconds=0.3, output_bytes=1000, output_stop_bytes=10_000)
STEP = Step(["python3", "/app/user_code.py"], ["A=b", "C="], LIMITS)
ORDER = Order(
    steps=(STEP,),
    names=("user_code.py",),
    payload=b"print('\xc3\xa9')",
    is_archive=False,
    stdin=b"input",
    may_use_waiting=True,
)


def with_limits(**limits: float) -> Order:
    """The order, but for these limits."""
    return replace(ORDER, steps=(replace(STEP, limits=replace(LIMITS, **limits)),))  # type: ignore[arg-type]


class Log:
    """What a run called back."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.stop = False

    def on_start(self) -> None:
        self.events.append("started")

    def on_output(self, stream: Stream, data: bytes) -> None:
        self.events.append((stream, data))

    def should_stop(self) -> bool:
        self.events.append("asked")
        return self.stop

    def told(self) -> list[object]:
        return [event for event in self.events if event != "asked"]


Start = Callable[[str], Container]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_module, "GRACE_SECONDS", 0.4)
    monkeypatch.setattr(container_module, "KILL_SECONDS", 5.0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts fake containers; none of them, and no descriptor, may be left in the end."""
    client = tmp_path / "client"
    client.write_text(CLIENT.format(python=sys.executable, state=str(tmp_path)))
    client.chmod(0o755)
    started: list[Container] = []

    def start_one(script: str) -> Container:
        started.append(Container(Client(str(client)), ["run", script], "the-name"))
        return started[-1]

    yield start_one
    for container in started:
        container.close()
        assert container._pipes._process.returncode is not None
        assert all(
            pipe.closed for pipe in (container._pipes._stdin, container._pipes._stdout, container._pipes._stderr)
        )


def run(container: Container, log: Log | None = None, order: Order = ORDER) -> Report:
    log = log or Log()
    return run_steps(container, order, log)[-1]


def run_steps(container: Container, order: Order, log: Log) -> list[Report]:
    return container.run(order, on_start=log.on_start, on_output=log.on_output, should_stop=log.should_stop)


def kills(tmp_path: Path) -> list[str]:
    path = tmp_path / "kills"
    return path.read_text().split() if path.exists() else []


# --- By the rules -----------------------------------------------------------------------------------------


def test_a_run_hands_over_the_order_and_returns_the_report(start: Start) -> None:
    container = start("ready(); parts = order(); send(b'S'); send(b'O', repr(parts).encode()); done(wait_status=256)")
    container.wait_ready()
    report = run(container)
    assert eval(bytes(report.stdout.head)) == [
        (b"R", struct.pack(">???BI", True, False, False, 1, 0)),
        (b"N", b"user_code.py\0"),
        (b"P", ORDER.payload),
        (b"I", b"input"),
        (b"G", struct.pack(">IQI", 0, 0, 20)),
        (b"L", struct.pack(">dqq", 0.3, 1000, 10_000)),
        (b"A", b"python3\0/app/user_code.py\0"),
        (b"V", b"A=b\0C=\0"),
        (b"W", b"/app"),
    ]
    assert (report.wait_status, report.stopped, report.cpu_seconds, report.max_rss_kb) == (256, None, 0.25, 1000)


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


# --- What the client says ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENT)
@pytest.mark.parametrize("given", [None, "50"])
def test_the_client_is_told_to_be_frugal_unless_told_otherwise(
    start: Start, monkeypatch: pytest.MonkeyPatch, name: str, given: str | None
) -> None:
    monkeypatch.delenv(name, raising=False)
    if given:
        monkeypatch.setenv(name, given)
    report = run(start(f"order(); send(b'S'); send(b'O', os.environ['{name}'].encode()); done()"))
    assert bytes(report.stdout.head) == (given or ENVIRONMENT[name]).encode()


def test_a_cold_container_need_not_be_waited_for(start: Start) -> None:
    assert run(start("ready(); order(); send(b'S'); done()")).wait_status == 0


def test_output_is_called_back_in_order_after_the_start(start: Start) -> None:
    log = Log()
    report = run(start("order(); send(b'S'); send(b'O', b'1'); send(b'E', b'2'); send(b'O', b'3'); done()"), log)
    assert log.told() == ["started", (Stream.STDOUT, b"1"), (Stream.STDERR, b"2"), (Stream.STDOUT, b"3")]
    assert (bytes(report.stdout.head), bytes(report.stderr.head)) == (b"13", b"2")


def test_the_tail_after_a_gap_is_kept_apart(start: Start) -> None:
    script = """
order(); send(b'S'); send(b'O', b'head'); send(b'o', b'tail'); send(b'e', b'end')
done(dropped_stdout=7, dropped_stderr=9)
"""
    report = run(start(script))
    assert (bytes(report.stdout.head), report.stdout.tail, report.stdout.dropped_bytes) == (b"head", b"tail", 7)
    assert (bytes(report.stderr.head), report.stderr.tail, report.stderr.dropped_bytes) == (b"", b"end", 9)


def test_output_arrives_while_the_program_runs(start: Start) -> None:
    log, at = Log(), []
    log.on_output = lambda stream, data: at.append(time.monotonic())  # type: ignore[method-assign]
    run(start("order(); send(b'S'); send(b'O', b'x'); time.sleep(0.2); done()"), log)
    assert time.monotonic() - at[0] > 0.15


def test_frames_may_arrive_in_any_pieces(start: Start) -> None:
    script = """
data = b"".join(struct.pack(">cI", k, len(p)) + p for k, p in [(b"S", b""), (b"O", b"abc"), (b"E", b"d")])
order()
for byte in data:
    os.write(1, bytes([byte])); time.sleep(0.002)
done()
"""
    assert bytes(run(start(script)).stdout.head) == b"abc"


def test_a_large_frame_arrives_whole(start: Start) -> None:
    order = with_limits(output_bytes=5_000_000)
    report = run(start("order(); send(b'S'); send(b'O', b'x' * 5_000_000); done()"), order=order)
    assert len(report.stdout.head) == 5_000_000


def test_a_large_order_reaches_a_slow_reader(start: Start) -> None:
    order = replace(ORDER, payload=b"x" * 5_000_000)
    report = run(
        start("time.sleep(0.3); size = len(order()[2][1]); send(b'S'); send(b'O', b'%d' % size); done()"), order=order
    )
    assert bytes(report.stdout.head) == b"5000000"


def test_an_archive_found_damaged_inside_is_the_callers_fault(start: Start) -> None:
    with pytest.raises(InvalidArchive) as caught:
        run(start("""order(); send(b'X', b'corrupt_archive')"""))
    assert caught.value.code == "corrupt_archive"


def test_a_caller_that_goes_away_stops_the_program(start: Start) -> None:
    log = Log()
    log.stop = True
    report = run(start("order(); send(b'S'); done(stopped={b'K': b'cancelled'}[receive()[0]], wait_status=9)"), log)
    assert report.stopped == "cancelled"


def test_a_silent_run_asks_about_its_caller_several_times_a_second(start: Start) -> None:
    log = Log()
    run(start("order(); send(b'S'); time.sleep(0.6); done()"), log)
    assert 3 <= log.events.count("asked") <= 20


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
