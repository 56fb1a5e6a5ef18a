"""What a program leaves, the next of its owner in the same container does not find; else the container is not kept.

Pairs: the first program is an attack of `kept/attacks.txt`, the second `kept/look.py`, which prints all it sees and can
do. It has to print what it prints in a container where nothing ever ran. All attacks share one owner, so that most
of them, and their seconds, run where many have run before.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from executor import Executor
from sandbox.intake.archive import check_archive
from sandbox.models import Caller, RunRequest, RunResult, Status
from tests.conftest import plain
from tests.engine.keeping import LOOK, read_attacks
from tests.zips import zip_of

OWNER = "key:attacker"
NOISE = random.Random(1).randbytes(8 << 20)

RunFor = Callable[..., RunResult]


ATTACKS = read_attacks()


@pytest.fixture(scope="module")
def run(run_for: RunFor) -> RunFor:
    return run_for


@pytest.mark.parametrize("title", [title for title, (fate, _) in ATTACKS.items() if fate != "gone"])
def test_the_second_sees_what_it_would_alone(title: str, run: RunFor, seen_alone: str) -> None:
    fate, code = ATTACKS[title]
    first = run(OWNER, code, stdin="x" * 300_000)
    second = run(OWNER, LOOK)
    assert second.status is Status.OK, second.error
    assert plain(second.output) == seen_alone
    if fate == "kept":
        assert second.runs_before == first.runs_before + 1


@pytest.mark.parametrize("title", [title for title, (fate, _) in ATTACKS.items() if fate == "gone"])
def test_what_leaves_something_is_the_last_in_its_container(title: str, run: RunFor) -> None:
    first = run(OWNER, ATTACKS[title][1])
    second = run(OWNER, "import os; print(os.listdir('/dev/shm'), os.listdir('/app'))")
    assert (second.output, second.runs_before) == ("[] ['user_code.py']\n", 0), first.error


def test_the_look_would_see_it(run: RunFor, seen_alone: str) -> None:
    """Lest the comparison prove nothing: the same things done by the program that looks are seen."""
    for left in (
        "open('/dev/shm/left', 'w')",
        "os.nice(1)",
        "os.umask(0)",
        "os.chdir('/')",
        "os.fork() or signal.pause()",
        "kept = socket.socket(socket.AF_UNIX); kept.bind('\\0left')",
        "kept = socket.socket(); kept.bind(('127.0.0.1', 4711)); kept.listen()",
        "kept = os.pipe(); fcntl.fcntl(kept[0], 1031, 1 << 20)",
        "kept = os.open('/app', 0); fcntl.flock(kept, fcntl.LOCK_EX); signal.alarm(9)",
    ):
        result = run("key:blind", LOOK.replace("\nmain()\n", f"\n{left}\nmain()\n"))
        assert result.status is Status.OK, result.error
        assert plain(result.output) != seen_alone, left


# --- How the first ended ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("while True: pass", Status.TIMEOUT),
        ("import os\nwhile True: os.write(1, bytes(65536))", Status.OUTPUT_LIMIT),
        ("x = b'x' * (200 << 20)", Status.MEMORY),
    ],
)
def test_how_the_first_was_ended_does_not_show_in_the_second(
    keeping: Executor, run: RunFor, code: str, status: Status
) -> None:
    limits = keeping.settings.model_copy(update={"timeout_seconds": 1.0, "output_stop_bytes": 1 << 20}).limits
    assert run(OWNER, code, limits=limits).status is status
    second = run(OWNER, "print(1)")
    assert (second.status, second.output, second.error, second.runs_before) == (Status.OK, "1\n", "", 0)


def test_a_program_is_not_said_to_have_run_out_of_memory_for_an_earlier_one(run: RunFor) -> None:
    run("key:earlier", "import os\nif os.fork() == 0: x = b'x' * (200 << 20)\nos.wait()")
    result = run("key:earlier", "import os; os.kill(os.getpid(), 9)")
    assert (result.status, result.exit_code) == (Status.ERROR, 137)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("import os\nfor _ in range(500): os.write(1, bytes(65536))", {}),
        ("print(1)", {"stdin": "x" * (9 << 20)}),
        (
            "",
            {"files": {"main.py": "print(1)", "noise": random.Random(1).randbytes(8 << 20), "zeros": bytes(20 << 20)}},
        ),
        ("x = b'x' * (90 << 20)", {}),
    ],
    ids=["output", "input", "archive", "balloon"],
)
def test_what_the_first_took_is_not_counted_for_the_second(
    keeping: Executor, run: RunFor, code: str, fields: dict[str, Any]
) -> None:
    """The supervisor, from which each program is forked, is as small as before; nor is it taken for a leftover."""
    if files := fields.pop("files", None):
        fields |= {"archive": check_archive(zip_of(files), keeping.settings), "entry": "main.py"}
    # The first program of a container is some 0.4 MB smaller than all that follow: its supervisor is at its start.
    run("key:small", "print(1)")
    alone = run("key:small", "print(1)")
    first = run("key:small", code, **fields)
    second = run("key:small", "print(1)")
    assert second.runs_before == first.runs_before + 1 == alone.runs_before + 2
    # The least of these is the MiB that is kept of a stream.
    assert alone.memory_kb and second.memory_kb and second.memory_kb < alone.memory_kb + 400


def canceller(executor: Executor, run_id: str, owner: str) -> Callable[..., None]:
    """Cancels the run at its first output."""

    def cancel(*_: object) -> None:
        assert executor.cancel(run_id, Caller(owner=owner))

    return cancel


def test_a_cancelled_run_is_the_last_in_its_container(keeping: Executor, run: RunFor) -> None:
    run("key:hasty", "print(0)")
    request = RunRequest("python", "print(1, flush=True)\nwhile True: pass", caller=Caller(owner="key:hasty"))
    first = keeping.run(request, run_id="c" * 16, on_output=canceller(keeping, "c" * 16, "key:hasty"))
    second = run("key:hasty", "print(2)")
    assert (first.status, first.runs_before) == (Status.CANCELLED, 1)
    assert (second.status, second.output, second.runs_before) == (Status.OK, "2\n", 0)


def test_a_cancellation_that_comes_too_late_hits_nobody(keeping: Executor, run: RunFor) -> None:
    """Its output and its end come together, so the supervisor hears of the cancellation only between two runs."""
    kept = 0
    for number in range(12):
        name = f"{number:016}"
        request = RunRequest("python", "print(1)", caller=Caller(owner="key:late"))
        first = keeping.run(request, run_id=name, on_output=canceller(keeping, name, "key:late"))
        second = run("key:late", "import time; time.sleep(0.02); print(2)")
        kept += second.runs_before > first.runs_before
        assert (second.status, second.output) == (Status.OK, "2\n")
    assert kept > 6
