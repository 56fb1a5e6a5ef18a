"""PID 1 of a sandbox container: runs one program for the host, reports how it ended, and exits.

Standard library only; the host never imports it. It talks to the host in frames (one letter, a length of
four bytes big-endian, the payload) over its own stdin and stdout, which the program cannot open:

    host -> here    R limits (ORDER)   A command   V environment   N names of the archive's files
                    P program (source text or zip)   I stdin of the program   then, maybe, K cancel
    here -> host    Y ready   S started   O/E output   o/e output after a gap   X refused (a code)
                    D done (REPORT, and why the program was ended, if it was)

A, V and N are strings of which each ends with NUL, which no argument and no file name can contain.

The first argument is the container's number, from which the program's uid follows. Further ones, if any, are those of
env(1) after a number of seconds: `NUMBER [SECONDS [NAME=VALUE]... COMMAND [ARGUMENT]...]`. The command is then started
at once and *parked*: its script is a FIFO, so the interpreter does all of its start-up
and blocks reading its first line. When the run arrives, a regular file takes the FIFO's name and the source is
written into the FIFO. Nothing is hooked, so there is nothing for the program to notice; what Node.js loads in advance
is in warm_up.cjs, which removes its traces itself. Nobody waits longer than those seconds.

When stdin ends, whatever the reason, this process exits, and the kernel kills everything else in here. So nothing that
a program does may hold it up: what it shares with one never blocks, and no loop waits for a program to stop.

What it imports is paid for at every start of a container, beside the interpreter's own 8 ms of CPU: 1 ms, as `os`,
`signal` and `ctypes` are replaced by what they are made of (the same functions, without paths, enums and types), and
`json` and `contextlib` by nothing. With those it was 14.
"""

from __future__ import annotations

import _ctypes
import errno
import fcntl
import gc
import resource  # noqa: F401 - os.wait4 would import it in the middle of a run
import select
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal
    from collections.abc import Iterable
    from typing import NoReturn
else:
    import _signal as signal
    import posix as os

APP = "/app"
NOGROUP = 65534
# Some of the kernel's budgets go by uid and count over the whole host, so each container has a uid of its own. No host
# gives those from here on to anybody, and they are not what container engines map; a user namespace ends at 65536.
FIRST_HOST_UID = 1_900_000_000
FIRST_NAMESPACE_UID = 10_000
PASSWD, PASSWD_OF_IMAGE = "/etc/sandbox/passwd", "/sandbox/passwd"
FRAME = struct.Struct(">cI")
ORDER = struct.Struct(">?dqq")  # may be parked, seconds, output bytes, bytes of output that end the program
REPORT = struct.Struct(">iqqqqqq")  # wait status, OOM kills (-1: unknown), wall us, CPU us, RSS kB, dropped bytes
READ_BYTES = 65536
OUTPUT_PIPE_BYTES = 1 << 18
GATHER_SECONDS = 0.01  # how long news of a program may wait for more, to travel together
PR_CAPBSET_DROP = 24  # prctl(2)
REAPED_AT_ONCE = 100
# cgroup v2, v1
OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
CPU_COUNTERS = ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpuacct/cpuacct.usage")
BASE_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": APP, "LANG": "C.UTF-8"}


class HostGone(Exception):
    """The host closed our stdin."""


class Refused(Exception):
    """The run cannot be started; the argument is a code of the host's API."""


# --- Frames -----------------------------------------------------------------------------------------------


def write_all(data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def send(kind: bytes, payload: bytes = b"") -> None:
    write_all(FRAME.pack(kind, len(payload)) + payload)


def read_exactly(count: int) -> bytes:
    chunks = []
    while count:
        chunk = os.read(0, min(count, 1 << 20))
        if not chunk:
            raise HostGone
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)


def receive(expected: bytes) -> bytes:
    kind, length = FRAME.unpack(read_exactly(FRAME.size))
    if kind != expected:
        raise HostGone
    return read_exactly(length)


def strings(data: bytes) -> list[str]:
    return [part.decode("utf-8", "surrogateescape") for part in data.split(b"\0")[:-1]]


class Order:
    """What the host wants to be run, and how."""

    def __init__(self) -> None:
        """Receive it."""
        numbers = ORDER.unpack(receive(b"R"))
        self.may_be_parked, self.timeout_seconds, self.output_bytes, self.output_stop_bytes = numbers
        signal.alarm(int(self.timeout_seconds) + 60)  # in case the engine is gone and nobody reads us
        self.command = strings(receive(b"A"))
        self.environment = strings(receive(b"V"))
        self.names = strings(receive(b"N"))
        self.payload = receive(b"P")
        self.stdin = receive(b"I")


# --- The program's user -----------------------------------------------------------------------------------


