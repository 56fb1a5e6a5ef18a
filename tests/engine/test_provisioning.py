"""From a fresh clone to a server: the virtual environment, the engine, and the server's own image."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from executor import Executor
from sandbox.engine import image as images
from sandbox.engine.client import Client
from sandbox.engine.image import Image
from sandbox.models import RunRequest
from sandbox.settings import Settings, load
from scripts import engine as engine_script
from scripts import image
from scripts.stages import Stage
from tests.commands import PYTHON, run
from tests.commands import clone as clone
from tests.conftest import ROOT, docker, eventually, free_port


def test_preparing_what_is_prepared_is_quick_and_changes_nothing(real_engine: None, settings: Settings) -> None:
    run("make", "image")
    before = (Image.of(settings).id(), docker("info", "--format", "{{.ID}}"))
    started = time.monotonic()
    again = run("make", "image")
    assert again.returncode == 0
    assert "Container engine … " in again.stdout and "Sandbox image … " in again.stdout
    assert again.stdout.count("ready (") == 2
    assert time.monotonic() - started < 10
    assert (Image.of(settings).id(), docker("info", "--format", "{{.ID}}")) == before


# --- Python -----------------------------------------------------------------------------------------------


def test_venv_is_made_once_and_made_again_when_it_is_broken(clone: Path) -> None:
    first = run("scripts/venv", cwd=clone)
    assert (first.returncode, first.stdout.count("==>")) == (0, 3), first.stdout
    assert (run("scripts/venv", cwd=clone).stdout) == ""
    (clone / ".venv/bin/python").unlink()
    assert "==> Python environment ready" in run("scripts/venv", cwd=clone).stdout
    assert run(".venv/bin/python", "-c", "print(42)", cwd=clone).stdout == "42\n"


def test_changed_requirements_are_installed(clone: Path) -> None:
    run("scripts/venv", cwd=clone)
    (clone / "requirements.txt").write_text("# changed\n")
    assert "packages of requirements.txt … installed" in run("scripts/venv", cwd=clone).stdout


@pytest.mark.parametrize("has_uv", [True, False])
def test_where_uv_cannot_be_had_pip_installs(clone: Path, has_uv: bool) -> None:
    lock = (ROOT / "scripts/uv.txt").read_text() if has_uv else f"uv==0.0.1 --hash=sha256:{'0' * 64}\n"
    (clone / "scripts/uv.txt").write_text(lock)
    click = re.search(r"^click==.*\n(?: +--hash.*\n)+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert click
    (clone / "requirements.txt").write_text(click[0])
    assert "packages of requirements.txt … installed" in run("scripts/venv", cwd=clone).stdout
    assert (clone / ".venv/bin/uv").exists() == has_uv
    assert run(".venv/bin/python", "-c", "import click", cwd=clone).returncode == 0


def test_a_folder_called_venv_that_is_none_is_left_alone(clone: Path) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv/precious").write_text("mine")
    done = run("scripts/venv", cwd=clone)
    assert (done.returncode, (clone / ".venv/precious").read_text()) == (1, "mine")
    assert "no virtual environment" in done.stdout


# --- The engine -------------------------------------------------------------------------------------------


def test_engine_status_tells_by_its_exit_code(real_engine: None) -> None:
    assert run(PYTHON, "-m", "scripts.engine", "status").returncode == 0
    dead = run(PYTHON, "-m", "scripts.engine", "status", DOCKER_HOST="unix:///nonexistent")
    assert (dead.returncode, "no answer" in dead.stdout) == (1, True)


@pytest.mark.parametrize("has_service_script", [False, True])
def test_a_stopped_engine_is_started_despite_stale_pid_files(has_service_script: bool) -> None:
    """Either way it collects garbage less often, which is CPU that each container would take.

    In namespaces of its own, so that the machine's engine, sockets, networks and images are out of reach.

    The pid files name a process that lives and is no daemon, as after a crash and some time: 1 is the shell.
    """
    if os.geteuid() != 0 or not engine_script._find_dockerd():
        pytest.fail(
            "This test starts an engine, which takes root and `dockerd` (`make engine` as root).", pytrace=False
        )
    # The package's own script does not work in every sandbox: it raises limits.
    service_script = (
        "printf '#!/bin/sh\\ndockerd >/dev/null 2>&1 &\\n' > /etc/init.d/docker; chmod +x /etc/init.d/docker"
    )
    script = f"""
        set -eu
        mount -t tmpfs none /var/lib/docker
        mount -t tmpfs none /run
        mkdir -p /etc/init.d
        mount -t tmpfs none /etc/init.d
        {service_script if has_service_script else ""}
        ip link set lo up
        mkdir -p /run/docker/containerd
        echo $$ > /run/docker.pid
        echo $$ > /run/docker/containerd/containerd.pid
        {PYTHON} -m scripts.engine start
        {PYTHON} -m scripts.engine start
        {PYTHON} -m scripts.engine status
        tr '\\0' '\\n' </proc/$(cat /run/docker.pid)/environ | grep '^GOGC='
    """
    isolated = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--propagation", "private"]
    done = run(*isolated, "sh", "-c", script, DOCKER_HOST="unix:///var/run/docker.sock", SCE_DOCKER="docker")
    assert done.returncode == 0, done.stdout
    assert "removing the stale docker.pid" in done.stdout
    assert "removing the stale containerd.pid" in done.stdout
    way = "/etc/init.d/docker start" if has_service_script else "dockerd in the background"
    assert done.stdout.count(way) == 1
    assert "service script failed" not in done.stdout
    assert "GOGC=400" in done.stdout.splitlines()
    assert " started (" in done.stdout
    assert " ready (" in done.stdout


def test_the_image_holds_what_runs_need_and_nothing_to_climb_on(real_engine: None, settings: Settings) -> None:
    """Names on PATH, versions, byte code of the standard library, no setuid, no recipe."""
    script = """
        for name in python python3 node; do command -v $name; done
        python3 -c 'import sys; print(sys.version_info[:2], sys.flags.safe_path)'
        node -p 'process.version.split(".")[0]'
        python3 -c 'import json, pathlib; print(pathlib.Path(json.__cached__).exists())'
        python3 -m pip --version | cut -d' ' -f1
        find / -xdev -type f -perm /6000
        ls -A /sandbox
        find /var/lib/apt/lists /var/cache -type f
    """
    name = Image.of(settings).name
    seen = docker("run", "--rm", "--network", "none", "--read-only", "--entrypoint", "sh", name, "-c", script).split(
        "\n"
    )
    paths = ["/usr/local/bin/python", "/usr/local/bin/python3", "/usr/local/bin/node"]
    guest = {f"{path.stem}.pyc" for path in images.GUEST.glob("*.py")}
    assert seen[:7] == [*paths, "(3, 11) False", "v20", "True", "pip"]
    assert set(seen[7:]) == guest | {"warm_up.cjs", "passwd"}


def test_the_supervisor_imports_little(real_engine: None, settings: Settings) -> None:
    """Each of the heavy modules would cost every start of a container several milliseconds of CPU."""
    script = "python3 -I -S -X importtime /sandbox/supervisor.pyc 1 2>&1 >/dev/null </dev/null"
    name = Image.of(settings).name
    flags = ("--network", "none", "--tmpfs", "/etc/sandbox", "--entrypoint", "sh")
    lines = docker("run", "--rm", *flags, name, "-c", script).splitlines()
    imported = {line.split("|")[-1].strip() for line in lines if line.startswith("import time:")}
    heavy = {"collections", "contextlib", "ctypes", "enum", "json", "os", "re", "signal", "site", "subprocess"}
    assert {"_ctypes", "_signal", "select"} <= imported
    assert not imported & heavy


def test_an_extended_image_runs_programs_with_what_it_adds(
    real_engine: None, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {images.default_name()}\n"
        "RUN echo 'ANSWER = 42' > $(python3 -c 'import site; print(site.getsitepackages()[0])')/extra.py\n"
    )
    mine = settings.model_copy(update={"image": f"safe-code-executor/test-extended:{os.getpid()}"})
    images.build(Client(mine.docker), ["--force-rm", "--tag", mine.image, str(tmp_path)])
    try:
        with Executor(mine) as executor:
            result = executor.run(RunRequest(language="python", code="import extra; print(extra.ANSWER)"))
    finally:
        docker("rmi", mine.image)
    assert (result.output, result.exit_code) == ("42\n", 0)


# --- The server in a container ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server_base(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python base from which pip reaches its index: where this machine trusts a proxy, so must the base."""
    with closing(image.Workshop()) as workshop:
        base = image.bases(Client(load().docker), workshop, Stage("bases"))["PYTHON_BASE"]
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if not bundle:
        return base
    folder = tmp_path_factory.mktemp("base")
    shutil.copy(bundle, folder / "bundle.crt")
    (folder / "Dockerfile").write_text(
        f"FROM {base}\nCOPY bundle.crt /etc/ssl/certs/ca-certificates.crt\n"
        "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt\n"
    )
    images.build(Client(load().docker), ["--force-rm", "--tag", "safe-code-executor/test-base", str(folder)])
    return "safe-code-executor/test-base"


