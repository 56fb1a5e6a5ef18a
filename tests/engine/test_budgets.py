"""What the kernel counts for each user over the whole host: one run hoards it, and no other run misses any."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from executor import Executor
from sandbox.models import RunRequest, RunResult, Status
from sandbox.settings import load

HOARD_SECONDS = 20


@dataclass(frozen=True)
class Budget:
    """Two Python programs: `hoard` takes all there is and says `hoarding`, `look` prints `ok` when it gets some."""

    hoard: str
    look: str


INOTIFY = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
"""
IN_FLIGHT = """
import os, socket
null = os.open(os.devnull, os.O_RDONLY)
def send(pair, count): socket.send_fds(pair[0], [b"x"], [null] * count)
"""
PIPES = "import fcntl, os\n"
TIMERS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def make(): return libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p()))
"""

BUDGETS = {
    "inotify instances": Budget(
        INOTIFY + "while libc.inotify_init() >= 0: pass",
        INOTIFY + "print('ok' if libc.inotify_init() >= 0 else ctypes.get_errno())",
    ),
    "pages of pipes": Budget(
        PIPES + "kept = []\nfor _ in range(110):\n    kept.append(os.pipe())\n"
        "    try: fcntl.fcntl(kept[-1][0], fcntl.F_SETPIPE_SZ, 1 << 20)\n    except OSError: pass",
        PIPES + "size = fcntl.fcntl(os.pipe()[0], fcntl.F_GETPIPE_SZ)\nprint('ok' if size == 65536 else size)",
    ),
    "descriptors in flight": Budget(
        IN_FLIGHT + "pairs = []\ntry:\n    while True:\n        pairs.append(socket.socketpair())\n"
        "        send(pairs[-1], 200)\nexcept OSError: pass",
        IN_FLIGHT + "send(socket.socketpair(), 1)\nprint('ok')",
    ),
    "pending signals": Budget(
        TIMERS + "while make() == 0: pass",
        TIMERS + "print('ok' if make() == 0 else ctypes.get_errno())",
    ),
}


@pytest.fixture(scope="module")
def cold(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor that starts a container for each run."""
    with Executor(load(data_dir=tmp_path_factory.mktemp("cold"), pool="")) as executor:
        yield executor


class Hoarder:
    """A run that hoards until it is left."""

    def __init__(self, executor: Executor, budget: Budget) -> None:
        self._hoarding = threading.Event()
        self._leave = threading.Event()
        code = f"{budget.hoard}\nimport time\nprint('hoarding', flush=True)\ntime.sleep({HOARD_SECONDS})"
        self._result: RunResult | None = None

        def run() -> None:
            self._result = executor.run(
                RunRequest("python", code),
                on_output=lambda stream, text: self._hoarding.set(),
                gone=self._leave.is_set,
            )

        self._thread = threading.Thread(target=run)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._hoarding.wait(HOARD_SECONDS)

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join()
        assert self._result is not None
        assert (self._result.status, self._result.output) == (Status.CANCELLED, "hoarding\n"), self._result


@pytest.mark.parametrize("hoarding", ["cold", "waiting"])
@pytest.mark.parametrize("name", BUDGETS)
def test_what_one_run_hoards_no_other_run_misses(name: str, hoarding: str, executor: Executor, cold: Executor) -> None:
    budget = BUDGETS[name]
    assert executor.wait_warm(60), "those that look shall have waited since before"
    with Hoarder(cold if hoarding == "cold" else executor, budget):
        for looking in (executor, cold):
            result = looking.run(RunRequest("python", budget.look))
            assert (result.output, result.error) == ("ok\n", "")


@pytest.mark.parametrize("name", BUDGETS)
def test_the_hoarder_itself_has_nothing_left(name: str, executor: Executor) -> None:
    """Lest the test above prove nothing."""
    budget = BUDGETS[name]
    assert executor.run(RunRequest("python", f"{budget.hoard}\n{budget.look}")).output != "ok\n"


def test_node_can_watch_files_while_another_run_hoards(executor: Executor, cold: Executor) -> None:
    watch = "require('fs').watch('/app').close(); console.log('ok')"
    with Hoarder(cold, BUDGETS["inotify instances"]):
        assert executor.run(RunRequest("node", watch)).output == "ok\n"


def test_no_two_containers_that_live_at_once_have_the_same_user(executor: Executor, cold: Executor) -> None:
    uids = []
    for runner in (executor, cold):
        code = "import os, time; print(os.getuid(), flush=True); time.sleep(2)"
        results = runner.run_many([RunRequest("python", code)] * 5)
        uids += [int(result.output) for result in results]
    assert len(set(uids)) == 10
    assert all(1_900_000_000 <= uid < 1_900_050_000 for uid in uids)


@pytest.mark.parametrize("args", [(), ("own interpreter",)])
def test_the_user_has_a_name_wherever_programs_ask_for_it(executor: Executor, args: tuple[str, ...]) -> None:
    python = executor.run(
        RunRequest(
            "python",
            "import getpass, os, pwd, subprocess\n"
            "me = pwd.getpwuid(os.getuid())\n"
            "print(getpass.getuser(), me.pw_name, me.pw_uid == os.getuid(), pwd.getpwnam('root').pw_uid, flush=True)\n"
            "subprocess.run(['id', '-un'])",
            args=args,
        )
    )
    assert python.output == "nobody nobody True 0\nnobody\n"
    node = "const me = require('os').userInfo(); console.log(me.username, me.uid === process.getuid())"
    assert executor.run(RunRequest("node", node, args=args)).output == "nobody true\n"
