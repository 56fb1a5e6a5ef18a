"""Limits that a request asks for, on the real engine: each from below and above, at every door."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from executor import Executor
from sandbox.box.supply import Source
from sandbox.intake.limits import limits_of
from sandbox.models import Caller, RunRequest, RunResult
from sandbox.settings import Settings
from tests.zips import zip_of

Asking = Callable[..., RunResult]

ALLOCATE = {
    "python": "data = b'x' * ({} << 20); print('there')",
    "node": "const data = Buffer.alloc({} << 20, 'x'); console.log('there')",
}


@pytest.fixture
def asking(executor: Executor) -> Asking:
    """Runs a program within the limits that it asks for."""

    def run(code: str, language: str = "python", **asked: float) -> RunResult:
        return executor.run(RunRequest(language, code, limits=limits_of(asked, executor.settings)))

    return run


@pytest.mark.parametrize("language", ["python", "node"])
@pytest.mark.parametrize(
    ("memory_mb", "mebibytes", "status"),
    [(64, 20, "ok"), (64, 80, "memory"), (128, 80, "ok"), (128, 200, "memory"), (300, 200, "ok")],
)
def test_memory_is_what_was_asked_for(
    asking: Asking, language: str, memory_mb: int, mebibytes: int, status: str
) -> None:
    result = asking(ALLOCATE[language].format(mebibytes), language, memory_mb=memory_mb)
    assert result.status.value == status, result.error
    assert result.output == ("there\n" if status == "ok" else "")
    if status == "memory":
        assert f"> {memory_mb}m" in result.error


def test_the_least_memory_is_enough_for_hello_world(asking: Asking) -> None:
    for language, code in (("python", "print('hello')"), ("node", "console.log('hello')"), ("bash", "echo hello")):
        assert asking(code, language, memory_mb=32).output == "hello\n", language


@pytest.mark.parametrize(
    ("language", "wait"),
    [("python", "import time; time.sleep({}); print('done')"), ("node", "setTimeout(() => console.log('done'), {}e3)")],
)
def test_a_program_may_ask_for_less_time_or_more(asking: Asking, language: str, wait: str) -> None:
    short = asking(wait.format(3), language, timeout_seconds=1)
    assert (short.status.value, short.error) == ("timeout", "Execution timed out after 1 seconds.")
    assert 1000 <= short.duration_ms < 2500
    assert asking(wait.format(11), language, timeout_seconds=13).output == "done\n", "longer than the usual 10 seconds"


@pytest.mark.parametrize(
    ("language", "code"), [("python", "print('x' * 5000, end='')"), ("node", "process.stdout.write('x'.repeat(5000))")]
)
def test_output_is_kept_as_was_asked_for(asking: Asking, language: str, code: str) -> None:
    short = asking(code, language, output_bytes=1024)
    assert (short.truncated, short.output_bytes, short.output.count("x")) == (True, 5000, 1024)
    much = asking(code.replace("5000", str(3 << 20)), language, output_bytes=4 << 20)
    assert (much.truncated, len(much.output)) == (False, 3 << 20)


THREADS = """
import threading
event, count = threading.Event(), 0
try:
    while count < 100:
        threading.Thread(target=event.wait, daemon=True).start()
        count += 1
except RuntimeError:
    pass
