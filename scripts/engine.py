"""Makes sure a container engine answers: `python -m scripts.engine start`, or `status` to only ask.

Starts an installed engine, or as root on Debian and Ubuntu installs one. Never stops or changes an engine
that answers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sandbox.engine.client import Client
from sandbox.engine.image import Image
from sandbox.errors import EngineError
from sandbox.settings import Settings, load
from scripts.stages import BUILD, Failed, Stage, apt_install, guarded, stage, tail

START_SECONDS = 60
LOCAL_SOCKETS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")
SOCKET = Path("/var/run/docker.sock")
PID_FILES = {"dockerd": Path("/var/run/docker.pid"), "containerd": Path("/var/run/docker/containerd/containerd.pid")}
SERVICE_SCRIPT = Path("/etc/init.d/docker")
"""Called itself: `service docker start` would call it with an environment of its own."""
LOG = BUILD / "dockerd.log"
# dockerd starts itself twice for every container; collecting garbage less often halves what each start costs.
ENVIRONMENT = {"GOGC": "400", **os.environ}


def answers(settings: Settings) -> str:
    """The engine's version, or an empty string when it does not answer."""
    question = ("info", "--format", "{{.Version.Version}}")
    if not Client(settings.docker).is_podman:
        # `docker info` ends well on some clients although no engine answered; `version` never does.
        question = ("version", "--format", "{{.Server.Version}}")
    try:
        return Client(settings.docker).ask(*question).strip()
    except EngineError:
        return ""


def start(settings: Settings, now: Stage, before_install: Callable[[Stage], None] = lambda _: None) -> str:
    """Bring the engine up if it is down; what it is, for the report.

    `before_install` is called when an engine has to be installed, which takes a while; what fails there is not missed.

    :raises Failed: it cannot be brought up from here; the message says what to type.
    """
    version = answers(settings)
    if version:
        return f"{version} ready"
    _refuse_what_is_not_ours(settings)
    with _one_at_a_time():
        installed = _install_if_missing(settings, now, before_install)
        version = answers(settings)
        if not version:
            _start_daemon(now)
            version = _wait(settings, now)
    return f"{version} {'installed and started' if installed else 'started'}"


def _refuse_what_is_not_ours(settings: Settings) -> None:
    """Leave with advice where starting `dockerd` on this machine would not help."""
    host = os.environ.get("DOCKER_HOST", "")
    if Client(settings.docker).is_podman:
        raise Failed("podman does not work here: try `podman info`.")
    if host and host not in LOCAL_SOCKETS:
        raise Failed(f"DOCKER_HOST={host} does not answer. Start that engine, or unset DOCKER_HOST.")
    if Client(settings.docker).name != "docker" and not shutil.which(settings.docker):
        name = Client(settings.docker).name
        raise Failed(f"SCE_DOCKER names `{name}`, which is not installed (Debian, Ubuntu: apt-get install {name}).")
    if sys.platform != "linux":
        raise Failed("Start Docker Desktop (or another engine), then try again.")


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two `make run` at once must not both start an engine; the second one finds the first one's."""
    BUILD.mkdir(exist_ok=True)
    folder = os.open(BUILD, os.O_RDONLY)  # a file in it could belong to root after a `sudo make`
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _install_if_missing(settings: Settings, now: Stage, before_install: Callable[[Stage], None]) -> bool:
    """Install docker.io where there is no `dockerd`; a client alone is not an engine."""
    if _find_dockerd() and shutil.which(settings.docker):
        return False
    if os.geteuid() != 0 and SOCKET.exists():
        Image.of(settings).check()  # says what is wrong with the socket, most often the group
    if not _find_dockerd() and "microsoft" in os.uname().release.lower() and os.geteuid() != 0:
        now.say("On WSL, Docker Desktop with WSL integration switched on is enough.")
    if os.geteuid() == 0 and sys.stdin.isatty():
        now.say("There is no Docker engine on this machine.")
        if input("    Install the package docker.io now? [Y/n] ").strip().lower() not in ("", "y", "yes"):
            raise Failed("Install a Docker engine yourself, then try again: https://docs.docker.com/engine/install/")
    if os.geteuid() != 0:
        now.say("There is no Docker engine on this machine, and only root can install one. Afterwards also type:")
        now.say("sudo usermod -aG docker $USER    (then log in again)")
    with contextlib.suppress(Failed):
        before_install(now)
    # Named by the daemon, because a client may be there without one. iptables: dockerd does not start without.
    apt_install(now, "dockerd", "docker.io", "iptables", "ca-certificates")
    return True


