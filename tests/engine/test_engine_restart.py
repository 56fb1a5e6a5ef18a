"""Engines and servers that come and go, as real processes. The engine here is the tests' own, beside the usual one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from executor import Executor
from sandbox.box import container
from sandbox.engine.image import Image
from sandbox.errors import EngineError
from sandbox.settings import load
from tests.conftest import Server, containers, docker, eventually, serve
from tests.engine.keeping import owned

START_SECONDS = 60
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
CONTAINERD_CONFIG = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'


class OwnEngine:
    """A `dockerd` and a `containerd` that share nothing with others on this machine, below one short path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = f"unix://{root}/docker.sock"
        self.address = f"{root}/containerd.sock"
        (root / "containerd.toml").write_text(CONTAINERD_CONFIG)
        self._containerd = self._spawn(
            ["containerd", "--config", f"{root}/containerd.toml", "--address", self.address]
            + ["--root", f"{root}/containerd", "--state", f"{root}/containerd-state"]
        )
        assert eventually(lambda: Path(self.address).exists(), START_SECONDS), self._log()
        self._dockerd: subprocess.Popen[bytes] | None = None
        # A client of its own, not DOCKER_HOST: the executor that other tests share lives in this process.
        self.client = root / "docker"
        self.client.write_text(f'#!/bin/sh\nexec docker --host {self.host} "$@"\n')
        self.client.chmod(0o755)

    def start(self) -> None:
        # In a network of its own: a dockerd with another bridge removes docker0, and with it the network of
        # every container of the engine that is there already.
        self._dockerd = self._spawn(
            [
                "unshare",
                "--net",
                "dockerd",
                "--host",
                self.host,
                "--containerd",
                self.address,
                "--pidfile",
                f"{self.root}/docker.pid",
            ]
            + ["--data-root", f"{self.root}/data", "--exec-root", f"{self.root}/exec"]
            + ["--bridge", "none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
        )
        assert eventually(self.answers, START_SECONDS), self._log()

    def end(self, how: signal.Signals) -> None:
        """End `dockerd` and wait until it is gone."""
        assert self._dockerd
        self._dockerd.send_signal(how)
        self._dockerd.wait(START_SECONDS)
        self._dockerd = None

    @contextlib.contextmanager
    def locked_up(self) -> Iterator[None]:
        """`dockerd` answers, and every start and removal of a container hangs, as in a deadlock of its own."""
        self._containerd.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._containerd.send_signal(signal.SIGCONT)

    def answers(self) -> bool:
        assert self._dockerd
        assert self._dockerd.poll() is None, self._log()
        question = ["docker", "--host", self.host, "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(question, capture_output=True, timeout=START_SECONDS, check=False).returncode == 0

    def load(self, image: str) -> None:
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as save:
            subprocess.run(["docker", "--host", self.host, "load"], stdin=save.stdout, capture_output=True, check=True)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            if self._dockerd:
                self.end(signal.SIGTERM)
        self._containerd.terminate()
        self._containerd.wait(START_SECONDS)
        for pid in self._shims():
            os.kill(pid, signal.SIGKILL)
        for mount in reversed(self._mounts()):
            subprocess.run(["umount", "--lazy", mount], check=False)

    def containers(self) -> list[str]:
        """Names of the containers it has, in any state.

        Docker 20.10 that was killed sometimes removes a container twice at its next start, and then lists it as
        `Dead` until the start after that: without a name or a file, and unknown to everything but the list.
        """
        listed = docker("ps", "--all", "--quiet").split()
        return [name for each in listed if (name := docker("inspect", "--format", "{{.Name}}", each, check=False))]

    def left_behind(self) -> list[int]:
        """Processes in containers of this engine: those that a shim of its containerd has started.

        Not the shims: one that starts while `dockerd` is killed stays until containerd ends, with nothing in it.
        """
        shims = self._shims()
        return [pid for pid in all_pids() if parent(pid) in shims]

    def _shims(self) -> list[int]:
        ours = self.address.encode()
        return [pid for pid in all_pids() if b"containerd-shim" in (line := command_line(pid)) and ours in line]

    def _mounts(self) -> list[str]:
        points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
        return [point for point in points if point.startswith(f"{self.root}/")]

    def _spawn(self, argv: list[str]) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PATH": f"{os.environ['PATH']}:{SBIN}"}
        with (self.root / "log").open("ab") as log:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def _log(self) -> str:
        return (self.root / "log").read_text()[-3000:]


def all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def command_line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def parent(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


@pytest.fixture(scope="module")
def started_engine(real_engine: None) -> Iterator[OwnEngine]:
    missing = [
        name for name in ("dockerd", "containerd") if not shutil.which(name, path=f"{os.environ['PATH']}:{SBIN}")
    ]
    if os.geteuid() or missing:
        pytest.fail(
            "These tests start and stop a Docker engine of their own, which takes root and `dockerd` and "
            f"`containerd` on this machine (missing: {', '.join(missing) or 'root'}).",
            pytrace=False,
        )
    # A path of our own choosing, because a socket's may not be longer than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="sce-") as root:
        own = OwnEngine(Path(root))
        try:
            own.start()
            own.load(Image.of(load(data_dir=Path(root))).name)
            yield own
        finally:
            own.close()


@pytest.fixture
def own_engine(started_engine: OwnEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnEngine]:
    """The tests' own engine, which every executor and server that is made now talks to."""
    monkeypatch.setenv("SCE_DOCKER", str(started_engine.client))
    yield started_engine
    # A loaded machine takes a while over what a killed engine left half done.
    assert eventually(lambda: not started_engine.containers(), 30), docker("ps", "--all")
    leftovers = started_engine.left_behind
    assert eventually(lambda: not leftovers(), 30), [command_line(pid) for pid in leftovers()]


def post(server: Server, code: str = "print('hello')", seconds: float = 60) -> requests.Response:
    return requests.post(f"{server.url}/run", json={"code": code, "language": "python"}, timeout=seconds)


def timed_post(server: Server) -> tuple[requests.Response, float]:
    started = time.monotonic()
    answer = post(server)
    return answer, time.monotonic() - started


def warm(server: Server, count: int) -> set[str]:
    """The names of the waiting containers, once there are so many."""
    assert eventually(lambda: len(containers(server.data_dir)) == count, START_SECONDS), server.log.read_text()
    return set(containers(server.data_dir))


# --- The engine goes and comes back -----------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_survives_its_engine(own_engine: OwnEngine, tmp_path: Path, how: signal.Signals) -> None:
    with serve(tmp_path, pool="python:2,node:1") as server:
        before = warm(server, 3)
        assert post(server).json()["output"] == "hello\n"
        own_engine.end(how)
        try:
            for _ in range(3):
                answer, seconds = timed_post(server)
                assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")
                assert "engine" in answer.json()["error"]
                assert seconds < 5
            assert requests.get(f"{server.url}/healthz", timeout=5).status_code == 200
            assert eventually(lambda: requests.get(f"{server.url}/readyz", timeout=10).status_code == 503, 5)
        finally:
            own_engine.start()
        assert post(server).json()["output"] == "hello\n", "it did not recover at once"
        assert not warm(server, 3) & before, "containers from before the restart are still waiting"
        assert post(server).json()["output"] == "hello\n"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_whose_engine_dies_is_answered(own_engine: OwnEngine, tmp_path: Path, how: signal.Signals) -> None:
    with serve(tmp_path, pool="", timeout_seconds=60) as server, ThreadPoolExecutor(1) as client:
        answer = client.submit(post, server, "import time; time.sleep(50)")
        (name,) = warm(server, 1)
        assert eventually(lambda: "user_code.py" in docker("top", name, check=False), START_SECONDS)
        time.sleep(0.5)
        own_engine.end(how)
        try:
            assert answer.result(5).status_code == 500, "503 says that nothing was run"
            assert answer.result().json()["code"] == "container_lost"
        finally:
            own_engine.start()
        assert eventually(lambda: containers(tmp_path) == [], 30)
        assert post(server).json()["output"] == "hello\n"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_kept_containers_of_an_engine_that_went_are_replaced(
    own_engine: OwnEngine, tmp_path: Path, how: signal.Signals
) -> None:
    with Executor(load(data_dir=tmp_path, pool="")) as executor:
        run = owned(executor)
        assert [run("key:a", "print(1)").runs_before for _ in range(2)] == [0, 1]
        own_engine.end(how)
        try:
            with pytest.raises(EngineError):
                run("key:a", "print(1)")
        finally:
            own_engine.start()
        results = [run("key:a", "print(1)") for _ in range(2)]
        assert [(result.output, result.runs_before) for result in results] == [("1\n", 0), ("1\n", 1)]
        assert len(own_engine.containers()) == 1


def test_an_engine_that_answers_and_starts_nothing_is_not_ready(
    own_engine: OwnEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "START_SECONDS", 2.0)
    monkeypatch.setattr(container, "KILL_SECONDS", 2.0)

    def ready() -> bool:
        try:
            executor.check_ready()
        except EngineError:
            return False
        return True

    with contextlib.ExitStack() as stack:
        with own_engine.locked_up():
            executor = stack.enter_context(Executor(load(data_dir=tmp_path, pool="python:1")))
            assert eventually(lambda: not ready(), 20)
            Image.of(executor.settings).check()
        assert eventually(ready, START_SECONDS)
        assert executor.wait_warm(1)


# --- The server goes --------------------------------------------------------------------------------------


def test_sigterm_with_a_full_queue_answers_everybody(real_engine: None, tmp_path: Path) -> None:
    with (
        serve(tmp_path, pool="python:1", max_concurrent_runs=1, queue_size=4) as server,
        ThreadPoolExecutor(6) as clients,
    ):
        running = clients.submit(post, server, "import time; time.sleep(4); print('finished')")
        time.sleep(0.5)
        queued: list[Future[requests.Response]] = [clients.submit(post, server) for _ in range(4)]
        time.sleep(0.5)
        assert post(server).json()["code"] == "busy", "the queue was not full"
        asked = time.monotonic()
        server.process.terminate()
        for future in queued:
            assert (future.result(5).status_code, future.result().json()["code"]) == (503, "busy")
        assert time.monotonic() - asked < 2, "those who waited were kept waiting"
        assert running.result(30).json()["output"] == "finished\n"
        assert server.process.wait(30) == 0
        assert containers(tmp_path) == []
