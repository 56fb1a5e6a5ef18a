"""Who gets a used container, and how long it is kept. Which container a run had is seen from outside of it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from executor import Executor
from sandbox.box.container import Container
from sandbox.intake.archive import check_archive
from sandbox.models import Caller, RunRequest, RunResult, Status
from sandbox.settings import load
from tests.conftest import ROOT, containers, docker, eventually
from tests.engine.keeping import owned
from tests.zips import zip_of

HELLO = {"python": "print('hello')", "node": "console.log('hello')", "bash": "echo hello"}

Open = Callable[..., Executor]


@pytest.fixture
def opened(real_engine: None, tmp_path: Path) -> Iterator[Open]:
    """`opened(**settings)`: an executor whose containers are all gone afterwards."""
    executors = []

    def make(**settings: Any) -> Executor:
        executors.append(Executor(load(data_dir=tmp_path, **({"pool": ""} | settings))))
        return executors[-1]

    yield make
    for executor in executors:
        executor.close()
    assert containers(tmp_path) == []


class Ledger:
    """Which container each run was carried out in: noted where the order is sent, not asked of the program."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entries: list[tuple[str, str]] = []
        """Container and owner of each run, in the order of their ends."""
        self._lock = threading.Lock()
        self._now = threading.local()
        carry_out = Container.run

        def noted(container: Container, *args: Any, **kwargs: Any) -> Any:
            reports = carry_out(container, *args, **kwargs)
            self._now.name = container.name
            return reports

        monkeypatch.setattr(Container, "run", noted)

    def run(self, executor: Executor, owner: str, language: str) -> RunResult:
        result = owned(executor)(owner, HELLO[language], language)
        assert (result.status, result.output) == (Status.OK, "hello\n"), result
        with self._lock:
            self.entries.append((f"{self._now.name} {language}", owner))
        return result

    def owners(self) -> dict[str, set[str]]:
        """Container -> who had it."""
        found: dict[str, set[str]] = {}
        for container, owner in self.entries:
            found.setdefault(container, set()).add(owner)
        return found