def uid_of(number: int) -> int:
    """The uid of this container's program. The host gives no two living containers of an engine the same number."""
    host_uid = FIRST_HOST_UID + number
    with open("/proc/self/uid_map", "rb") as mapping:
        for line in mapping:
            first, _, count = map(int, line.split())
            if first <= host_uid < first + count:
                return host_uid
    return FIRST_NAMESPACE_UID + number


def name_user(uid: int) -> None:
    """Let the image's list of users call this uid `nobody`, for `id`, `getpass` and `os.userInfo()`."""
    with open(PASSWD_OF_IMAGE, "rb") as users:
        lines = users.read().replace(b"nobody:x:65534:", b"nobody:x:%d:" % uid)
    write_file(PASSWD, [lines])


# --- The program's process --------------------------------------------------------------------------------


class Program:
    """One process running `command` under `uid`, with pipes for its three standard streams."""

    def __init__(self, uid: int, command: list[str], environment: list[str]) -> None:
        self.uid = uid
        self.command = command
        self.environment = environment
        # The pipes belong to the program's user, so that it may open /dev/stdin and /dev/stdout as usual. The kernel
        # charges them to the real uid of who makes them. No other process of that user is alive at this moment.
        os.setresuid(uid, uid, 0)
        child_stdin, self.stdin = os.pipe()
        self.stdout, child_stdout = os.pipe()
        self.stderr, child_stderr = os.pipe()
        os.setresuid(0, 0, 0)
        for descriptor in (self.stdout, self.stderr):
            widen(descriptor)
        # A program can read its own output and fill its own input, by opening them again in /proc/self/fd: whatever
        # poll(2) has said of a pipe may have changed.
        for descriptor in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(descriptor, False)
        self.pid = os.fork()
        if self.pid == 0:
            become(uid, command, environment, child_stdin, child_stdout, child_stderr)
        for descriptor in (child_stdin, child_stdout, child_stderr):
            os.close(descriptor)

    def cpu_seconds(self) -> float:
        # The CPU clock of another process: clock_getcpuclockid(3), as glibc computes it.
        return time.clock_gettime((~self.pid << 3) | 2)

    def discard(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        for descriptor in (self.stdin, self.stdout, self.stderr):
            os.close(descriptor)


def widen(descriptor: int) -> None:
    """Let a pipe hold more than 64 KiB: Node loses what did not fit when a program calls process.exit().

    Not much more, because the kernel bounds the sum for each user: pipe-user-pages-soft, 64 MiB, pipe(7). Beyond it
    a pipe stays as it is.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, OUTPUT_PIPE_BYTES)
    except OSError:
        pass


def become(uid: int, command: list[str], environment: list[str], *streams: int) -> NoReturn:
    """In the child: give up every privilege and turn into the program. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored_by_python, signal.SIG_DFL)
        os.setsid()
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        with open("/proc/self/oom_score_adj", "wb") as adjustment:
            adjustment.write(b"1000")
        os.chdir(APP)
        os.setgroups([])
        os.setresgid(NOGROUP, NOGROUP, NOGROUP)
        os.setresuid(uid, uid, uid)  # clears every capability: capabilities(7)
        variables = BASE_ENVIRONMENT | dict(setting.split("=", 1) for setting in environment)
        for folder in variables["PATH"].split(":"):  # os.execvpe would import `warnings` for this
            path = f"{folder}/{command[0]}"
            if os.access(path, os.X_OK):
                os.execve(path, command, variables)
        raise FileNotFoundError("not on the PATH")
    except BaseException as problem:
        os.write(2, f"cannot start {command[0]}: {problem}\n".encode())
    finally:
        os._exit(127)


def drop_bounding_set() -> None:
    """No process in here, whatever it executes, can gain a capability again; ours keep those they have."""
    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    capability = 0
    while _ctypes.call_function(prctl, (PR_CAPBSET_DROP, capability, 0, 0, 0)) == 0:
        capability += 1
    with open("/proc/self/status", "rb") as status:
        if b"\nCapBnd:\t0000000000000000\n" not in status.read():
            raise OSError("cannot drop the capability bounding set")


def exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


# --- Parking ----------------------------------------------------------------------------------------------


class Parked:
    """An interpreter that has started and waits for the first line of its script."""

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
        return (
            order.may_be_parked
            and order.command == self.program.command
            and order.environment == self.program.environment
            and not exited(self.program.pid)
        )

    def discard(self) -> None:
        if self.writer is not None:
            os.close(self.writer)
        self.program.discard()
        os.unlink(self.script)


# --- Files ------------------------------------------------------------------------------------------------


