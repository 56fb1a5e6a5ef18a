"""Whose container is whose: what is swept at a start, and what is left alone. On the real engine."""

from __future__ import annotations

import secrets
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor import Executor
from sandbox.docker_command import LABEL
from sandbox.engine import image_for
from sandbox.instance import Instance
from sandbox.models import RunRequest
from sandbox.settings import Settings, load
from tests.conftest import ROOT, containers, docker, eventually


class ByHand:
    """Containers started with labels of our choice. The supervisor in them waits for a run that never comes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._processes: list[subprocess.Popen[bytes]] = []
        self.names: list[str] = []

    def start(self, labels: dict[str, str]) -> str:
        name = f"sce-test-{secrets.token_hex(4)}"
        words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        argv = [self._settings.docker, "run", "--interactive", "--rm", "--network", "none", "--read-only"]
        argv += ["--tmpfs", "/app", "--name", name, *words, image_for(self._settings)]
        self._processes.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        self.names.append(name)
        assert eventually(lambda: exists(name))
        return name

    def close(self) -> None:
        for process in self._processes:
            assert process.stdin and process.stdout
            process.stdin.close()
            process.stdout.close()
            process.wait(30)


def exists(name: str) -> bool:
    return docker("ps", "--quiet", "--filter", f"name=^{name}$") != ""


@pytest.fixture
def by_hand(real_engine: None, settings: Settings) -> Iterator[ByHand]:
    starter = ByHand(settings)
    yield starter
    starter.close()
    assert eventually(lambda: not any(exists(name) for name in starter.names))


@pytest.fixture
def data_dir(settings: Settings) -> Path:
    return settings.data_dir


@pytest.fixture
def enlist(data_dir: Path) -> Iterator[Callable[..., Instance]]:
    """Makes instances, of the test's data folder if not told otherwise, and closes them."""
    made: list[Instance] = []

    def enlist_one(folder: Path = data_dir) -> Instance:
        made.append(Instance(folder))
        return made[-1]

    yield enlist_one
    for instance in made:
        instance.close()


# --- Names and locks --------------------------------------------------------------------------------------


def test_instances_of_one_data_folder_share_the_scope_and_nothing_else(data_dir: Path) -> None:
    first, second = enlist(), enlist()
    assert first.scope == second.scope
    assert first.id != second.id
    assert first.labels == {f"{LABEL}.scope": first.scope, f"{LABEL}.instance": first.id}


def test_servers_with_other_data_folders_have_another_scope(tmp_path: Path) -> None:
    instances = [Instance(tmp_path / name) for name in ("a", "b")]
    assert instances[0].scope != instances[1].scope
    for instance in instances:


def test_the_scope_outlives_the_instance(data_dir: Path) -> None:
    first = enlist()
    second = enlist()
    assert second.scope == first.scope


