"""The program's process, and the user it runs as."""

from __future__ import annotations

import _ctypes
import fcntl
import time

from files import APP, write_file
from system import os, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

NOGROUP = 65534
# Some of the kernel's budgets go by uid and count over the whole host, so each container has a uid of its own. No host
# gives those from here on to anybody, and they are not what container engines map; a user namespace ends at 65536.
FIRST_HOST_UID = 1_900_000_000
FIRST_NAMESPACE_UID = 10_000
PASSWD, PASSWD_OF_IMAGE = "/etc/sandbox/passwd", "/sandbox/passwd"
OUTPUT_PIPE_BYTES = 1 << 18
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