def test_a_stranger_never_gets_a_used_container(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners and nobody at random, in all languages and several threads: kept, waiting and cold containers mixed."""
    executor = opened(pool="python:1,node:1", max_concurrent_runs=4)
    ledger = Ledger(monkeypatch)
    choose = random.Random(14)
    wanted = [
        (choose.choice(["", "key:a", "key:b", "page:a", "page:b"]), choose.choice(list(HELLO))) for _ in range(90)
    ]
    with ThreadPoolExecutor(4) as clients:
        results = list(clients.map(lambda one: ledger.run(executor, *one), wanted))
    assert all(len(owners) == 1 for owners in ledger.owners().values())
    names = [container for container, owner in ledger.entries if owner == ""]
    assert len(names) == len(set(names)), "nobody got the same container twice"
    before = [result.runs_before for result, (owner, _) in zip(results, wanted, strict=True) if owner]
    assert sum(count > 0 for count in before) > len(before) / 3, "nearly nothing was kept"
    assert {result.runs_before for result, (owner, _) in zip(results, wanted, strict=True) if not owner} == {0}
    assert sum(count == 0 for count in before) == len({c for c, owner in ledger.entries if owner})


def test_nobodys_runs_and_batches_are_all_fresh(opened: Open) -> None:
    executor = opened()
    for _ in range(2):
        results = executor.run_many([RunRequest("python", "print(1)") for _ in range(2)])
        assert [result.runs_before for result in results] == [0, 0]
    assert executor._supply._leases.count() == 0


def test_the_batches_of_an_owner_use_his_containers(opened: Open) -> None:
    executor = opened()
    requests = [RunRequest("python", "print(1)", caller=Caller(owner="key:a")) for _ in range(2)]
    assert [result.runs_before for result in executor.run_many(requests)] == [0, 0]
    assert [result.runs_before for result in executor.run_many(requests)] == [1, 1]


def test_without_the_setting_every_run_is_fresh(opened: Open) -> None:
    run = owned(opened(keep_containers=False))
    assert [run("key:a", HELLO["python"]).runs_before for _ in range(3)] == [0, 0, 0]


def test_other_limits_get_another_container(opened: Open) -> None:
    executor = opened()
    run = owned(executor)
    usual = executor.settings.limits
    more = executor.settings.model_copy(update={"memory_mb": 160}).limits
    shorter = executor.settings.model_copy(update={"timeout_seconds": 5.0}).limits
    limits = [usual, more, usual, more, shorter]
    assert [run("key:a", "print(1)", limits=each).runs_before for each in limits] == [0, 0, 1, 1, 2]


# --- How long ---------------------------------------------------------------------------------------------


def test_a_container_is_replaced_after_its_last_run(opened: Open) -> None:
    run = owned(opened(keep_runs=3))
    assert [run("key:a", HELLO["bash"], "bash").runs_before for _ in range(5)] == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("bound", ["keep_idle_seconds", "keep_age_seconds"])
def test_a_container_that_was_kept_long_enough_is_removed(opened: Open, tmp_path: Path, bound: str) -> None:
    executor = opened(**{bound: 3})
    run = owned(executor)
    assert run("key:a", HELLO["bash"], "bash").runs_before == 0
    assert eventually(lambda: containers(tmp_path) == [], 20)
    assert executor._supply._leases.ended[bound.split("_")[1]] == 1
    assert run("key:a", HELLO["bash"], "bash").runs_before == 0


def test_two_hundred_runs_leave_the_supervisor_as_it_was(opened: Open) -> None:
    """Its memory and descriptors, seen from outside."""
    executor = opened(keep_runs=1000)
    run = owned(executor)
    data = zip_of({"main.py": "import sys; print(sys.stdin.read()[:9])", "a/b/data": bytes(100_000)})
    archive = check_archive(data, executor.settings)
    sizes = []
    for number in range(200):
        fields = {"archive": archive, "entry": "main.py"} if number % 20 == 5 else {}
        result = run("key:a", f"import os; print({number}, input()); os.fork()", stdin="x" * 5000, **fields)
        assert (result.status, result.runs_before) == (Status.OK, number), result
        if number in (20, 199):
            sizes.append(supervisor_of(executor))
    (descriptors, memory_kb), (descriptors_after, memory_kb_after) = sizes
    assert descriptors_after == descriptors
    assert memory_kb_after < memory_kb + 300


def supervisor_of(executor: Executor) -> tuple[int, int]:
    """Descriptors, and resident memory in KiB, of the supervisor in the only kept container."""
    (kept,) = executor._supply._leases._kept
    assert eventually(lambda: kept.container.hear() and kept.container.is_ready)
    process = Path("/proc") / docker("inspect", "--format", "{{.State.Pid}}", kept.container.name)
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return len(list((process / "fd").iterdir())), int(status["VmRSS"].split()[0])


# --- The end of a server ----------------------------------------------------------------------------------

KILLED_SERVER = """
import sys, time
from executor import Executor
from sandbox.models import Caller, RunRequest
from sandbox.settings import load
executor = Executor(load(data_dir=sys.argv[1], pool=""))
for language, code in (("python", "print(1)"), ("bash", "echo 1"), ("python", "print(1)")):
    result = executor.run(RunRequest(language, code, caller=Caller(owner="key:a")))
    print(result.output, result.runs_before, executor._supply._leases.count(), flush=True)
time.sleep(60)
"""


def test_a_killed_server_leaves_no_kept_container(real_engine: None, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_SERVER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert [server.stdout.readline() + server.stdout.readline() for _ in range(3)][2] == "1\n 1 2\n"
        assert len(containers(tmp_path)) == 2
        server.send_signal(signal.SIGKILL)
    assert eventually(lambda: containers(tmp_path) == [], 30)


def test_a_kept_container_killed_from_outside_costs_its_owner_no_run(opened: Open, tmp_path: Path) -> None:
    run = owned(opened())
    run("key:a", HELLO["bash"], "bash")
    docker("kill", *containers(tmp_path))
    again = run("key:a", HELLO["bash"], "bash")
    assert (again.output, again.runs_before) == ("hello\n", 0)


def test_a_container_waits_for_each_who_has_opened_the_page_and_no_more_than_fit(opened: Open) -> None:
    executor = opened(pool="python:1,node:1", pool_visitors=2)

    def waiting() -> dict[str, int]:
        return executor.numbers().containers.waiting

    for name in ("page:a", "page:b", "page:c", "page:a", ""):
        executor.expect(Caller(owner=name))
    assert eventually(lambda: waiting() == {"python": 3, "node": 1}, 20)
    assert owned(executor)("page:a", HELLO["python"]).runs_before == 0
    assert eventually(lambda: executor.numbers().containers.kept == 1)
    executor.expect(Caller(owner="page:a"))
    assert eventually(lambda: executor.numbers().containers.wanted == {"python": 2, "node": 1})


def test_visitors_get_only_what_memory_is_free(opened: Open) -> None:
    """Three containers without a program fit: the kept one of another stays, and the pool gives nothing back."""
    executor = opened(pool="python:1", containers_mb=3 * 24 + 5)
    owned(executor)("page:a", HELLO["python"])
    assert eventually(lambda: executor.numbers().containers.kept == 1)
    for number in range(9):
        executor.expect(Caller(owner=f"page:{number}"))
    assert eventually(lambda: executor.numbers().containers.wanted == {"python": 1}, 20)
    assert executor.numbers().containers.kept == 1
    assert executor.numbers().containers.waiting["python"] <= 2
