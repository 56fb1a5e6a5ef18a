"""A container to try the host's end of the protocol on, with a supervisor that plays by the rules, or not at all.

Only the process is faked: `client` is a small program in the docker client's place. `client run SCRIPT` speaks
frames as the script says; `client kill NAME` ends it. Everything else, pipes and polling included, is real.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.box import container as container_module
from sandbox.box.container import Container
from sandbox.box.protocol import Order, Report, Step
from sandbox.engine.client import Client
from sandbox.models import Stream
from sandbox.settings import Settings

CLIENT = '''#!{python} -I
"""A docker client of sorts."""
import os, signal, struct, sys, time

state = {state!r}

def send(kind, payload=b""):
    data = memoryview(struct.pack(">cI", kind, len(payload)) + payload)
    while data:
        data = data[os.write(1, data):]

def receive():
    kind, length = struct.unpack(">cI", sys.stdin.buffer.read(5))
    return kind, sys.stdin.buffer.read(length)

def order(steps=1):
    return [receive() for _ in "RNPIG" + "LAVW" * steps]

def done(**fields):
    report = dict(wait_status=0, oom_kills=0, wall_us=500_000, cpu_us=250_000, max_rss_kb=1000,
                  dropped_stdout=0, dropped_stderr=0, stopped=b"")
    *numbers, stopped = (report | fields).values()
    send(b"D", struct.pack(">iqqqqqq", *numbers) + stopped)

def ready(run=0):
    send(b"Y", struct.pack(">I", run))

def say(words):
    print(words, file=sys.stderr)

if sys.argv[1] == "run":
    with open(state + "/pid", "w") as file:
        file.write(str(os.getpid()))
    exec(sys.argv[2])
else:
    attempts = os.path.join(state, "kills")
    with open(attempts, "a") as file:
        file.write(sys.argv[2] + "\\n")
    refusals = int(os.environ.get("REFUSE_KILLS", "0"))
    if len(open(attempts).readlines()) <= refusals:
        sys.exit("Error: No such container")
    os.kill(int(open(state + "/pid").read()), signal.SIGKILL)
'''

LIMITS = replace(Settings().limits, timeout_seconds=0.3, output_bytes=1000, output_stop_bytes=10_000)
STEP = Step(["python3", "/app/user_code.py"], ["A=b", "C="], LIMITS)
ORDER = Order(
    steps=(STEP,),
    names=("user_code.py",),
    payload=b"print('\xc3\xa9')",
    is_archive=False,
    stdin=b"input",
    may_use_waiting=True,
)


def with_limits(**limits: float) -> Order:
    """The order, but for these limits."""
    return replace(ORDER, steps=(replace(STEP, limits=replace(LIMITS, **limits)),))  # type: ignore[arg-type]


class Log:
    """What a run called back."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.stop = False

    def on_start(self) -> None:
        self.events.append("started")

    def on_output(self, stream: Stream, data: bytes) -> None:
        self.events.append((stream, data))

    def should_stop(self) -> bool:
        self.events.append("asked")
        return self.stop

    def told(self) -> list[object]:
        return [event for event in self.events if event != "asked"]


Start = Callable[[str], Container]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_module, "GRACE_SECONDS", 0.4)
    monkeypatch.setattr(container_module, "KILL_SECONDS", 5.0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts fake containers; none of them, and no descriptor, may be left in the end."""
    client = tmp_path / "client"
    client.write_text(CLIENT.format(python=sys.executable, state=str(tmp_path)))
    client.chmod(0o755)
    started: list[Container] = []

    def start_one(script: str) -> Container:
        started.append(Container(Client(str(client)), ["run", script], "the-name"))
        return started[-1]

    yield start_one
    for container in started:
        container.close()
        assert container._pipes._process.returncode is not None
        assert all(
            pipe.closed for pipe in (container._pipes._stdin, container._pipes._stdout, container._pipes._stderr)
        )


def run(container: Container, log: Log | None = None, order: Order = ORDER) -> Report:
    log = log or Log()
    return run_steps(container, order, log)[-1]


def run_steps(container: Container, order: Order, log: Log) -> list[Report]:
    return container.run(order, on_start=log.on_start, on_output=log.on_output, should_stop=log.should_stop)


def kills(tmp_path: Path) -> list[str]:
    path = tmp_path / "kills"
    return path.read_text().split() if path.exists() else []
