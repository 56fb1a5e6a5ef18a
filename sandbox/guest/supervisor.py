"""PID 1 of a sandbox container: runs programs for the host, one after the other, and reports how each ended.

Standard library only; the host never imports it. What it says to the host is in frames.py, the rest of it beside that:
`program` (the process and its user), `waiting` (an interpreter started beforehand), `files`, `output`, `cgroup`, `run`,
`built` (what a compiler has made), `apart` and `artifacts` (the files that a program has made), `globs` (which of them
are wanted), `leftovers` (whether another program may be run in here).

The arguments are the container's number, from which the program's uid follows; the seconds after which nobody waits any
longer for an order; and, if there are more, `now` or `later` and those of env(1):
`NUMBER [SECONDS [now|later [NAME=VALUE]... COMMAND [ARGUMENT]...]]`. That command is started at once, or only after the
first run, and waits for its script.

When stdin ends, whatever the reason, this process exits, and the kernel kills everything else in here. So nothing that
a program does may hold it up: what it shares with one never blocks, and no loop waits for a program to stop.

What it imports is paid for at every start of a container (system.py; figures: docs/performance.md).
"""

from __future__ import annotations

import sys

sys.path.insert(0, "/sandbox")  # python3 -I leaves out the folder of the script

import gc
import resource  # noqa: F401 - os.wait4 would import it in the middle of a run

from cgroup import Cgroup
from files import Refused
from frames import RUN, HostGone, Order, read_exactly, send
from leftovers import Leftovers
from program import drop_bounding_set, name_user, uid_of
from run import Surroundings, execute
from system import os, signal
from waiting import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

FAREWELL_SECONDS = 60  # should the host not take its leave


class Idle:
    """How the time between two runs is spent."""

    def __init__(self, uid: int, words: list[str]) -> None:
        self.uid = uid
        self.seconds = int(words[0]) if words else 0
        self.starts_now = words[1:2] == ["now"]
        self.command = words[2:]
        self.environment: list[str] = []
        while self.command and "=" in self.command[0]:
            self.environment.append(self.command.pop(0))

    def begin(self, *, starts: bool = True) -> Waiting | None:
        """Without `starts`, there is no interpreter to wait with."""
        signal.alarm(self.seconds)
        return Waiting(self.uid, self.command, self.environment) if starts and self.command else None


def serve(idle: Idle, around: Surroundings) -> None:
    """Carry out orders until there should be no further one in here."""
    leftovers = Leftovers(around.cgroup)
    waiting = idle.begin(starts=idle.starts_now)
    gc.freeze()
    gc.disable()  # what a few runs leave is not worth a collection
    run = 0
    while True:
        send(b"Y", RUN.pack(run))
        order = Order(run)
        if not execute(order, waiting, around) or not order.may_be_followed:
            return
        if found := leftovers.find(order, around.uid):
            send(b"Z", found)
            return
        run += 1
        waiting = idle.begin()


def main() -> NoReturn:
    os.umask(0o022)
    wakeup, wakeup_writer = os.pipe()
    os.set_blocking(wakeup_writer, False)
    signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # an engine that stops would wait ten seconds for us
    os.setgroups([])
    drop_bounding_set()
    number, *words = sys.argv[1:]
    uid = uid_of(int(number))
    name_user(uid)
    try:
        try:
            serve(Idle(uid, words), Surroundings(uid, wakeup, Cgroup()))
        except Refused as problem:
            send(b"X", str(problem).encode())
        # Not before the host has answered its client: the engine's work after our exit would compete with that.
        signal.alarm(FAREWELL_SECONDS)
        read_exactly(sys.maxsize)
    except HostGone:
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
