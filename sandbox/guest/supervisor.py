"""PID 1 of a sandbox container: runs one program for the host, reports how it ended, and exits.

Standard library only; the host never imports it. What it says to the host is in frames.py, the rest of it beside that:
`program` (the process and its user), `waiting` (an interpreter started beforehand), `files`, `output`, `cgroup`, `run`.

The first argument is the container's number, from which the program's uid follows. Further ones, if any, are those of
env(1) after a number of seconds: `NUMBER [SECONDS [[NAME=VALUE]... COMMAND [ARGUMENT]...]]`. The command, if there is
one, is then started at once and waits for its script. Nobody waits longer than those seconds.

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
from frames import HostGone, read_exactly, send
from program import drop_bounding_set, name_user, uid_of
from run import execute
from system import os, signal
from waiting import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    os.umask(0o022)
    wakeup, wakeup_writer = os.pipe()
    os.set_blocking(wakeup_writer, False)
    signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # an engine that stops would wait ten seconds for us
    drop_bounding_set()
    number, *words = sys.argv[1:]
    uid = uid_of(int(number))
    name_user(uid)
    waiting = None
    if words:
        signal.alarm(int(words.pop(0)))
    if words:
        environment = []
        while "=" in words[0]:
            environment.append(words.pop(0))
        waiting = Waiting(uid, words, environment)
    cgroup = Cgroup()
    gc.freeze()
    gc.disable()  # one run is too short to be worth a collection
    try:
        send(b"Y")
        try:
            execute(uid, waiting, wakeup, cgroup)
        except Refused as problem:
            send(b"X", str(problem).encode())
        # Not before the host has answered its client: the engine's work after our exit would compete with that.
        read_exactly(sys.maxsize)
    except HostGone:
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