@pytest.fixture(scope="module")
def server_image(server_base: str) -> str:
    """Stays on the engine, so that the next build is quick; the one it replaces goes."""
    name = "safe-code-executor/test-server"
    before = docker("images", "--quiet", name)
    words = ["--force-rm", "--tag", name, "--build-arg", f"PYTHON_BASE={server_base}", str(ROOT)]
    images.build(Client(load().docker), words)
    if before and before != docker("images", "--quiet", name):
        docker("rmi", before, check=False)
    return name


def compose() -> dict[str, Any]:
    service: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["server"]
    return service


def test_compose_publishes_on_loopback_only() -> None:
    assert all(port.startswith("127.0.0.1:") for port in compose()["ports"])


def compose_flags() -> list[str]:
    """What compose.yaml restricts, as flags of `docker run`."""
    service = compose()
    flags = ["--read-only"] if service["read_only"] else []
    for key, flag in (("tmpfs", "tmpfs"), ("cap_drop", "cap-drop"), ("cap_add", "cap-add")):
        flags += [f"--{flag}={value}" for value in service[key]]
    return flags + [f"--security-opt={value}" for value in service["security_opt"]]


@pytest.fixture(params=[pytest.param([], id="plain"), pytest.param(compose_flags(), id="compose")])
def server_container(request: pytest.FixtureRequest, server_image: str) -> Iterator[tuple[str, str]]:
    """Name and URL of the server in a container, with only its socket mounted."""
    name, port = f"sce-test-{os.getpid()}-{free_port()}", free_port()
    socket = "/var/run/docker.sock:/var/run/docker.sock"
    docker("run", "-d", "--name", name, "-p", f"127.0.0.1:{port}:5000", "-v", socket, *request.param, server_image)
    try:
        yield name, f"http://127.0.0.1:{port}"
    finally:
        docker("stop", "-t", "40", name, check=False)
        docker("rm", "--force", "--volumes", name, check=False)


