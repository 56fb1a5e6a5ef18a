"""What the executor promises to whoever calls it, on the real engine."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

import executor as executor_module
from executor import Executor, new_run_id
from sandbox.errors import Busy, InvalidRequest
from sandbox.intake.archive import check_archive
from sandbox.models import Caller, RunRequest, RunResult, Status, Stream
from sandbox.settings import Settings
from tests import zips
from tests.conftest import containers, eventually

SLEEP = RunRequest("python", "import time\nprint('up')\ntime.sleep(60)")


def start(executor: Executor, request: RunRequest, run_id: str) -> threading.Thread:
    """A run in another thread that has printed something."""
    up = threading.Event()
    thread = threading.Thread(
        target=executor.run, args=(request,), kwargs={"run_id": run_id, "on_output": lambda *_: up.set()}
    )
    thread.start()
    assert up.wait(30)
    return thread


def test_output_arrives_while_the_program_runs(executor: Executor) -> None:
    arrived: list[tuple[Stream, str, float]] = []
    begun: list[float] = []
    code = "import sys, time\nfor n in range(3):\n    print(n)\n    print('e', file=sys.stderr)\n    time.sleep(0.2)"
    result = executor.run(
        RunRequest("python", code),
        on_start=lambda: begun.append(time.monotonic()),
        on_output=lambda stream, text: arrived.append((stream, text, time.monotonic())),
    )
    assert len(begun) == 1
    assert "".join(text for stream, text, _ in arrived if stream is Stream.STDOUT) == result.output == "0\n1\n2\n"
    assert "".join(text for stream, text, _ in arrived if stream is Stream.STDERR) == result.error == "e\ne\ne\n"
    assert arrived[-1][2] - arrived[0][2] > 0.3


def test_lines_written_in_quick_succession_travel_together(executor: Executor) -> None:
    pieces: list[tuple[Stream, str]] = []
    code = "import sys\nfor i in range(3000): print(i)\nprint('end', file=sys.stderr)"
    result = executor.run(RunRequest("python", code), on_output=lambda *piece: pieces.append(piece))
    assert result.output == "".join(f"{number}\n" for number in range(3000))
    assert "".join(text for stream, text in pieces if stream is Stream.STDOUT) == result.output
    assert pieces[-1] == (Stream.STDERR, "end\n")
    assert len(pieces) < 300, "each line was handed through four processes on its own"


def test_characters_are_not_torn_apart_on_their_way(executor: Executor) -> None:
    pieces: list[str] = []
    code = "import os, time\nfor byte in 'é世🎉'.encode():\n    os.write(1, bytes([byte]))\n    time.sleep(0.02)"
    executor.run(RunRequest("python", code), on_output=lambda _, text: pieces.append(text))
    assert pieces == ["é", "世", "🎉"]


def test_a_run_is_cancelled_from_another_thread_by_its_owner(executor: Executor) -> None:
    results: list[RunResult] = []
    up = threading.Event()
    run_id = new_run_id()
    request = replace(SLEEP, caller=Caller(owner="key:ada"))
    thread = threading.Thread(
        target=lambda: results.append(executor.run(request, run_id=run_id, on_output=lambda *_: up.set()))
    )
    thread.start()
    assert up.wait(30)
    for stranger in (Caller(), Caller(owner="key:bob"), Caller(owner="page:ada")):
        assert not executor.cancel(run_id, stranger)
    assert executor.cancel(run_id, request.caller)
    thread.join(5)
    (result,) = results
    assert (result.status, result.exit_code, result.output) == (Status.CANCELLED, -1, "up\n")
    assert result.error.endswith("Execution cancelled.")
    assert not executor.cancel(run_id, request.caller)


def test_nobody_can_be_cancelled_by_a_name_that_is_unknown(executor: Executor) -> None:
    assert not executor.cancel("0" * 16, Caller())


def test_a_batch_keeps_its_order(executor: Executor) -> None:
    requests = [RunRequest("python", f"import time; time.sleep({(4 - n) / 10}); print({n})") for n in range(5)]
    assert [result.output for result in executor.run_many(requests)] == [f"{n}\n" for n in range(5)]


def test_an_empty_batch_is_empty(executor: Executor) -> None:
    assert executor.run_many([]) == []


def test_observers_are_told_and_cannot_do_harm(settings: Settings, real_engine: None) -> None:
    told: list[tuple[RunRequest, RunResult]] = []

    def fails(_: RunRequest, __: RunResult) -> None:
        raise RuntimeError("broken observer")

    with Executor(settings, observers=[fails, lambda *pair: told.append(pair)]) as executor:
        request = RunRequest("python", "print(1)")
        result = executor.run(request)
    assert told == [(replace(request, limits=settings.limits), result)]


def test_what_runs_is_cancelled_when_the_executor_closes(settings: Settings, real_engine: None) -> None:
    executor = Executor(settings)
    thread = start(executor, SLEEP, new_run_id())
    begun = time.monotonic()
    executor.close(drain_seconds=0)
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - begun < 10
    assert containers(settings.data_dir) == []
    with pytest.raises(Busy):
        executor.run(SLEEP)


def test_what_runs_may_finish_when_the_executor_drains(settings: Settings, real_engine: None) -> None:
    executor = Executor(settings)
    results: list[RunResult] = []
    up = threading.Event()
    request = RunRequest("python", "import time\nprint('up')\ntime.sleep(1)\nprint('done')")
    thread = threading.Thread(target=lambda: results.append(executor.run(request, on_output=lambda *_: up.set())))
    thread.start()
    assert up.wait(30)
    executor.close(drain_seconds=20)
    thread.join(1)
    assert results[0].output == "up\ndone\n"


@pytest.mark.parametrize(("drain_seconds", "last"), [(20, "ok"), (0, "cancelled")])
def test_a_batch_that_has_begun_is_not_lost_when_the_executor_closes(
    settings: Settings, real_engine: None, drain_seconds: float, last: str
) -> None:
    up = threading.Event()
    executor = Executor(
        settings.model_copy(update={"max_concurrent_runs": 1}), observers=[lambda request, result: up.set()]
    )
    tasks = [RunRequest("python", "import time\ntime.sleep(0.5)")] * 7
    results: list[RunResult] = []
    thread = threading.Thread(target=lambda: results.extend(executor.run_many(tasks)))
    thread.start()
    assert up.wait(30)
    executor.close(drain_seconds=drain_seconds)
    thread.join(5)
    assert [result.status for result in results][:: len(tasks) - 1] == ["ok", last]
    assert containers(settings.data_dir) == []


def test_archives_that_wait_cannot_fill_the_memory(settings: Settings, real_engine: None) -> None:
    archive = check_archive(zips.zip_of({"main.py": "import time\nprint('up')\ntime.sleep(3)", "x": b"x"}), settings)
    request = RunRequest("python", archive=archive, entry="main.py")
    with Executor(settings.model_copy(update={"max_held_bytes": len(archive.data) + 1})) as executor:
        thread = start(executor, request, new_run_id())
        with pytest.raises(Busy):
            executor.run(request)
        with pytest.raises(Busy):
            executor.run_many([RunRequest("python", "print(1)"), request])
        assert executor.run(RunRequest("python", "print(1)")).output == "1\n"
        thread.join()
        assert executor.run(request).output == "up\n"


def test_no_container_outlives_its_run(executor: Executor) -> None:
    assert executor.wait_warm(60)
    waiting = len(containers(executor.settings.data_dir))
    executor.run(RunRequest("python", "print(1)"))
    assert eventually(lambda: executor.wait_warm(1) and len(containers(executor.settings.data_dir)) == waiting)


def test_the_functions_of_one_call(monkeypatch: pytest.MonkeyPatch, executor: Executor) -> None:
    monkeypatch.setattr(executor_module, "default_executor", lambda: executor)
    assert executor_module.run_code("print(6 * 7)").output == "42\n"
    assert executor_module.run_code("console.log(process.argv[2])", "JS", args=["x"]).output == "x\n"
    assert executor_module.run_files({"main.py": "import lib", "lib.py": "print('lib')"}).output == "lib\n"
    tasks = [{"code": "print(1)"}, {"code": "console.log(2)", "language": "node"}]
    assert [result.output for result in executor_module.run_multiple(tasks)] == ["1\n", "2\n"]


@pytest.mark.parametrize(
    ("code", "language", "problem"),
    [(" \n", "python", "empty_code"), ("x" * 5001, "python", "code_too_long"), ("x", "cobol", "unsupported_language")],
)
def test_the_functions_refuse_what_cannot_run(
    monkeypatch: pytest.MonkeyPatch, executor: Executor, code: str, language: str, problem: str
) -> None:
    monkeypatch.setattr(executor_module, "default_executor", lambda: executor)
    with pytest.raises(InvalidRequest) as caught:
        executor_module.run_code(code, language)
    assert caught.value.code == problem