def test_instances_that_start_at_once_agree_on_the_scope(data_dir: Path) -> None:
    made: list[Instance] = []
    threads = [threading.Thread(target=lambda: made.append(enlist())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({instance.scope for instance in made}) == 1
    assert len({instance.id for instance in made}) == 8
    for instance in made:


def test_no_two_containers_have_the_same_name(data_dir: Path) -> None:
    instance = enlist()
    assert len({instance.container_name() for _ in range(1000)}) == 1000


def test_closing_leaves_no_lock_behind(data_dir: Path) -> None:
    instance = enlist()
    assert [path.name for path in (data_dir / "instances").iterdir()] == [instance.id]
    assert list((data_dir / "instances").iterdir()) == []


def test_a_data_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Instance(tmp_path / "file" / "data")


# --- Sweeping ---------------------------------------------------------------------------------------------


def test_a_container_of_a_dead_instance_is_swept(by_hand: ByHand, settings: Settings) -> None:
    instance = enlist()
    orphan = by_hand.start(instance.labels | {f"{LABEL}.instance": "deadbeef"})
    assert instance.sweep(settings.docker) == 1
    assert not exists(orphan)


def test_containers_of_the_living_and_of_strangers_are_left_alone(by_hand: ByHand, settings: Settings) -> None:
    instance, neighbour = enlist(), enlist()
    names = [
        by_hand.start(neighbour.labels),
        by_hand.start(instance.labels),
        by_hand.start(instance.labels | {f"{LABEL}.scope": "of-somebody-else", f"{LABEL}.instance": "deadbeef"}),
        by_hand.start({}),
    ]
    assert instance.sweep(settings.docker) == 0
    assert all(exists(name) for name in names)


def test_an_instance_that_is_closed_counts_as_dead(by_hand: ByHand, settings: Settings) -> None:
    instance, gone = enlist(), enlist()
    name = by_hand.start(gone.labels)
    gone.close()
    assert instance.sweep(settings.docker) == 1
    assert not exists(name)


def test_a_lock_that_nobody_holds_counts_as_dead_and_is_cleaned_up(by_hand: ByHand, settings: Settings) -> None:
    instance = enlist()
    (settings.data_dir / "instances" / "c0ffee00").touch()
    by_hand.start(instance.labels | {f"{LABEL}.instance": "c0ffee00"})
    assert instance.sweep(settings.docker) == 1
    assert not (settings.data_dir / "instances" / "c0ffee00").exists()


@pytest.mark.parametrize("label", ["../../etc/passwd", "..", "", "a b"])
def test_a_strange_label_leads_nowhere(by_hand: ByHand, settings: Settings, label: str) -> None:
    (settings.data_dir / "instances").mkdir(parents=True)
    precious = settings.data_dir / "precious"
    precious.touch()
    instance = enlist()
    by_hand.start(instance.labels | {f"{LABEL}.instance": label})
    instance.sweep(settings.docker)
    assert precious.exists()
    assert (settings.data_dir / "scope").exists()


def test_a_label_cannot_name_a_file_elsewhere_for_removal(by_hand: ByHand, settings: Settings) -> None:
    instance = enlist()
    precious = settings.data_dir / "precious"
    precious.touch()
    by_hand.start(instance.labels | {f"{LABEL}.instance": "../precious"})
    instance.sweep(settings.docker)
    assert precious.exists()


def test_sweeping_without_an_engine_is_no_error(
    settings: Settings, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    broken = tmp_path / "client"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    instance = enlist()
    assert instance.sweep("/nowhere/docker") == 0
    assert instance.sweep(str(broken)) == 0
    assert caplog.text.count("left-over containers not looked for") == 2


def test_an_executor_sweeps_when_it_starts(by_hand: ByHand, settings: Settings) -> None:
    instance = enlist()
    orphan = by_hand.start(instance.labels | {f"{LABEL}.instance": "deadbeef"})
    neighbour = by_hand.start(instance.labels)
    with Executor(settings):
        assert not exists(orphan)
        assert exists(neighbour)


# --- The server's sudden death ----------------------------------------------------------------------------

VICTIM = """
import sys
from executor import Executor
from sandbox.models import RunRequest
from sandbox.settings import load

executor = Executor(load(data_dir=sys.argv[1], pool_python=1, pool_node=1))
executor.wait_warm(60)
executor.run(
    RunRequest(sys.argv[2], sys.argv[3]), on_output=lambda stream, text: print("running", flush=True)
)
"""
MARK = "4242.4242"
"""How long the programs sleep, so that their processes can be found on the host."""

SLEEPERS = {
    "python": "import os\nprint(1)\nif os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n"
    f"os.execlp('sleep', 'sleep', '{MARK}')",
    "node": f"console.log(1); require('child_process').spawnSync('sleep', ['{MARK}'])",
}


def sleepers() -> list[str]:
    """Command lines, on the host, of what the programs started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if words[:2] == [b"sleep", MARK.encode()]:
            found.append(path.parent.name)
    return found


@pytest.mark.parametrize("language", sorted(SLEEPERS))
def test_sigkill_of_the_server_leaves_no_container_and_no_process(
    real_engine: None, settings: Settings, language: str
) -> None:
    data_dir = settings.data_dir
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(data_dir), language, SLEEPERS[language]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert victim.stdout
    assert victim.stdout.readline() == "running\n"
    assert eventually(sleepers)
    assert len(containers(data_dir)) >= 2
    victim.kill()
    victim.wait()
    assert eventually(lambda: not sleepers(), 2)
    assert eventually(lambda: not containers(data_dir), 2)
    victim.stdout.close()


@pytest.mark.parametrize("language", sorted(SLEEPERS))
def test_a_caller_that_vanishes_stops_its_program_within_a_second(executor: Executor, language: str) -> None:
    gone = threading.Event()
    results = []
    request = RunRequest(language, SLEEPERS[language])
    thread = threading.Thread(target=lambda: results.append(executor.run(request, gone=gone.is_set)))
    thread.start()
    assert eventually(sleepers)
    gone.set()
    thread.join(1)
    assert not thread.is_alive()
    assert results[0].status.value == "cancelled"
    assert results[0].output == "1\n"
    assert sleepers() == []


def test_no_container_is_left_two_seconds_after_a_caller_vanished(real_engine: None, tmp_path: Path) -> None:
    with Executor(load(data_dir=tmp_path, pool_python=0, pool_node=0)) as executor:
        gone = threading.Event()
        request = RunRequest("python", SLEEPERS["python"])
        thread = threading.Thread(target=lambda: executor.run(request, gone=gone.is_set))
        thread.start()
        assert eventually(sleepers)
        gone.set()
        assert eventually(lambda: not containers(tmp_path), 2)
        thread.join()
