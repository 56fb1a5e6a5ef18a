"""An interpreter that has started and waits for the first line of its script.

The script is a FIFO, so the interpreter does all of its start-up and blocks there. When the run arrives, a regular file
takes the FIFO's name and the source is written into the FIFO. Nothing is hooked, so there is nothing for the program to
notice; what Node.js loads in advance is in warm_up.cjs, which removes its traces itself.
"""

from __future__ import annotations

import errno
import time

from program import Program, exited
from system import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from frames import Order


class Waiting:
    """One such interpreter, and the writing end of its FIFO: None when it ended before it had opened its script."""

    def __init__(self, uid: int, command: list[str], environment: list[str]) -> None:
        self.script = command[-1]
        os.mkfifo(self.script)
        os.chmod(self.script, 0o644)
        self.program = Program(uid, command, environment)
        self.writer = self._wait_for_reader()

    def _wait_for_reader(self) -> int | None:
        while not exited(self.program.pid):
            try:
                return os.open(self.script, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as problem:  # ENXIO: nobody has opened it for reading yet, fifo(7)
                if problem.errno != errno.ENXIO:
                    raise
            time.sleep(0.004)
        return None

    def fits(self, order: Order) -> bool:
        step = order.steps[0]
        return (
            order.may_use_waiting
            and step.command == self.program.command
            and step.environment == self.program.environment
            and not exited(self.program.pid)
        )

    def discard(self) -> None:
        if self.writer is not None:
            os.close(self.writer)
        self.program.discard()
        os.unlink(self.script)
