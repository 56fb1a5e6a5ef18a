"""The server under measurement: a real process, its HTTP clients, and what it and its containers cost."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import Answer
from sandbox.engine.flags import LABEL
from sandbox.settings import Settings, load

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


class Service:
    """`python app.py`, or another program that serves, with the given settings."""

    def __init__(self, data_dir: Path, docker: str, settings: dict[str, object], program: str) -> None:
        self.data_dir = data_dir
        self.docker = docker
        sizes = load(pool=settings["pool"]).pool if "pool" in settings else Settings.model_fields["pool"].default
        self.waiting = sum(sizes.values())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SCE_")}
        environment |= {f"SCE_{name.upper()}": str(value) for name, value in settings.items()}
        environment |= {"SCE_PORT": str(self.port), "SCE_DATA_DIR": str(data_dir), "SCE_DOCKER": docker}
        self._log = data_dir / "server.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / program)], cwd=data_dir, env=environment, stdout=log, stderr=log
            )

    def wait_warm(self) -> None:
        """Return when it answers and as many containers wait as it wants to keep."""
        deadline = time.monotonic() + READY_SECONDS
        while not (self._answers() and len(self.containers()) >= self.waiting):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The server did not get ready:\n{self._log.read_text()}")
            time.sleep(0.2)
        time.sleep(1)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return Client(self).get("/readyz").status == 200
        return False

    def containers(self) -> list[str]:
        """The ids of its containers."""
        if not (self.data_dir / "scope").exists():  # nothing has been started
            return []
        scope = (self.data_dir / "scope").read_text()
        argv = [self.docker, "ps", "--no-trunc", "--filter", f"label={LABEL}.scope={scope}", "--format", "{{.ID}}"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()

    def rss_mb(self) -> float:
        """Resident memory of the server process, in MiB."""
        return _status_kb(self.process.pid, "VmRSS") / 1024

    def cpu_share(self, seconds: float) -> float:
        """CPU that the server and its docker clients used over the next seconds, as a share of one CPU."""
        before = self._cpu_seconds()
        time.sleep(seconds)
        return (self._cpu_seconds() - before) / seconds

    def _cpu_seconds(self) -> float:
        # Of the server with those children it has waited for, and of those that run.
        children = [pid for pid in _pids() if _stat(pid)[1] == str(self.process.pid)]
        own = sum(int(field) for field in _stat(self.process.pid)[11:15])
        return (own + sum(int(field) for pid in children for field in _stat(pid)[11:13])) / TICKS

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@dataclass(frozen=True)
class WaitingCost:
    """Memory of one waiting container, in MiB: its cgroup, and its two helpers on the host (proportional set size)."""

    container_mb: float
    client_mb: float
    shim_mb: float


def waiting_cost(service: Service) -> WaitingCost:
    """The average over those that wait. Works where the engine runs on this host."""
    ids = service.containers()
    clients = [pid for pid in _pids() if _stat(pid)[1] == str(service.process.pid)]
    shims = [pid for pid in _pids() for container in ids if container in _command_line(pid) and "shim" in _name(pid)]
    return WaitingCost(
        container_mb=sum(_cgroup_mb(_supervisor(service.docker, container)) for container in ids) / len(ids),
        client_mb=sum(_pss_mb(pid) for pid in clients) / len(ids),
        shim_mb=sum(_pss_mb(pid) for pid in shims) / len(ids),
    )


@contextlib.contextmanager
def service(docker: str, *, program: str = "app.py", **settings: object) -> Iterator[Service]:
    """A server that is ready and warm, with a data folder of its own."""
    with tempfile.TemporaryDirectory(prefix="sce-bench-") as folder:
        running = Service(Path(folder), docker, settings, program)
        try:
            running.wait_warm()
            yield running
        finally:
            running.stop()


@dataclass(frozen=True)
class Reply:
    status: int
    head: str
    body: bytes
    milliseconds: float
    """From the first byte sent to the last byte received."""

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection that is kept open.

    Speaks HTTP by itself: `http.client` takes 0.6 ms for an answer, which would count as the server's time.
    """

    def __init__(self, target: Service, cookie: str = "") -> None:
        """With a cookie of `new_owner`, what is run is that owner's."""
        self._socket = socket.create_connection(("127.0.0.1", target.port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.cookie = cookie

    def get(self, path: str) -> Reply:
        return self._ask("GET", path, None, {})

    def post(self, path: str, body: object) -> Reply:
        return self._ask("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def post_zip(self, archive: bytes, entry: str) -> Reply:
        boundary = "sce-bench-boundary"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="entry"\r\n\r\n{entry}\r\n'
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="bench.zip"\r\n'
        head += "Content-Type: application/zip\r\n\r\n"
        body = head.encode() + archive + f"\r\n--{boundary}--\r\n".encode()
        return self._ask("POST", "/run-zip", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})

    def run(self, code: str, language: str, expected: str | None = None) -> Reply:
        """Run a program; its output must be as expected, if given."""
        reply = self.post("/run", {"code": code, "language": language})
        assert expected is None or reply.json()["output"] == expected, reply.body[:500]
        return reply

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        headers = {"Host": "localhost", "Content-Length": str(len(body or b"")), **headers}
        if self.cookie:
            headers["Cookie"] = self.cookie
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        request = "\r\n".join([*lines, "", ""]).encode() + (body or b"")
        started = time.perf_counter()
        self._socket.sendall(request)
        answer = bytearray()
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._receive()
        head, body_start = answer[:end].decode("latin-1"), end + 4
        length = int(head.lower().partition("content-length: ")[2].partition("\r")[0])
        while len(answer) < body_start + length:
            answer += self._receive()
        milliseconds = (time.perf_counter() - started) * 1000
        return Reply(int(head.split()[1]), head, bytes(answer[body_start:]), milliseconds)

    def _receive(self) -> bytes:
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("The server closed the connection.")
        return data


def new_owner(target: Service) -> str:
    """The cookie of a browser that has not been here before."""
    head = Client(target).get("/").head
    return head.partition("Set-Cookie: ")[2].partition(";")[0]


def connection(
    target: Service, code: str, language: str, expected: str, *, cookie: str = ""
) -> Callable[[], Callable[[], Answer]]:
    """Makes clients for a load: each asks for the same program again and again."""

    def connect() -> Callable[[], Answer]:
        client = Client(target, cookie)

        def ask() -> Answer:
            nonlocal client
            try:
                reply = client.run(code, language)
            except OSError:
                client = Client(target, cookie)
                return Answer(0, 0.0)
            if reply.status != 200:
                return Answer(reply.status, reply.milliseconds)
            result = reply.json()
            return Answer(200 if result["output"] == expected else 0, reply.milliseconds, result["queued_ms"])

        return ask

    return connect


# --- /proc ------------------------------------------------------------------------------------------------


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; zeros for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["0"] * 50


def _status_kb(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def _pss_mb(pid: int) -> float:
    """Memory of a process with its part of what it shares; 0 when that may not be read."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _supervisor(docker: str, container: str) -> int:
    """The process id, on this host, of the container's first process."""
    argv = [docker, "inspect", "--format", "{{.State.Pid}}", container]
    return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def _cgroup_mb(pid: int) -> float:
    """Memory charged to the control group of a process (version 1 or 2). `docker stats` shows 0 on some engines."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return _bytes_mb(Path(f"/sys/fs/cgroup/memory{path}/memory.usage_in_bytes"))
        unified = Path(f"/sys/fs/cgroup{path}/memory.current")
        if not controllers and unified.exists():
            return _bytes_mb(unified)
    return 0.0


def _bytes_mb(file: Path) -> float:
    return int(file.read_text()) / (1 << 20)