def write_file(path: str, chunks: Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with open(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)


def unpack(data: bytes, names: list[str]) -> None:
    """Write the named members below /app. The host has checked names and sizes; contents are checked here."""
    import functools  # only archives need these
    import io
    import os
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in names:
                path = os.path.join(APP, name)
                os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
                with archive.open(name) as member:
                    write_file(path, iter(functools.partial(member.read, READ_BYTES), b""))
                if os.stat(path).st_size != archive.getinfo(name).file_size:
                    raise Refused("corrupt_archive")
    except OSError as problem:
        if problem.errno == errno.ENOSPC:
            raise Refused("archive_too_large") from problem
        raise Refused("corrupt_archive") from problem
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError) as problem:
        raise Refused("corrupt_archive") from problem


# --- Output -----------------------------------------------------------------------------------------------


class Outbox:
    """News of a program on its way to the host, in order: that it was released, its output, its end.

    Four processes handle each piece after us. A program that prints line by line would wait for them.
    """

    def __init__(self) -> None:
        self.frames = bytearray()
        self.kind = b""
        self.payload = bytearray()  # of the last frame, which can still grow
        self.due: float | None = None

    def put(self, kind: bytes, payload: bytes | bytearray = b"") -> None:
        if kind != self.kind:
            self._close_frame()
            self.kind = kind
        self.payload += payload
        if self.due is None:
            self.due = time.monotonic() + GATHER_SECONDS
        if len(self.frames) + len(self.payload) >= READ_BYTES:
            self.send()

    def send(self) -> None:
        self._close_frame()
        write_all(self.frames)
        self.frames = bytearray()
        self.due = None

    def _close_frame(self) -> None:
        if self.kind:
            self.frames += FRAME.pack(self.kind, len(self.payload)) + self.payload
            self.payload.clear()
            self.kind = b""


class Capture:
    """One output stream: its head is sent as it comes, of the rest only the last bytes are kept."""

    def __init__(self, descriptor: int, kind: bytes, keep_bytes: int, outbox: Outbox) -> None:
        self.descriptor = descriptor
        self.kind = kind
        self.outbox = outbox
        self.head_left = keep_bytes // 2
        self.tail_bytes = keep_bytes - self.head_left
        self.tail = bytearray()
        self.dropped = 0

    def read(self) -> int | None:
        """Take what is there; the number of bytes, 0 at the end of the stream, None when there is nothing."""
        try:
            data = os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            return None
        head, rest = data[: self.head_left], data[self.head_left :]
        if head:
            self.outbox.put(self.kind, head)
            self.head_left -= len(head)
        self.tail += rest
        if len(self.tail) > self.tail_bytes + (1 << 20):
            self._trim()
        return len(data)

    def _trim(self) -> None:
        excess = max(0, len(self.tail) - self.tail_bytes)
        del self.tail[:excess]
        self.dropped += excess

    def finish(self) -> None:
        self._trim()
        if self.tail:
            self.outbox.put(self.kind.lower() if self.dropped else self.kind, self.tail)


class Feed:
    """Bytes on their way into a pipe whose reader may be slow, or gone."""

    def __init__(self, descriptor: int, data: bytes) -> None:
        self.descriptor = descriptor  # non-blocking
        self.data = memoryview(data)

    def push(self) -> bool:
        """Write what fits; True when there is nothing left to do."""
        try:
            while self.data:
                self.data = self.data[os.write(self.descriptor, self.data) :]
        except BlockingIOError:
            return False
        except BrokenPipeError:
            pass
        os.close(self.descriptor)
        return True


# --- One run ----------------------------------------------------------------------------------------------


class Run:
    """Everything between releasing a program and knowing how it ended."""

    def __init__(self, order: Order, program: Program, feeds: list[Feed], wakeup: int) -> None:
        self.program = program
        self.feeds = {feed.descriptor: feed for feed in feeds if not feed.push()}
        self.outbox = Outbox()
        self.outbox.put(b"S")
        self.captures = {
            descriptor: Capture(descriptor, kind, order.output_bytes, self.outbox)
            for descriptor, kind in ((program.stdout, b"O"), (program.stderr, b"E"))
        }
        self.outputs = list(self.captures.values())
        self.output_left = order.output_stop_bytes
        self.wakeup = wakeup
        self.stopped = b""  # why, if it was us who ended it
        self.wait_status: int | None = None
        self.reaped_cpu_seconds = 0.0
        self.max_rss_kb = 0

    def wait(self, deadline: float) -> None:
        """Relay output until the program has ended or was stopped, then leave nothing of it alive."""
        poll = select.poll()
        for descriptor in (0, self.wakeup, *self.captures):
            poll.register(descriptor, select.POLLIN)
        for descriptor in self.feeds:
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
                if self.handle(descriptor):
                    poll.unregister(descriptor)
        self.kill_all()
        for capture in list(self.captures.values()):
            while capture.read():
                pass
        for capture in self.outputs:
            capture.finish()

    def handle(self, descriptor: int) -> bool:
        """React to one descriptor; True when it needs no more watching."""
        if descriptor == 0:
            if FRAME.unpack(read_exactly(FRAME.size))[0] == b"K":
                self.stopped = b"cancelled"
        elif descriptor == self.wakeup:
            os.read(self.wakeup, 1024)
            if not self.reap(os.WNOHANG, REAPED_AT_ONCE):
                signal.raise_signal(signal.SIGCHLD)  # come back, after a look at the clock
        elif descriptor in self.feeds:
            if self.feeds[descriptor].push():
                del self.feeds[descriptor]
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