print(count)
"""


def test_processes_are_as_many_as_were_asked_for(asking: Asking) -> None:
    assert int(asking(THREADS, processes=20).output) < 20
    assert 40 < int(asking(THREADS).output) < 64
    assert int(asking(THREADS, processes=200).output) == 100
    assert asking("console.log(1)", "node", processes=16).output == "1\n"


def test_less_memory_leaves_less_room_for_files(asking: Asking) -> None:
    code = "import os; print(os.statvfs('/dev/shm').f_blocks * os.statvfs('/dev/shm').f_frsize >> 20)"
    assert [asking(code, memory_mb=size).output for size in (32, 64, 128, 256)] == ["4\n", "8\n", "16\n", "16\n"]


@pytest.mark.parametrize("contents", [["x" * (5 << 20)], ["x"] * 999], ids=["5 MB", "many files"])
def test_files_that_the_memory_has_no_room_for_are_an_error_that_says_so(server_url: str, contents: list[str]) -> None:
    files = {f"{number}.txt": text for number, text in enumerate(contents)}
    body: dict[str, Any] = {"code": "print(1)", "files": files, "limits": {"memory_mb": 32}}
    refused = requests.post(f"{server_url}/run", json=body, timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (400, "memory_too_small")
    assert "32 MiB of memory" in refused.json()["error"]
    body["limits"] = {"memory_mb": 64}
    assert requests.post(f"{server_url}/run", json=body, timeout=60).json()["output"] == "1\n"


def test_usual_memory_and_processes_need_no_container_of_their_own(executor: Executor) -> None:
    """Time and output travel with the order: such a run takes a container that waits."""
    executor.wait_warm(30)
    before = dict(executor.numbers().containers.taken)
    limits = limits_of({"timeout_seconds": 3, "output_bytes": 2048, "memory_mb": 128}, executor.settings)
    executor.run(RunRequest("python", "print(1)", limits=limits))
    taken = executor.numbers().containers.taken
    more = {source for (language, source), count in taken.items() if count > before.get((language, source), 0)}
    assert more == {Source.POOL}


def test_programs_that_ask_for_more_memory_than_there_is_together_take_turns(
    settings: Settings, real_engine: None
) -> None:
    limits = limits_of({"memory_mb": 300}, settings)  # two fit, beside what is kept for other owners
    large = RunRequest("python", "import time; time.sleep(1)", limits=limits)
    with Executor(settings.model_copy(update={"containers_mb": 768})) as executor:
        results = executor.run_many([large, large, large, RunRequest("node", "console.log(1)")])
    assert [result.status.value for result in results] == ["ok"] * 4
    assert [result.queued_ms > 900 for result in results] == [False, False, True, True], "nobody passes"


def test_who_runs_nothing_need_not_wait_for_the_memory_of_another(settings: Settings, real_engine: None) -> None:
    greedy = Caller("192.0.2.1", "page:greedy")
    large = RunRequest(
        "python", "import time; time.sleep(3)", limits=limits_of({"memory_mb": 512}, settings), caller=greedy
    )
    with Executor(settings.model_copy(update={"containers_mb": 1280})) as executor, ThreadPoolExecutor(3) as threads:
        busy = [threads.submit(executor.run, large) for _ in range(3)]
        while executor.numbers().waiting == 0:
            time.sleep(0.05)
        hello = executor.run(RunRequest("python", "print(1)", caller=Caller("192.0.2.1", "page:other")))
        waited = [run.result().queued_ms > 1000 for run in busy]
    assert (hello.output, hello.queued_ms < 1000) == ("1\n", True)
    assert sorted(waited) == [False, False, True]


LIMITS = {"timeout_seconds": 1, "memory_mb": 64, "output_bytes": 1024, "processes": 20}
SHOW = """
import time
with open("/sys/fs/cgroup/memory.max") if __import__("os").path.exists("/sys/fs/cgroup/memory.max") else open(
    "/sys/fs/cgroup/memory/memory.limit_in_bytes"
) as file:
    print(int(file.read()) >> 20, flush=True)
time.sleep(5)
"""


def test_every_door_takes_limits(server_url: str) -> None:
    body: dict[str, Any] = {"code": SHOW, "limits": LIMITS}
    replies = [
        requests.post(f"{server_url}/run", json=body, timeout=60).json(),
        *requests.post(f"{server_url}/run-batch", json={"tasks": [body, body]}, timeout=60).json()["results"],
        requests.post(
            f"{server_url}/run-zip",
            files={"file": ("a.zip", zip_of({"main.py": SHOW}))},
            data={"limits": json.dumps(LIMITS)},
            timeout=60,
        ).json(),
        requests.put(f"{server_url}/run/python", data=SHOW.encode(), params=LIMITS, timeout=60).json(),
    ]
    assert [(reply["output"], reply["status"]) for reply in replies] == [("64\n", "timeout")] * 5