def _find_dockerd() -> str | None:
    """Path of the daemon; a user's PATH often lacks the sbin folders."""
    return shutil.which("dockerd", path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")


def _start_daemon(now: Stage) -> None:
    """Start the installed engine the way this system starts services."""
    if os.geteuid() != 0:
        join_group = "sudo usermod -aG docker $USER    (then log in again)"
        if SOCKET.exists() and not os.access(SOCKET, os.W_OK):
            raise Failed(f"This user may not speak to the Docker engine. Type:\n    {join_group}")
        raise Failed(f"The Docker engine is not running. Type:\n    {_start_command()}\n    {join_group}")
    for daemon, pid_file in PID_FILES.items():
        _remove_stale(pid_file, daemon, now)
    if Path("/run/systemd/system").is_dir():
        now.say("systemctl start docker")
        subprocess.run(["systemctl", "start", "docker"], stdin=subprocess.DEVNULL, timeout=START_SECONDS)
    elif not _is_running(PID_FILES["dockerd"], "dockerd"):
        _start_without_init(now)


def _start_command() -> str:
    return "sudo systemctl start docker" if Path("/run/systemd/system").is_dir() else "sudo make engine"


def _start_without_init(now: Stage) -> None:
    """The service script mounts what cgroups need; where there is none or it fails, `dockerd` alone will do."""
    if SERVICE_SCRIPT.exists():
        now.say(f"{SERVICE_SCRIPT} start")
        if _start_service():
            return
        now.say("the service script failed")
    daemon = _find_dockerd()
    if not daemon:
        raise Failed("There is no `dockerd` on this machine.")
    now.say(f"dockerd in the background (log: build/{LOG.name})")
    with LOG.open("wb") as log:
        subprocess.Popen(
            [daemon], env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _start_service() -> bool:
    """Run the service script; whether a `dockerd` came of it. It ends well before the daemon is up."""
    try:
        subprocess.run(
            [str(SERVICE_SCRIPT), "start"], env=ENVIRONMENT,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=START_SECONDS, check=True,
        )  # fmt: skip
    except subprocess.SubprocessError:
        return False
    deadline = time.monotonic() + 10
    while not _is_running(PID_FILES["dockerd"], "dockerd"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _is_running(pid_file: Path, name: str) -> bool:
    try:
        pid = int(pid_file.read_text().strip())
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    except (OSError, ValueError):
        return False


def _remove_stale(pid_file: Path, name: str, now: Stage) -> None:
    """Remove the pid file of a daemon that was killed: its number may belong to another process by now,
    and then dockerd refuses to start."""
    if pid_file.exists() and not _is_running(pid_file, name):
        now.say(f"removing the stale {pid_file.name}")
        pid_file.unlink(missing_ok=True)


def _wait(settings: Settings, now: Stage) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        version = answers(settings)
        if version:
            return version
        time.sleep(0.3)
    engine_log = tail(LOG) if LOG.exists() else ""
    raise Failed(f"The Docker engine was started and does not answer within {START_SECONDS} seconds.{engine_log}")


def main() -> int:
    settings = load()
    if sys.argv[1:] == ["status"]:
        version = answers(settings)
        print(f"{Client(settings.docker).name}: {version or 'no answer'}")
        return 0 if version else 1
    if sys.argv[1:] not in ([], ["start"]):
        print("usage: python -m scripts.engine [start|status]", file=sys.stderr)
        return 2
    with stage("Container engine") as now:
        now.done(start(settings, now))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