class Cgroup:
    """What the kernel counts for the whole container, whatever its processes do."""

    def __init__(self) -> None:
        self._oom_counter = open_first(OOM_COUNTERS)
        self._cpu_counter = open_first(CPU_COUNTERS)

    def oom_kills(self) -> int | None:
        """How many processes the kernel has killed for memory; None when it does not say."""
        return read_count(self._oom_counter, b"oom_kill")

    def cpu_seconds(self) -> float | None:
        """CPU time of everything but ourselves; None when the kernel does not say."""
        own = time.process_time()  # first, as it makes the kernel add what is running now to the other figure
        microseconds = read_count(self._cpu_counter, b"usage_usec")
        return None if microseconds is None else microseconds / 1e6 - own


def open_first(paths: tuple[str, ...]) -> int | None:
    for path in paths:
        try:
            return os.open(path, os.O_RDONLY)
        except OSError:
            pass
    return None


def read_count(descriptor: int | None, name: bytes) -> int | None:
    """The number that follows `name`; one without a name is in nanoseconds, as cpuacct.usage."""
    if descriptor is None:
        return None
    for line in os.pread(descriptor, 4096, 0).splitlines():
        key, _, count = line.partition(b" ")
        if key == name:
            return int(count)
        if not count:
            return int(key) // 1000
    return None


def difference(after: float | None, before: float | None, otherwise: float) -> float:
    return otherwise if after is None or before is None else max(0, after - before)


def prepare(order: Order, parked: Parked | None) -> tuple[Program | None, list[tuple[int, bytes]]]:
    """Put the files in place. Returns the program (or None: not started yet) and what is to be fed to it."""
    if parked and parked.writer is not None and parked.fits(order):
        # The regular file first: from its first line on, the program may open its own source.
        write_file(parked.script + ".new", [order.payload])
        os.rename(parked.script + ".new", parked.script)
        return parked.program, [(parked.writer, order.payload)]
    if parked:
        parked.discard()
    if order.names:
        unpack(order.payload, order.names)
    else:
        write_file(order.command[1], [order.payload])
    return None, []


def execute(uid: int, parked: Parked | None, wakeup: int, cgroup: Cgroup) -> None:
    """Receive one run, carry it out, report it."""
    order = Order()
    program, feeds = prepare(order, parked)
    order.payload = b""
    oom_before, cpu_before = cgroup.oom_kills(), cgroup.cpu_seconds()
    started = time.monotonic()
    waited_cpu_seconds = program.cpu_seconds() if program else 0.0
    if program is None:
        program = Program(uid, order.command, order.environment)
    run = Run(order, program, [Feed(*feed) for feed in (*feeds, (program.stdin, order.stdin))], wakeup)
    run.wait(started + order.timeout_seconds)
    wall_seconds = time.monotonic() - started
    reaped_cpu_seconds = max(0.0, run.reaped_cpu_seconds - waited_cpu_seconds)
    report = REPORT.pack(
        run.wait_status,
        int(difference(cgroup.oom_kills(), oom_before, -1)),
        int(wall_seconds * 1e6),
        # What a program's children used is in here even if nobody waited for them.
        int(difference(cgroup.cpu_seconds(), cpu_before, reaped_cpu_seconds) * 1e6),
        run.max_rss_kb,
        *(capture.dropped for capture in run.outputs),
    )
    run.outbox.put(b"D", report + run.stopped)
    run.outbox.send()


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
    parked = None
    if words:
        signal.alarm(int(words.pop(0)))
        environment = []
        while "=" in words[0]:
            environment.append(words.pop(0))
        parked = Parked(uid, words, environment)
    cgroup = Cgroup()
    gc.freeze()
    gc.disable()  # one run is too short to be worth a collection
    try:
        send(b"Y")
        try:
            execute(uid, parked, wakeup, cgroup)
        except Refused as problem:
            send(b"X", str(problem).encode())
        # Not before the host has answered its client: the engine's work after our exit would compete with that.
        read_exactly(sys.maxsize)
    except HostGone:
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
