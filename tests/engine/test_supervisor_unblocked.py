"""Whatever a program does to the pipes that it shares with PID 1, it ends when its time is up, and is accounted for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from executor import Executor
from sandbox.models import Status
from sandbox.settings import load
from tests.conftest import Run, containers, eventually, runner, serve

TIMEOUT_SECONDS = 2

# Takes a byte of its output back before PID 1 has read it, until PID 1 leaves the other stream alone, too: blocked.
STEAL = """
import array, fcntl, os, random, termios, time
out, err = (os.open(f"/proc/self/fd/{number}", os.O_RDONLY | os.O_NONBLOCK) for number in (1, 2))
def unread():
    count = array.array("i", [0])
    fcntl.ioctl(err, termios.FIONREAD, count)
    return count[0]
while True:
    os.write(1, b"x")
    for _ in range(random.randrange(2000)): pass
    try: os.read(out, 1)
    except BlockingIOError: continue
    os.write(2, b"y")
    late = time.monotonic() + 0.1
    while unread() and time.monotonic() < late: time.sleep(0.001)
    if unread(): break
time.sleep(60)
"""

TRICKS = {
    "steals its own output": STEAL,
    "fills its own input": """
import os, time
mine = os.open("/proc/self/fd/0", os.O_WRONLY | os.O_NONBLOCK)
while True:
    try: os.write(mine, b"x" * 4096)
    except BlockingIOError: os.read(0, 1)
""",
    "shrinks the pipes": """
import fcntl, os
while True:
    for number in (0, 1, 2):
        for size in (4096, 65536):
            try: fcntl.fcntl(number, fcntl.F_SETPIPE_SZ, size)
            except OSError: pass
    os.write(1, b"x")
""",
    "changes how the pipes block": """
import os
while True:
    for number in (0, 1, 2): os.set_blocking(number, not os.get_blocking(number))
    for number in (1, 2):
        try: os.write(number, b"x")
        except BlockingIOError: pass
""",
    "passes the pipes away": """
import os, socket, time
pair = socket.socketpair()
for number in (0, 1, 2):
    other = os.open(f"/proc/self/fd/{number}", os.O_RDWR)
    socket.send_fds(pair[0], [b"x"], [number, other])
socket.send_fds(pair[0], [b"x"], [pair[0].fileno(), pair[1].fileno()])
os.closerange(0, 20)
time.sleep(60)
""",
    "holds both ends of its output": """
import os, time
kept = [os.open(f"/proc/self/fd/{number}", os.O_RDWR) for number in (0, 1, 2)]
os.closerange(0, 3)
time.sleep(60)
""",
    "reads nothing of its input": "import time; time.sleep(60)",
    "leaves orphans without end": """
import os
while True:
    try:
        if os.fork() == 0:
            while True:
                try:
                    if os.fork(): os._exit(0)
                except OSError: pass
    except OSError: pass
""",
}


@pytest.fixture(scope="module")
def brief_executor(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    settings = load(data_dir=tmp_path_factory.mktemp("brief"), pool="python:2", timeout_seconds=TIMEOUT_SECONDS)
    with Executor(settings) as executor:
        yield executor


@pytest.fixture(scope="module")
def run_briefly(brief_executor: Executor) -> Run:
    return runner(brief_executor)


@pytest.mark.parametrize("args", [(), ("own interpreter",)])
@pytest.mark.parametrize("trick", TRICKS)
def test_pid_1_keeps_the_time_of_a_program_that(trick: str, args: tuple[str, ...], run_briefly: Run) -> None:
    result = run_briefly(TRICKS[trick], stdin="x" * 65536, args=args)
    assert result.status is Status.TIMEOUT, result
    assert result.duration_ms < (TIMEOUT_SECONDS + 2) * 1000
    # Known only when PID 1 itself has ended the program and reported.
    assert result.cpu_ms is not None and result.memory_kb is not None


def test_nothing_of_a_program_that_steals_its_output_outlives_a_killed_server(
    real_engine: None, tmp_path: Path
) -> None:
    with serve(tmp_path, pool="python:1", timeout_seconds=60) as server, ThreadPoolExecutor(1) as client:
        url, task = f"{server.url}/run", {"code": STEAL, "language": "python"}
        answer = client.submit(requests.post, url, json=task, timeout=60)
        time.sleep(3)
        assert not answer.done()
        server.process.kill()
        with pytest.raises(requests.ConnectionError):
            answer.result(10)
        assert eventually(lambda: containers(tmp_path) == [], 10)


# --- What it costs -----------------------------------------------------------------------------------------

SPIN = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them, so nobody is told what they used
for _ in range(2):
    if os.fork() == 0:
        end = time.process_time() + 0.2
        while time.process_time() < end: pass
        os._exit(0)
try: os.wait()
except ChildProcessError: print("gone")
"""


@pytest.mark.parametrize("args", [(), ("own interpreter",)])
def test_cpu_time_counts_children_that_nobody_waits_for(run: Run, args: tuple[str, ...]) -> None:
    result = run(SPIN, args=args)
    assert result.output == "gone\n"
    assert result.cpu_ms is not None and 390 < result.cpu_ms < 1000


def test_cpu_time_is_the_programs_and_not_the_supervisors(run: Run) -> None:
    """Megabytes of output are work for the supervisor; this program does next to nothing but write them."""
    own = "import resource; u = resource.getrusage(resource.RUSAGE_SELF)\nprint(u.ru_utime + u.ru_stime)"
    result = run(f"import os\nfor _ in range(400): os.write(2, b'x' * 65536)\n{own}")
    assert result.cpu_ms is not None
    assert result.cpu_ms < float(result.output) * 1000 + 30
