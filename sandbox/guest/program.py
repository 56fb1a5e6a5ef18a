"""The program's process, and the user it runs as."""

from __future__ import annotations

import _posixsubprocess
import fcntl
import time

from files import APP, write_file
from system import libc, os, signal

NOGROUP = 65534
# Some of the kernel's budgets go by uid and count over the whole host, so each container has a uid of its own. No host
# gives those from here on to anybody, and they are not what container engines map; a user namespace ends at 65536.
FIRST_HOST_UID = 1_900_000_000
FIRST_NAMESPACE_UID = 10_000
PASSWD, PASSWD_OF_IMAGE = "/etc/sandbox/passwd", "/sandbox/passwd"
OUTPUT_PIPE_BYTES = 1 << 18
OOM_SCORE = "/proc/self/oom_score_adj"
PR_CAPBSET_DROP = 24  # prctl(2)
BASE_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": APP, "LANG": "C.UTF-8"}


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


class Program:
    """One process running `command` in `folder` under `uid`, with pipes for its three standard streams."""

    def __init__(self, uid: int, command: list[str], environment: list[str], folder: str = APP) -> None:
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
        # Ids and OOM score come from who forks. Capabilities go at the exec, since no id but our saved ones is root's:
        # capabilities(7).
        own_score = read_score()
        write_score(b"1000")
        forget_peak()
        os.setresgid(NOGROUP, NOGROUP, 0)
        os.setresuid(uid, uid, 0)
        try:
            streams = (child_stdin, child_stdout, child_stderr, self.stderr)
            self.pid = start(command, environment, streams, folder)
        finally:
            os.setresuid(0, 0, 0)
            os.setresgid(0, 0, 0)
            write_score(own_score)
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


def start(command: list[str], environment: list[str], streams: tuple[int, int, int, int], folder: str) -> int:
    """Start a process with the ids that this one has now; its process id. The last stream is the other end of stderr.

    Nothing has to be done between fork and exec, so vfork(2) will do. A fork would copy our page tables, and then
    each page that is written to.
    """
    variables = BASE_ENVIRONMENT | dict(setting.split("=", 1) for setting in environment)
    paths = tuple(f"{folder}/{command[0]}".encode() for folder in variables["PATH"].split(":"))
    settings = [f"{name}={value}".encode("utf-8", "surrogateescape") for name, value in variables.items()]
    words = [word.encode("utf-8", "surrogateescape") for word in command]
    stdin, stdout, stderr, own_stderr = streams
    return _posixsubprocess.fork_exec(
        words, paths, True, (stderr,), folder, settings,
        stdin, -1, -1, stdout, -1, stderr,
        own_stderr, stderr,  # where it is said that nothing could be executed
        True, True, -1,  # signals as before Python's start, a session of its own
        None, None, None, -1, None, True,  # type: ignore[arg-type]
    )  # fmt: skip


def read_score() -> bytes:
    with open(OOM_SCORE, "rb") as file:
        return file.read()


def forget_peak() -> None:
    """The kernel counts a process as large as the one that started it ever was. Let that be its size now: proc(5)."""
    try:
        with open("/proc/self/clear_refs", "wb") as file:
            file.write(b"5")
    except FileNotFoundError:
        pass


def write_score(score: bytes) -> None:
    with open(OOM_SCORE, "wb") as file:
        file.write(score)


def drop_bounding_set() -> None:
    """No process in here, whatever it executes, can gain a capability again; ours keep those they have."""
    prctl, capability = libc("prctl"), 0
    while prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    with open("/proc/self/status", "rb") as status:
        if b"\nCapBnd:\t0000000000000000\n" not in status.read():
            raise OSError("cannot drop the capability bounding set")


def exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
