"""What is done with the program's own files when it has ended: in a process of its own, as the program's user.

Without capabilities over files, root cannot enter a folder that is the program's alone; the program's user can. And
whatever such a process meets and however long it takes: it is ended, and this one goes on.
"""

from __future__ import annotations

import select
import time

from files import is_changed
from frames import FRAME, READ_BYTES, send, write_all
from program import NOGROUP, write_score
from system import os, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from frames import Order

SECONDS = 2  # of the five that the host waits for us after a program's own time


def collect(order: Order, uid: int) -> None:
    """Send the host what the program has made and the host asked for."""
    if not carry_out(uid, lambda artifacts, pipe: artifacts.Search(order, uid, pipe).run()):
        send(b"M", b"incomplete\0")


def tidy(order: Order, uid: int) -> None:
    """Remove what the program has made, unless that is more than is worth it. Tells nothing: look."""
    if is_changed(order.names):
        carry_out(uid, lambda artifacts, pipe: artifacts.Removal(order).run())


def carry_out(uid: int, work: Callable[[ModuleType, int], None]) -> bool:
    """Do something with the module `artifacts`, passing on the frames it writes. Whether it was done in time."""
    reader, writer = os.pipe()
    deadline = time.monotonic() + SECONDS
    try:
        pid = os.fork()
    except OSError:  # there is no memory for it
        os.close(reader)
        os.close(writer)
        return False
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            signal.alarm(SECONDS)  # in case nobody is left to end it
            become(uid, work, writer)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    is_whole = relay(reader, deadline)
    os.close(reader)
    if not is_whole:
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1] == 0 and is_whole


def become(uid: int, work: Callable[[ModuleType, int], None], pipe: int) -> None:
    import artifacts  # here, so that the supervisor stays small; and now, since only root can read it

    write_score(b"1000")  # should memory run out, this one goes
    os.setresgid(NOGROUP, NOGROUP, NOGROUP)
    os.setresuid(uid, uid, uid)
    work(artifacts, pipe)


def relay(reader: int, deadline: float) -> bool:
    """Pass on frames up to the end, only whole ones. False when that did not come in time, or within a frame."""
    buffer = bytearray()
    readable = select.poll()
    readable.register(reader, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0 and readable.poll(left * 1000):
        data = os.read(reader, READ_BYTES)
        if not data:
            return not buffer
        buffer += data
        end = end_of_frames(buffer)
        write_all(buffer[:end])
        del buffer[:end]
    return False


def end_of_frames(data: bytearray) -> int:
    """How many bytes the whole frames have that the data begins with."""
    end = 0
    while end + FRAME.size <= len(data):
        following = end + FRAME.size + FRAME.unpack_from(data, end)[1]
        if following > len(data):
            break
        end = following
    return end