@pytest.mark.timeout(900)  # the first one builds the image
def test_the_server_in_a_container_executes_code(server_container: tuple[str, str]) -> None:
    name, url = server_container

    def healthy() -> bool:
        state, health = docker("inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", name).split()
        assert state == "running", run("docker", "logs", name).stdout
        return health == "healthy"

    assert eventually(healthy, 60), run("docker", "logs", name).stdout
    for language, code in (("python", "print(6 * 7)"), ("node", "console.log(6 * 7)")):
        answer = requests.post(f"{url}/run", json={"code": code, "language": language}, timeout=60)
        assert (answer.status_code, answer.json()["output"]) == (200, "42\n"), answer.text
    status = dict(line.split(":\t", 1) for line in docker("exec", name, "cat", "/proc/1/status").splitlines())
    assert set(status["Uid"].split()) == {"10001"}
    assert (int(status["CapEff"], 16), status["NoNewPrivs"]) == (0, "1")


@pytest.mark.timeout(900)
def test_a_server_without_the_socket_says_what_is_missing(server_image: str) -> None:
    done = run("docker", "run", "--rm", "--network", "none", server_image, "true")
    assert (done.returncode, "-v /var/run/docker.sock:/var/run/docker.sock" in done.stdout) == (0, True)


@pytest.mark.timeout(900)
def test_the_server_image_holds_the_server_and_nothing_else(server_image: str) -> None:
    seen = docker("run", "--rm", "--network", "none", "--entrypoint", "ls", server_image, "-A").split()
    assert {"app.py", "executor.py", "sandbox", "templates", "static"} <= set(seen)
    assert not {".git", ".env", ".venv", "data", "tests", "docs", "build", "test_security.py"} & set(seen)
