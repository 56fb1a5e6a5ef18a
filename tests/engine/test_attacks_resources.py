"""Hostile programs that take what there is, each as the claim that it is bounded."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from executor import Executor
from sandbox.errors import ContainerLost
from sandbox.models import RunRequest, Status, Stream
from sandbox.settings import load
from tests.conftest import Run, containers, eventually, runner
from tests.engine.attacking import LANGUAGES
from tests.processes import processes_with


@pytest.fixture(scope="module")
def brief_executor(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor for programs that never end by themselves."""
    settings = load(
        data_dir=tmp_path_factory.mktemp("brief"),
        pool="",
        timeout_seconds=2,
        output_bytes=64 << 10,
        output_stop_bytes=4 << 20,
    )
    with Executor(settings) as executor:
        yield executor


@pytest.fixture(scope="module")
def run_briefly(brief_executor: Executor) -> Run:
    return runner(brief_executor)


# --- Processes --------------------------------------------------------------------------------------------

BOMBS = {
    "fork": ("python", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
    "thread": (
        "python",
        "import threading, time\n"
        "while True:\n"
        "    try: threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    except RuntimeError: pass",
    ),
    "spawn": (
        "node",
        "const {spawn} = require('child_process');"
        "setInterval(() => spawn(process.execPath, [__filename]).on('error', () => {}), 1)",
    ),
    "worker": (
        "node",
        "const {Worker} = require('worker_threads');"
        "setInterval(() => { try { new Worker(__filename).on('error', () => {}) } catch {} }, 1)",
    ),
    "pipe": ("bash", ":() { : | : & }; :; while true; do :; done"),
    "string": ("bash", "x=x; while true; do x=$x$x; done"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_contained(run_briefly: Run, run: Run, brief_executor: Executor, bomb: str) -> None:
    language, code = BOMBS[bomb]
    started = time.monotonic()
    try:
        result = run_briefly(code, language)
        assert result.status is not Status.OK, result
    except ContainerLost:
        pass  # out of memory with the supervisor as the victim: an honest error
    assert time.monotonic() - started < 10
    assert eventually(lambda: containers(brief_executor.settings.data_dir) == [], 5)
    assert run("print('fine')").output == "fine\n"


def test_daemons_are_dead_when_the_answer_arrives(executor: Executor) -> None:
    mark, seen = uuid.uuid4().hex, []

    def look(stream: Stream, text: str) -> None:
        seen.append(eventually(lambda: len(processes_with(mark)) == 2, 3))

    code = f"""
import os, sys, time
for close in (True, False):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if close: os.closerange(0, 3)
            os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(60)', '{mark}'])
        os._exit(0)
print('left', flush=True)
time.sleep(3)
"""
    result = executor.run(RunRequest("python", code), on_output=look)
    assert processes_with(mark) == []
    assert (result.output, result.status, seen) == ("left\n", Status.OK, [True])


def test_a_stopped_program_times_out(run_briefly: Run) -> None:
    for language, code in (
        ("python", "import os, signal; print('x'); os.kill(os.getpid(), signal.SIGSTOP); print('y')"),
        ("node", "console.log('x'); process.kill(process.pid, 'SIGSTOP'); console.log('y')"),
        ("bash", "echo x; kill -STOP $$; echo y"),
    ):
        result = run_briefly(code, language)
        assert (result.status, result.output, result.duration_ms < 4000) == (Status.TIMEOUT, "x\n", True)


def test_ignoring_signals_does_not_prolong_a_program(run_briefly: Run) -> None:
    result = run_briefly(
        "import signal\n"
        "for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, signal.SIG_IGN)\n"
        "while True: pass"
    )
    assert (result.status, result.duration_ms < 4000) == (Status.TIMEOUT, True)
    result = run_briefly("trap '' {1..64} EXIT; while true; do :; done", "bash")
    assert (result.status, result.duration_ms < 4000) == (Status.TIMEOUT, True)


# --- Standard streams -------------------------------------------------------------------------------------


def test_a_flood_from_several_processes_is_stopped(run_briefly: Run) -> None:
    result = run_briefly(
        "import os\nfor _ in range(4): os.fork()\nwhile True: os.write(1, b'y' * 65536); os.write(2, b'z' * 65536)"
    )
    assert (result.status, result.truncated) == (Status.OUTPUT_LIMIT, True)
    assert len(result.output) < (64 << 10) + 100 and len(result.error) < (64 << 10) + 200


@pytest.mark.parametrize(("language", "code"), [("python", "print(1)"), ("node", "console.log(1)"), ("bash", "echo 1")])
def test_stdin_that_nobody_reads_holds_up_nothing(run: Run, language: str, code: str) -> None:
    result = run(code, language, stdin="x" * 1_000_000)
    assert (result.output, result.status) == ("1\n", Status.OK)
    assert result.duration_ms < 2000


@pytest.mark.parametrize("language", LANGUAGES)
def test_closing_the_streams_early_is_not_the_end(run: Run, language: str) -> None:
    code = {
        "python": "import os, time\nfor fd in (0, 1, 2): os.close(fd)\ntime.sleep(0.4); os._exit(5)",
        "node": "const fs = require('fs'); for (const fd of [1, 2]) fs.closeSync(fd);"
        "setTimeout(() => process.exit(5), 400)",
        "bash": "exec 0<&- 1>&- 2>&-; sleep 0.4; exit 5",
    }
    result = run(code[language], language)
    assert (result.status, result.exit_code, result.output, result.error) == (Status.ERROR, 5, "", "")
    assert result.duration_ms >= 400 and result.cpu_ms is not None and result.cpu_ms < 300


def test_output_written_just_before_a_kill_is_kept(run: Run) -> None:
    result = run("import os; os.write(1, b'x' * 50_000); os.write(2, b'last words'); os.kill(os.getpid(), 9)")
    assert (result.output, result.error) == ("x" * 50_000, "last words")


# --- Memory -----------------------------------------------------------------------------------------------


def test_shared_memory_counts_as_memory(run: Run) -> None:
    fill = "open('/dev/shm/x', 'wb').write(bytes(15 << 20))\nprint('filled')\n"
    assert run(fill + "x = b'x' * (60 << 20)").status is Status.OK
    assert run(fill + "x = b'x' * (108 << 20)").status is Status.MEMORY


def test_many_small_processes_that_spare_themselves_never_hang_a_run(run_briefly: Run, run: Run) -> None:
    """They are smaller than the supervisor and as likely as it to be the kernel's victim."""
    small = "x=0123456789abcdef; while [ ${#x} -lt 2000000 ]; do x=$x$x; done; kill -STOP $$"
    started = time.monotonic()
    try:
        result = run_briefly(
            "import os\n"
            "open('/proc/self/oom_score_adj', 'w').write('0')\n"
            f"for _ in range(58):\n    if os.fork() == 0: os.execv('/bin/sh', ['sh', '-c', '{small}'])\n"
            f"os.execv('/bin/sh', ['sh', '-c', '{small}'])"
        )
        assert result.status in (Status.MEMORY, Status.TIMEOUT, Status.ERROR), result
    except ContainerLost:
        pass
    assert time.monotonic() - started < 12
    assert run("print('fine')").output == "fine\n"


FILL_CONNECTIONS = """
import os, socket
def grow(end):
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        try: end.setsockopt(socket.SOL_SOCKET, option, 1 << 26)
        except PermissionError: pass
server = socket.create_server(("127.0.0.1", 0))
for _ in range(3): os.fork()  # eight processes, as one has too few descriptors
kept, sent = [], 0
for _ in range(50):
    client = socket.create_connection(server.getsockname())
    for end in (client, server.accept()[0]):
        grow(end)
        end.setblocking(False)
        kept.append(end)
for end in kept:
    try:
        while True: sent += end.send(bytes(65536))
    except BlockingIOError: pass
os.write(1, f"{sent >> 10}\\n".encode())
"""


def test_what_nobody_reads_from_connections_is_small(run: Run) -> None:
    """On cgroup v1 it is outside of the container's memory."""
    kilobytes = [int(line) for line in run(FILL_CONNECTIONS + "import time; time.sleep(1)").output.split()]
    assert len(kilobytes) == 8 and sum(kilobytes) < 64 << 10
