"""One run: its steps one after the other, each from releasing a process to knowing how it ended."""

from __future__ import annotations

import select
import sys
import time

from apart import collect
from built import install
from cgroup import difference
from files import APP, WRITABLE, is_changed, set_modes, unpack, write_file
from frames import REPORT, RUN, HostGone, next_frame
from output import Capture, Input, Outbox
from program import Program
from system import os, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cgroup import Cgroup
    from frames import Order, Step
    from waiting import Waiting

REAPED_AT_ONCE = 100


class Surroundings:
    """What all runs in here share."""

    def __init__(self, uid: int, wakeup: int, cgroup: Cgroup) -> None:
        self.uid = uid
        self.wakeup = wakeup  # readable when a process may have ended
        self.cgroup = cgroup


class StepRun:
    """One step: everything between releasing its program and knowing how that ended."""

    def __init__(self, step: Step, program: Program, inputs: list[Input]) -> None:
        self.program = program
        self.inputs = {each.descriptor: each for each in inputs if not each.push()}
        self.outbox = Outbox()
        self.outbox.put(b"S")
        self.captures = {
            descriptor: Capture(descriptor, kind, step.output_bytes, self.outbox)
            for descriptor, kind in ((program.stdout, b"O"), (program.stderr, b"E"))
        }
        self.outputs = list(self.captures.values())
        self.output_left = step.output_stop_bytes
        self.stopped = b""  # why, if it was us who ended it
        self.wait_status: int | None = None
        self.reaped_cpu_seconds = 0.0
        self.max_rss_kb = 0

    def wait(self, deadline: float, wakeup: int, run: int) -> None:
        """Relay output until the program has ended or was stopped, then leave nothing of it alive."""
        poll = select.poll()
        for descriptor in (0, wakeup, *self.captures):
            poll.register(descriptor, select.POLLIN)
        for descriptor in self.inputs:
            poll.register(descriptor, select.POLLOUT)
        while self.wait_status is None and not self.stopped:
            now = time.monotonic()
            if now >= deadline:
                self.stopped = b"timeout"
                break
            if self.outbox.due is not None and now >= self.outbox.due:
                self.outbox.send()
            wake_at = deadline if self.outbox.due is None else min(deadline, self.outbox.due)
            for descriptor, _ in poll.poll((wake_at - now) * 1000 + 1):
                if descriptor == 0:
                    self.hear(run)
                elif descriptor == wakeup:
                    self.collect(wakeup)
                elif self.relay(descriptor):
                    poll.unregister(descriptor)
        self.kill_all()
        for capture in list(self.captures.values()):
            while capture.read():
                pass
        for capture in self.outputs:
            capture.finish()
        for descriptor in (self.program.stdout, self.program.stderr, *self.inputs):
            os.close(descriptor)

    def hear(self, run: int) -> None:
        """The host has something to say: that this run is to be cancelled."""
        kind, payload = next_frame()
        if kind != b"K":
            raise HostGone
        if payload == RUN.pack(run):
            self.stopped = b"cancelled"

    def collect(self, wakeup: int) -> None:
        """Some process has ended."""
        os.read(wakeup, 1024)
        if not self.reap(os.WNOHANG, REAPED_AT_ONCE):
            signal.raise_signal(signal.SIGCHLD)  # come back, after a look at the clock

    def relay(self, descriptor: int) -> bool:
        """Move bytes from or to the program; True when there are no more to come."""
        if descriptor in self.inputs:
            if self.inputs[descriptor].push():
                del self.inputs[descriptor]
                return True
        else:
            count = self.captures[descriptor].read()
            if count == 0:
                del self.captures[descriptor]
                return True
            self.output_left -= count or 0
            if self.output_left < 0:
                self.stopped = b"output_limit"
        return False

    def reap(self, options: int, at_most: int = sys.maxsize) -> bool:
        """Collect processes that have ended: the program, and what it left to us. False when there may be more."""
        while at_most:
            at_most -= 1
            try:
                pid, status, usage = os.wait4(-1, options)
            except ChildProcessError:
                return True
            if pid == 0:
                return True
            self.reaped_cpu_seconds += usage.ru_utime + usage.ru_stime
            self.max_rss_kb = max(self.max_rss_kb, usage.ru_maxrss)
            if pid == self.program.pid:
                self.wait_status = status
        return False

    def kill_all(self) -> None:
        """Kill and collect everything but ourselves: kill(2) with -1 from PID 1 reaches the whole container."""
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.reap(0)


class Meter:
    """What a step uses from now on; `program` is its process if that has started already."""

    def __init__(self, cgroup: Cgroup, program: Program | None) -> None:
        self.cgroup = cgroup
        self.oom_before, self.cpu_before = cgroup.oom_kills(), cgroup.cpu_seconds()
        self.started = time.monotonic()
        self.waited_cpu_seconds = program.cpu_seconds() if program else 0.0

    def report(self, run: StepRun) -> bytes:
        wall_seconds = time.monotonic() - self.started
        reaped_cpu_seconds = max(0.0, run.reaped_cpu_seconds - self.waited_cpu_seconds)
        return REPORT.pack(
            run.wait_status,
            int(difference(self.cgroup.oom_kills(), self.oom_before, -1)),
            int(wall_seconds * 1e6),
            # What a program's children used is in here even if nobody waited for them.
            int(difference(self.cgroup.cpu_seconds(), self.cpu_before, reaped_cpu_seconds) * 1e6),
            run.max_rss_kb,
            *(capture.dropped for capture in run.outputs),
        )


def prepare(order: Order, waiting: Waiting | None) -> tuple[Program | None, list[Input]]:
    """Put the files in place. Returns the program (or None: not started yet) and what is to be written to it."""
    started = place(order, waiting)
    if order.artifacts.globs:
        set_modes(order.names, WRITABLE)
    return started


def place(order: Order, waiting: Waiting | None) -> tuple[Program | None, list[Input]]:
    if waiting and waiting.writer is not None and waiting.fits(order):
        # The regular file first: from its first line on, the program may open its own source.
        write_file(waiting.script + ".new", [order.payload])
        os.rename(waiting.script + ".new", waiting.script)
        return waiting.program, [Input(waiting.writer, order.payload)]
    if waiting:
        waiting.discard()
    if order.is_archive:
        unpack(order.payload, order.names)
    else:
        write_file(f"{APP}/{order.names[0]}", [order.payload])
    return None, []


def execute(order: Order, waiting: Waiting | None, around: Surroundings) -> bool:
    """Carry out an order step by step, report each. Whether the program ended by itself."""
    program, inputs = prepare(order, waiting)
    order.payload = b""
    for step in order.steps:
        meter = Meter(around.cgroup, program)
        if program is None:
            program = Program(around.uid, step.command, step.environment, step.folder)
        inputs.append(Input(program.stdin, order.stdin if step is order.steps[-1] else b""))
        run = StepRun(step, program, inputs)
        run.wait(meter.started + step.timeout_seconds, around.wakeup, order.run)
        report = meter.report(run)
        is_last = bool(run.wait_status or run.stopped or step is order.steps[-1])
        if is_last and run.stopped != b"cancelled" and order.artifacts.globs and is_changed(order.names):
            run.outbox.send()
            collect(order, around.uid)
        run.outbox.put(b"D", report + run.stopped)
        run.outbox.send()
        if is_last:
            break
        install(around.uid)
        program, inputs = None, []
    order.stdin = b""
    return not run.stopped
