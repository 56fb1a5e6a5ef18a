"""An instance's names and its lock; a sweep without an engine."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.engine.client import Client
from sandbox.engine.instance import NUMBERS, Instance
from sandbox.settings import load
from tests.conftest import ROOT

CLIENT = load().docker


@pytest.mark.parametrize("client", ["no-such-docker-client", "false", "true"])
def test_a_sweep_without_a_working_client_removes_nothing_and_does_not_raise(tmp_path: Path, client: str) -> None:
    with closing(Instance(tmp_path)) as instance:
        assert instance.sweep(Client(client)) == 0


def test_a_sweep_of_an_engine_that_is_away_does_not_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with closing(Instance(tmp_path)) as instance:
        assert instance.sweep(Client(CLIENT)) == 0


# --- Names and locks --------------------------------------------------------------------------------------


def test_instances_that_start_at_once_agree_on_the_scope_and_on_nothing_else(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sandbox.engine.instance import Instance\n"
        "i = Instance(Path(sys.argv[1])); print(i.scope, i.id, i.new_number())"
    )

    def start(_: int) -> list[str]:
        argv = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

    with ThreadPoolExecutor(4) as workers:
        answers = list(workers.map(start, range(4)))
    scopes, ids, numbers = (set(column) for column in zip(*answers, strict=True))
    assert (len(scopes), len(ids), len(numbers)) == (1, 4, 4)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["scope"]


def test_a_number_is_given_again_only_when_all_others_have_been(tmp_path: Path) -> None:
    with closing(Instance(tmp_path)) as instance:
        numbers = [instance.new_number() for _ in range(NUMBERS + 1)]
    assert set(numbers[:-1]) == set(range(NUMBERS))
    assert numbers[-1] == numbers[0]


def test_the_scope_outlives_its_instances(tmp_path: Path) -> None:
    with closing(Instance(tmp_path)) as first:
        pass
    with closing(Instance(tmp_path)) as second:
        assert (first.scope == second.scope, first.id == second.id) == (True, False)


def test_a_lock_taken_for_a_dead_one_while_its_server_starts_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda count: "ab" * count)
    path = tmp_path / "instances" / ("ab" * 4)
    path.parent.mkdir()
    with ThreadPoolExecutor(1) as starter, path.open("w") as sweeper:
        fcntl.flock(sweeper, fcntl.LOCK_EX)  # a sweep found the file before its maker had locked it
        starting = starter.submit(Instance, tmp_path)
        time.sleep(0.2)
        assert not starting.done()
        path.unlink()
        sweeper.close()
        instance = starting.result(5)
    with contextlib.closing(instance), path.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_closing_gives_up_the_lock(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    assert (tmp_path / "instances" / instance.id).exists()
    instance.close()
    assert list((tmp_path / "instances").iterdir()) == []
