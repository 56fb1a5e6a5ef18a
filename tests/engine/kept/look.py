"""The second program of each pair: everything it can see or do that a first one in the same container might change.

Run in the sandbox as a program; nothing in here is imported. What the kernel only raises is left out.
"""

import contextlib
import ctypes
import errno
import fcntl
import glob
import json
import mmap
import os
import re
import resource
import signal
import socket
import sys
import time

RAISED = r"(non)?voluntary|Vm|Rss|Hugetlb|Pid|PPid|Tgid|NS"
PORTS = (4711, 4712)


def text(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError as problem:
        return errno.errorcode[problem.errno]


def tree(folder):
    found = []
    for where, folders, files in os.walk(folder):
        of = os.stat(where)
        found.append((where, sorted(folders), sorted(files), oct(of.st_mode), of.st_uid, of.st_nlink, of.st_size))
    return found


def room(folder):
    of = os.statvfs(folder)
    return of.f_blocks, of.f_bfree, of.f_files - of.f_ffree


def status():
    lines = text("/proc/self/status").splitlines()
    return [line for line in lines if not re.match(RAISED, line)]


def processes():
    others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
    return [text(f"/proc/{pid}/cmdline").replace("\0", " ").split()[:1] for pid in others]


def descriptors():
    kinds = {int(name): os.readlink(f"/proc/self/fd/{name}").partition(":")[0] for name in ("0", "1", "2")}
    flags = [(fcntl.fcntl(number, fcntl.F_GETFL), fcntl.fcntl(number, 1032)) for number in kinds]
    return kinds, flags, len(os.listdir("/proc/self/fd"))


def network():
    tables = {path: len(text(path).splitlines()) for path in glob.glob("/proc/net/*") if "stat" not in path}
    of_this_namespace = re.findall(r"(\w+: inuse \d+|used \d+|tw \d+)", text("/proc/net/sockstat"))
    return sorted(tables.items()), of_this_namespace, text("/proc/net/sockstat6").splitlines()[:2]


def limits():
    return [resource.getrlimit(number) for number in range(16)]


def attributes():
    libc = ctypes.CDLL(None)
    value = ctypes.c_int()
    libc.prctl(2, ctypes.byref(value))
    return {
        "death signal": value.value,
        "prctl": [libc.prctl(option, 0, 0, 0, 0) for option in (3, 7, 21, 23, 27, 30, 39, 42)],
        "personality": libc.personality(0xFFFFFFFF),
        "scheduler": [os.sched_getscheduler(0), sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0)],
        "timers": [signal.getitimer(which) for which in range(3)],
        "alarm": signal.alarm(0),
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "pending": sorted(signal.sigpending()),
        "handlers": [str(signal.getsignal(number)) for number in range(1, 32)],
        "children": resource.getrusage(resource.RUSAGE_CHILDREN)[:2],
        "leader": os.getsid(0) == os.getpgrp() == os.getpid() and os.getppid() == 1,
        "slack": text("/proc/self/timerslack_ns"),
    }


def until_refused(take, at_most):
    """How often it can be done."""
    taken = []
    with contextlib.suppress(OSError):
        while len(taken) < at_most:
            taken.append(take())
    return taken


def widened_pipes():
    def take():
        pair = os.pipe()
        size = fcntl.fcntl(pair[0], 1031, 1 << 20)
        assert size == 1 << 20
        return pair

    taken = until_refused(take, 100)
    for pair in taken:
        for end in pair:
            os.close(end)
    return len(taken)


def watches():
    libc = ctypes.CDLL(None)

    def take():
        descriptor = libc.inotify_init1(0)
        if descriptor < 0 or libc.inotify_add_watch(descriptor, b"/dev/shm", 2) < 0:
            raise OSError
        return descriptor

    taken = until_refused(take, 100)
    for descriptor in taken:
        os.close(descriptor)
    return len(taken)


def children():
    def take():
        pid = os.fork()
        while not pid:
            signal.pause()
        return pid

    taken = until_refused(take, 100)
    for pid in taken:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return len(taken)


def memory():
    with mmap.mmap(-1, 90 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE) as block:
        return len(block)


def shared_memory():
    descriptor = os.open("/dev/shm/look", os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600)
    try:
        taken = until_refused(lambda: os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, 1 << 18), 100)
        return len(taken)
    finally:
        os.close(descriptor)
        os.unlink("/dev/shm/look")


def attempt(action, *arguments):
    try:
        action(*arguments)
    except OSError as problem:
        return errno.errorcode[problem.errno]
    return "done"


def listen(family, kind, address):
    with socket.socket(family, kind) as end:
        end.bind(address)
        if kind == socket.SOCK_STREAM:
            end.listen()


def addresses():
    internet = [
        attempt(listen, family, kind, (host, port))
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1"))
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
        for port in PORTS
    ]
    return internet, attempt(listen, socket.AF_UNIX, socket.SOCK_STREAM, "\0left")


def lock(path, take):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        take(descriptor)
    finally:
        os.close(descriptor)


def locks():
    takers = (
        lambda descriptor: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB),
        lambda descriptor: fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB),
    )
    paths = ("/usr/local/bin/python3", "/app/user_code.py", "/app", "/dev/shm", "/dev/null", "/etc/passwd")
    return [(path, attempt(lock, path, take)) for path in paths for take in takers], locks_of_processes()


def locks_of_processes():
    return [line for line in text("/proc/locks").splitlines() if " -1 " not in line]  # those of the host's descriptors


def group():
    """Of the container's control group: what goes up and down."""
    paths = ("pids/pids.current", "pids.current", "memory/memory.limit_in_bytes", "cpuset/cpuset.cpus", "cpu.max")
    return [text(f"/sys/fs/cgroup/{path}") for path in paths]


def main():
    seen = {
        "shm": tree("/dev/shm") + [room("/dev/shm")],
        "app": tree("/app") + [room("/app")],
        "devices": sorted(os.listdir("/dev")),
        "writable": attempt(open, "/app/left", "w"),
        "processes": processes(),
        "status": status(),
        "descriptors": descriptors(),
        "network": network(),
        "ipc": [text(path) for path in sorted(glob.glob("/proc/sysvipc/*"))],
        "mounts": sorted(re.sub(r"/[^ ,]*overlay2[^ ,]*", "…", text("/proc/self/mounts")).splitlines()),
        "limits": limits(),
        "attributes": attributes(),
        "files": [text(f"/proc/self/{name}") for name in ("oom_score_adj", "coredump_filter", "personality", "timers")],
        "environment": sorted(os.environ.items()),
        "folder": os.getcwd(),
        "arguments": sys.argv,
        "stdin": sys.stdin.read(),
        "group": group(),
        "locks": locks(),
        "addresses": addresses(),
        "widened pipes": widened_pipes(),
        "watches": watches(),
        "children": children(),
        "shared memory": shared_memory(),
        "memory": memory(),
        "clock": time.monotonic() > 0,
    }
    print(json.dumps(seen))


main()
