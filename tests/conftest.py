"""Fixtures over the real engine. Without one, everything that needs it fails and says how to get one."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from executor import Executor
from sandbox.engine.flags import LABEL
from sandbox.engine.image import Image
from sandbox.errors import SandboxError
from sandbox.models import RunRequest, RunResult
from sandbox.settings import Settings, load
from tests.databases import database as database
from tests.databases import new_databases as new_databases
from tests.databases import postgresql as postgresql

ROOT = Path(__file__).resolve().parent.parent

Run = Callable[..., RunResult]

LANES = ("unit", "engine", "page")

NOT_IN_UNIT = {"real_engine", "browser"}
"""Fixtures that a test in `tests/unit` must not ask for, directly or through another."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder: `engine`, `page`, or nothing for those in `tests/unit`."""
    for item in items:
        lane = lane_of(item.path)
        if lane != "unit":
            item.add_marker(lane)
        elif wrong := NOT_IN_UNIT.intersection(getattr(item, "fixturenames", ())):
            raise pytest.UsageError(f"{item.nodeid} uses {', '.join(sorted(wrong))}: it belongs to another folder.")


def lane_of(path: Path) -> str:
    """The folder below `tests` that a test lies in. `test_security.py` beside them talks to a server."""
    inner = path.relative_to(ROOT).parts
    if inner[0] != "tests":
        return "engine"
    if inner[1] not in LANES:
        raise pytest.UsageError(f"{path} lies in none of tests/{', tests/'.join(LANES)}.")
    return inner[1]


def docker(*arguments: str, check: bool = True) -> str:
    """What the docker client prints."""
    client = os.environ.get("SCE_DOCKER", "docker")
    done = subprocess.run([client, *arguments], capture_output=True, text=True, timeout=60, check=check)
    return done.stdout.strip()


def containers(data_dir: Path) -> list[str]:
    """Names of the containers, in any state, that servers with this data folder have started."""
    scope = (data_dir / "scope").read_text()
    return docker("ps", "--all", "--filter", f"label={LABEL}.scope={scope}", "--format", "{{.Names}}").split()


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether the condition came true within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


@pytest.fixture(scope="session")
def real_engine(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A container engine that answers and has the sandbox image."""
    try:
        Image.of(load(data_dir=tmp_path_factory.mktemp("check"))).check()
    except SandboxError as problem:
        pytest.fail(f"These tests need a container engine: {problem.message} (`make engine image`)", pytrace=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, with a data folder of the test's own and no waiting containers."""
    return load(data_dir=tmp_path / "data", pool="")


@pytest.fixture(scope="session")
def executor(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """One executor with the default settings for all tests; nothing may be left when it has closed."""
    data_dir = tmp_path_factory.mktemp("executor")
    with Executor(load(data_dir=data_dir)) as shared:
        yield shared
    assert containers(data_dir) == []


def runner(executor: Executor) -> Run:
    """`run(code, language="python", **fields)` with this executor."""

    def run_code(code: str, language: str = "python", **fields: object) -> RunResult:
        return executor.run(RunRequest(language=language, code=code, **fields))  # type: ignore[arg-type]

    return run_code


@pytest.fixture(scope="session")
def run(executor: Executor) -> Run:
    return runner(executor)


class Server:
    """A real server process: `python app.py` with the given settings."""

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.port = int(str(settings.pop("port", 0))) or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SCE_")}
        if "SCE_DOCKER" in os.environ:
            environment["SCE_DOCKER"] = os.environ["SCE_DOCKER"]
        environment |= {"SCE_PORT": str(self.port), "SCE_DATA_DIR": str(data_dir)}
        # Each browser of a test is a new visitor: waiting for all of them would take the CPU from the tests.
        settings = {"pool_visitors": 0} | settings
        environment |= {f"SCE_{name.upper()}": str(value) for name, value in settings.items()}
        self.log = data_dir / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "app.py")], cwd=data_dir, env=environment, stdout=log, stderr=log
            )

    def wait_ready(self, seconds: float = 60.0) -> None:
        def answers() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
            except requests.ConnectionError:
                return False

        assert eventually(answers, seconds), self.log.read_text()

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(seconds)


@contextmanager
def serve(data_dir: Path, **settings: object) -> Iterator[Server]:
    """A server that is ready, and is gone afterwards with all of its containers."""
    server = Server(data_dir, **settings)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()
        assert eventually(lambda: containers(data_dir) == []), containers(data_dir)


@pytest.fixture(scope="session")
def server(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that only talk to it."""
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def server_url(server: Server) -> str:
    return server.url


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def plain(text: str) -> str:
    """Text with what differs from run to run taken out: addresses, process ids, and the container's own uid."""
    return re.sub(r"0x[0-9a-f]+|\(pid \d+\)|node:\d+\)", "…", re.sub(r"(?<!\d)19000\d{5}(?!\d)", "65534", text))
