"""What an owner may use, on the real engine: charged with what programs really used."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from executor import Executor
from sandbox.errors import ContainerLost, QuotaExceeded
from sandbox.models import Caller, RunRequest
from sandbox.settings import load
from tests.conftest import containers, docker, eventually
from tests.fakes import serving

ADA, BOB = Caller("192.0.2.1", "page:ada"), Caller("192.0.2.1", "page:bob")
HOUR_SECONDS = 20
"""What an hour is here."""
BURN = "import time\nwhile time.process_time() < 1.2: pass"


@pytest.fixture
def small(real_engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    """An executor that gives each owner three programs at once, and a CPU second in twenty."""
    monkeypatch.setattr("sandbox.quotas.HOUR_SECONDS", HOUR_SECONDS)
    settings = load(data_dir=tmp_path, pool="python:1", owner_runs_at_once=3, owner_cpu_seconds_per_hour=1, port=0)
    with Executor(settings) as executor:
        yield executor
    assert containers(tmp_path) == []


def left(executor: Executor, caller: Caller) -> float:
    seconds = executor.allowance(caller).cpu_seconds_per_hour.left
    assert seconds is not None
    return seconds


def test_who_has_spent_his_cpu_seconds_gets_429_until_some_are_back(small: Executor) -> None:
    with serving(small.settings, small) as url:  # type: ignore[arg-type]

        def run(code: str, **headers: str) -> requests.Response:
            return requests.post(f"{url}/run", json={"code": code}, headers=headers, timeout=30)

        assert run(BURN).json()["status"] == "ok"
        refused = run("print(1)")
        assert (refused.status_code, refused.json()["code"]) == (429, "quota")
        assert "1 CPU seconds an hour" in refused.json()["error"]
        streamed = run("print(1)", Accept="text/event-stream")
        assert streamed.status_code == 429
        assert streamed.headers["Content-Type"] == "application/json"
        seconds = int(refused.headers["Retry-After"])
        assert 1 <= seconds <= HOUR_SECONDS
        time.sleep(seconds)
        assert run("print(1)").json()["output"] == "1\n"


def test_waiting_costs_nothing_and_computing_what_it_took(small: Executor) -> None:
    small.run(RunRequest("python", "import time\ntime.sleep(1.5)", caller=ADA))
    assert left(small, ADA) > 0.8
    small.run(RunRequest("python", BURN, caller=BOB))
    assert left(small, BOB) == 0


def test_a_run_in_a_kept_container_pays_for_itself_alone(small: Executor) -> None:
    burn = "import time\nwhile time.process_time() < 0.7: pass"
    small.run(RunRequest("python", burn, caller=ADA))
    before = left(small, ADA)
    hello = RunRequest("python", "print(1)", caller=ADA)
    assert eventually(lambda: small.run(hello).runs_before, 30)
    assert left(small, ADA) > before / 2


def test_a_program_that_outlives_its_supervisor_pays_all_the_same(small: Executor, tmp_path: Path) -> None:
    up = threading.Event()
    code = "print('up', flush=True)\nwhile True: pass"

    def lose_it() -> None:
        assert up.wait(30)
        time.sleep(1.5)
        docker("kill", *containers(tmp_path), check=False)

    killer = threading.Thread(target=lose_it)
    killer.start()
    with pytest.raises(ContainerLost):
        small.run(RunRequest("python", code, caller=ADA), on_output=lambda *_: up.set())
    killer.join()
    with pytest.raises(QuotaExceeded):
        small.run(RunRequest("python", "print(1)", caller=ADA))


def test_a_batch_counts_whole_or_not_at_all(small: Executor) -> None:
    requests = [RunRequest("python", f"print({number})", caller=ADA) for number in range(4)]
    with pytest.raises(QuotaExceeded, match="At most 3 programs"):
        small.run_many(requests)
    assert small.allowance(ADA).runs_at_once.left == 3
    assert [result.output for result in small.run_many(requests[:3])] == ["0\n", "1\n", "2\n"]
    assert small.allowance(ADA).runs_at_once.left == 3


def test_those_who_call_the_executor_itself_have_no_bounds(small: Executor) -> None:
    small.run(RunRequest("python", BURN))
    results = small.run_many([RunRequest("python", "print(1)") for _ in range(4)])
    assert [result.output for result in results] == ["1\n"] * 4
