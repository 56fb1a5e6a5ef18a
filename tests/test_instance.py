"""Whose containers are swept and whose are left alone, and that a server's death takes its programs along."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from executor import Executor
from sandbox.engine.client import Client
from sandbox.engine.flags import LABEL
from sandbox.engine.image import default_name
from sandbox.engine.instance import NUMBERS, Instance
from sandbox.models import RunRequest, Status
from sandbox.settings import Settings, load
from tests.conftest import ROOT, containers, docker, eventually
from tests.processes import processes_with

CLIENT = load().docker
QUIET_REMOVAL_SECONDS = 0.25


@pytest.fixture
def made(real_engine: None) -> Iterator[list[str]]:
    """Names of containers made by hand, to be removed when the test is over."""
    names: list[str] = []
    yield names
    if names:
        docker("rm", "--force", *names, check=False)


@contextlib.contextmanager
def instance_in(data_dir: Path) -> Iterator[Instance]:
    instance = Instance(data_dir)
    try:
        yield instance
    finally:
        instance.close()


def make_container(made: list[str], labels: dict[str, str], *, running: bool = False) -> str:
    """A container of the sandbox image with these labels: one that sleeps, or one that was never started."""
    made.append(f"sce-test-{uuid.uuid4().hex[:8]}")
    flags = [flag for name, value in labels.items() for flag in ("--label", f"{name}={value}")]
    flags += ["--name", made[-1], "--network", "none", "--pull", "never", "--entrypoint", "sleep"]
    docker(*(["run", "--detach"] if running else ["create"]), *flags, default_name(), "60")
    return made[-1]


def exists(name: str) -> bool:
    return docker("ps", "--all", "--filter", f"name=^{name}$", "--format", "{{.Names}}") == name


@pytest.fixture
def slowness(made: list[str]) -> float:
    """How many times slower than it should be the engine removes a container now; 1 on a quiet machine."""
    name = make_container(made, {}, running=True)
    started = time.monotonic()
    docker("rm", "--force", name)
    return max(1.0, (time.monotonic() - started) / QUIET_REMOVAL_SECONDS)


# --- The sweep --------------------------------------------------------------------------------------------


def test_a_sweep_removes_what_a_dead_instance_left(tmp_path: Path, made: list[str]) -> None:
    dead = Instance(tmp_path)
    labels = dead.labels
    dead.close()
    left = [make_container(made, labels), make_container(made, labels, running=True)]
    with instance_in(tmp_path) as instance:
        assert instance.sweep(Client(CLIENT)) == 2
        assert not any(exists(name) for name in left)
        assert instance.sweep(Client(CLIENT)) == 0


def test_a_sweep_believes_the_lock_and_not_the_file(tmp_path: Path, made: list[str]) -> None:
    with instance_in(tmp_path) as instance:
        name = make_container(made, instance.labels | {f"{LABEL}.instance": "deadbeef"})
        left_lock = tmp_path / "instances" / "deadbeef"
        left_lock.touch()  # as after a SIGKILL: the file is there, and nobody holds it
        assert instance.sweep(Client(CLIENT)) == 1
        assert not exists(name) and not left_lock.exists()


def test_a_sweep_spares_the_living_and_the_strangers(tmp_path: Path, made: list[str]) -> None:
    with (
        instance_in(tmp_path / "ours") as sweeper,
        instance_in(tmp_path / "ours") as living,
        instance_in(tmp_path / "theirs") as stranger,
    ):
        spared = [
            make_container(made, living.labels),
            make_container(made, sweeper.labels),
            make_container(made, stranger.labels),
            make_container(made, stranger.labels | {f"{LABEL}.instance": "deadbeef"}),
            make_container(made, {}),
        ]
        assert sweeper.sweep(Client(CLIENT)) == 0
        assert all(exists(name) for name in spared)


def test_an_instance_label_that_is_a_path_is_not_followed(tmp_path: Path, made: list[str]) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    with instance_in(tmp_path) as instance:
        make_container(made, instance.labels | {f"{LABEL}.instance": "../precious"})
        instance.sweep(Client(CLIENT))
    assert precious.read_text() == "kept"


def test_an_executor_sweeps_when_it_starts(settings: Settings, made: list[str]) -> None:
    dead = Instance(settings.data_dir)
    name = make_container(made, dead.labels, running=True)
    dead.close()
    with Executor(settings):
        assert not exists(name)


@pytest.mark.parametrize("client", ["no-such-docker-client", "false", "true"])
def test_a_sweep_without_a_working_client_removes_nothing_and_does_not_raise(tmp_path: Path, client: str) -> None:
    with instance_in(tmp_path) as instance:
        assert instance.sweep(Client(client)) == 0


def test_a_sweep_of_an_engine_that_is_away_does_not_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with instance_in(tmp_path) as instance:
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
    with instance_in(tmp_path) as instance:
        numbers = [instance.new_number() for _ in range(NUMBERS + 1)]
    assert set(numbers[:-1]) == set(range(NUMBERS))
    assert numbers[-1] == numbers[0]


def test_the_scope_outlives_its_instances(tmp_path: Path) -> None:
    with instance_in(tmp_path) as first:
        pass
    with instance_in(tmp_path) as second:
        assert (first.scope == second.scope, first.id == second.id) == (True, False)


def test_the_next_start_removes_the_locks_of_the_dead_and_nothing_else(settings: Settings, real_engine: None) -> None:
    locks = settings.data_dir / "instances"
    with instance_in(settings.data_dir) as living:
        for name in ("deadbeef", "0badcafe", "notes.txt"):
            (locks / name).touch()  # as after a SIGKILL, when no container was left
        (locks / "12345678").mkdir()
        with Executor(settings) as executor:
            own = executor._supply.instance.id
            assert {path.name for path in locks.iterdir()} == {living.id, own, "notes.txt", "12345678"}


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


# --- The end of a run, and of a server --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "code"), [("python", "print(1)\nwhile True: pass"), ("node", "console.log(1); for (;;) {}")]
)
def test_a_run_whose_caller_has_gone_ends_within_a_second(
    settings: Settings, slowness: float, language: str, code: str
) -> None:
    gone_at: list[float] = []
    with Executor(settings) as executor:
        result = executor.run(
            RunRequest(language, code),
            on_output=lambda *_: gone_at.append(time.monotonic()),
            gone=lambda: bool(gone_at),
        )
        assert time.monotonic() - gone_at[0] < 1.0 * slowness
        assert (result.status, result.output, result.error) == (Status.CANCELLED, "1\n", "Execution cancelled.")
        assert eventually(lambda: containers(settings.data_dir) == [], 2.0 * slowness)


def test_no_container_is_left_two_seconds_after_a_timeout(settings: Settings, slowness: float) -> None:
    with Executor(settings.model_copy(update={"timeout_seconds": 0.5})) as executor:
        assert executor.run(RunRequest("python", "while True: pass")).status is Status.TIMEOUT
        assert eventually(lambda: containers(settings.data_dir) == [], 2.0 * slowness)


KILLED_SERVER = """
import sys
from executor import Executor
from sandbox.models import RunRequest
from sandbox.settings import load
with Executor(load(data_dir=sys.argv[1], pool="python:1,node:1")) as executor:
    executor.wait_warm(60)
    request = RunRequest("python", sys.argv[2])
    executor.run(request, on_output=lambda _, text: print(text, end="", flush=True))
"""


def test_a_server_killed_while_a_program_runs_leaves_nothing_behind(tmp_path: Path, slowness: float) -> None:
    mark = uuid.uuid4().hex
    program = (
        "import os, sys; print(1)\n"
        f"os.execv(sys.executable, ['python3', '-c', 'import time; print(2, flush=True); time.sleep(60)', '{mark}'])"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", KILLED_SERVER, str(tmp_path), program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout is not None
        assert [server.stdout.readline() for _ in range(2)] == ["1\n", "2\n"]
        assert len(processes_with(mark)) == 1
        assert len(containers(tmp_path)) >= 1
        server.send_signal(signal.SIGKILL)
        server.wait()
        assert eventually(lambda: processes_with(mark) == [], 2.0)
        assert eventually(lambda: containers(tmp_path) == [], 2.0 * slowness)
