"""Whose containers are swept and whose are left alone, and that a server's death takes its programs along."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from executor import Executor
from sandbox.engine.client import Client
from sandbox.engine.flags import LABEL
from sandbox.engine.image import default_name
from sandbox.engine.instance import Instance
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
    with closing(Instance(tmp_path)) as instance:
        assert instance.sweep(Client(CLIENT)) == 2
        assert not any(exists(name) for name in left)
        assert instance.sweep(Client(CLIENT)) == 0


def test_a_sweep_believes_the_lock_and_not_the_file(tmp_path: Path, made: list[str]) -> None:
    with closing(Instance(tmp_path)) as instance:
        name = make_container(made, instance.labels | {f"{LABEL}.instance": "deadbeef"})
        left_lock = tmp_path / "instances" / "deadbeef"
        left_lock.touch()  # as after a SIGKILL: the file is there, and nobody holds it
        assert instance.sweep(Client(CLIENT)) == 1
        assert not exists(name) and not left_lock.exists()


def test_a_sweep_spares_the_living_and_the_strangers(tmp_path: Path, made: list[str]) -> None:
    with (
        closing(Instance(tmp_path / "ours")) as sweeper,
        closing(Instance(tmp_path / "ours")) as living,
        closing(Instance(tmp_path / "theirs")) as stranger,
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
    with closing(Instance(tmp_path)) as instance:
        make_container(made, instance.labels | {f"{LABEL}.instance": "../precious"})
        instance.sweep(Client(CLIENT))
    assert precious.read_text() == "kept"


def test_an_executor_sweeps_when_it_starts(settings: Settings, made: list[str]) -> None:
    dead = Instance(settings.data_dir)
    name = make_container(made, dead.labels, running=True)
    dead.close()
    with Executor(settings):
        assert not exists(name)


def test_the_next_start_removes_the_locks_of_the_dead_and_nothing_else(settings: Settings, real_engine: None) -> None:
    locks = settings.data_dir / "instances"
    with closing(Instance(settings.data_dir)) as living:
        for name in ("deadbeef", "0badcafe", "notes.txt"):
            (locks / name).touch()  # as after a SIGKILL, when no container was left
        (locks / "12345678").mkdir()
        with Executor(settings) as executor:
            own = executor._supply.instance.id
            assert {path.name for path in locks.iterdir()} == {living.id, own, "notes.txt", "12345678"}


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
