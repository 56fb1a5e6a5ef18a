"""Tries, as nobody inside the container, what the profile must refuse and the neighbouring things it must not.

Its argument is a JSON object, name -> number, of calls to try with all arguments zero. Prints JSON: attempt ->
`ok`, the name of an errno, or the name of the signal that ended it. Each attempt is a process of its own,
because it may be killed, or succeed. Standard library only; nothing here is imported.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import resource
import signal
import socket
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    "x86_64": {
        "socket": 41, "socketpair": 53, "clone": 56, "ioctl": 16, "prctl": 157, "personality": 135,
        "setsockopt": 54, "mknodat": 259, "getpid": 39, "prlimit64": 302, "fcntl": 72,
    },
    "aarch64": {
        "socket": 198, "socketpair": 199, "clone": 220, "ioctl": 29, "prctl": 167, "personality": 92,
        "setsockopt": 208, "mknodat": 33, "getpid": 172, "prlimit64": 261, "fcntl": 25,
    },
}[platform.machine()]  # fmt: skip
HIGH = 1 << 32
"""Set in an argument of which the kernel reads 32 bits: the same to the kernel, another number to a filter."""

KINDS = {1: "STREAM", 2: "DGRAM", 3: "RAW", 5: "SEQPACKET"}
NAMESPACES = {
    "NEWNS": 0x20000, "NEWCGROUP": 0x2000000, "NEWUTS": 0x4000000, "NEWIPC": 0x8000000,
    "NEWUSER": 0x10000000, "NEWPID": 0x20000000, "NEWNET": 0x40000000,
}  # fmt: skip
REQUESTS = {"TIOCSTI": 0x5412, "TIOCLINUX": 0x541C, "TIOCSETD": 0x5423, "KDSKBENT": 0x4B47, "FICLONE": 0x40049409}
OPTIONS = {
    "SET_SECCOMP": 22, "SET_TSC": 26, "SET_MM": 35, "SET_SPECULATION_CTRL": 53, "SET_SYSCALL_USER_DISPATCH": 59,
    "SCHED_CORE": 62, "SET_PTRACER": 0x59616D61,
}  # fmt: skip
PERSONALITIES = {
    "ADDR_NO_RANDOMIZE": 0x40000, "READ_IMPLIES_EXEC": 0x400000, "PER_BSD": 6, "LINUX": 0, "query": 0xFFFFFFFF,
}  # fmt: skip
SOCKET_OPTIONS = {
    "SO_ATTACH_FILTER": (1, 26), "SO_ATTACH_BPF": (1, 50), "SO_ZEROCOPY": (1, 60), "TCP_ULP": (6, 31),
    "UDP_ENCAP": (17, 100), "IPV6_2292PKTOPTIONS": (41, 6), "IPV6_FLOWLABEL_MGR": (41, 32), "IP_OPTIONS": (0, 4),
    "IP_MSFILTER": (0, 41), "NETLINK": (270, 1),
}  # fmt: skip
MODES = {"character device": 0o020000, "block device": 0o060000, "regular file": 0o100000, "fifo": 0o010000}


def call(number, *arguments):
    """One system call by number, every integer passed in all its 64 bits."""
    wide = [ctypes.c_void_p(value) if isinstance(value, int) else value for value in arguments]
    if LIBC.syscall(ctypes.c_long(number), *wide) == -1:
        return errno.errorcode[ctypes.get_errno()]
    return "ok"


def attempt(action):
    """What became of `action` in a child without descriptors of interest, ended after five seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        for descriptor in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        try:
            answer = action()
        except OSError as problem:
            answer = errno.errorcode[problem.errno]
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if not answer and os.WIFSIGNALED(status) else answer


def raw(name, *arguments):
    return lambda: call(NUMBERS[name], *arguments)


def cloned(flags):
    """A plain fork with these flags; the new process ends at once."""
    result = LIBC.syscall(ctypes.c_long(NUMBERS["clone"]), ctypes.c_ulong(flags | signal.SIGCHLD), *[None] * 4)
    if result == 0:
        os._exit(0)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else "ok"


def set_option(level, option):
    with socket.socket() as sock:
        value = ctypes.c_uint64(0)
        return call(NUMBERS["setsockopt"], sock.fileno(), level, option, ctypes.byref(value), 8)


def machine_code(code):
    """Run these bytes as a function: `ok` if it answers our process id, as getpid does."""
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    result = function()
    return errno.errorcode[-result] if result < 0 else ("ok" if result == os.getpid() else "?")


def socket_plan():
    plan = {}
    for family in range(64):
        for kind, name in KINDS.items():
            plan[f"socket {family} {name}"] = raw("socket", family, kind, 0)
        plan[f"socketpair {family}"] = raw("socketpair", family, 2, 0, ctypes.byref((ctypes.c_int * 2)()))
    for family in (38, 40):
        plan[f"socket {family} high"] = raw("socket", HIGH | family, 1, 0)
    for protocol in range(32):
        plan[f"netlink {protocol}"] = raw("socket", 16, 3, protocol)
    for family in (2, 10):
        plan[f"inet {family} flags"] = raw("socket", family, socket.SOCK_STREAM | os.O_CLOEXEC | os.O_NONBLOCK, 6)
        for protocol in (33, 132, 136, 262):  # DCCP, SCTP, UDP-Lite, MPTCP
            for kind in (1, 2, 5, 6):
                plan[f"inet {family} {kind} {protocol}"] = raw("socket", family, kind, protocol)
    for name, (level, option) in SOCKET_OPTIONS.items():
        plan[f"setsockopt {name}"] = lambda level=level, option=option: set_option(level, option)
        plan[f"setsockopt {name} high"] = lambda level=level, option=option: set_option(HIGH | level, HIGH | option)
    for option in range(26):
        plan[f"SOL_SOCKET {option}"] = lambda option=option: set_option(1, option)
    plan["setsockopt SO_REUSEADDR"] = lambda: set_option(1, 2)
    plan["setsockopt TCP_NODELAY"] = lambda: set_option(6, 1)
    return plan


def argument_plan():
    plan = {"clone plain": lambda: cloned(0)}
    for name, flag in NAMESPACES.items():
        plan[f"clone {name}"] = lambda flag=flag: cloned(flag)
        plan[f"clone {name} with NEWUSER"] = lambda flag=flag: cloned(flag | NAMESPACES["NEWUSER"])
    word = ctypes.byref((ctypes.c_char * 64)())
    for name, request in REQUESTS.items():
        plan[f"ioctl {name}"] = raw("ioctl", 1, request, word)
        plan[f"ioctl {name} high"] = raw("ioctl", 1, HIGH | request, word)
    plan["ioctl TCGETS"] = raw("ioctl", 1, 0x5401, word)
    for name, option in OPTIONS.items():
        plan[f"prctl {name}"] = raw("prctl", option, 0, 0, 0, 0)
        plan[f"prctl {name} high"] = raw("prctl", HIGH | option, 0, 0, 0, 0)
    plan["prctl SET_NAME"] = raw("prctl", 15, ctypes.c_char_p(b"probe"), 0, 0, 0)
    for name, value in PERSONALITIES.items():
        plan[f"personality {name}"] = raw("personality", value)
    for name, mode in MODES.items():
        path = ctypes.c_char_p(b"/dev/shm/node-" + name.encode())
        plan[f"mknod {name}"] = raw("mknodat", -100, path, mode | 0o600, 0x103)
    return plan


def set_limit(number):
    """Set a limit to what it is, which nobody needs a privilege for."""
    limit = (ctypes.c_uint64 * 2)(*(value & 0xFFFFFFFFFFFFFFFF for value in resource.getrlimit(number & 0xFF)))
    return call(NUMBERS["prlimit64"], 0, number, ctypes.byref(limit), 0)


def limit_plan():
    plan = {"limit 4 query": lambda: call(NUMBERS["prlimit64"], 0, 4, 0, ctypes.byref((ctypes.c_uint64 * 2)()))}
    for number in range(16):
        plan[f"limit {number}"] = lambda number=number: set_limit(number)
    plan["limit 4 high"] = lambda: set_limit(HIGH | 4)
    return plan


def file_plan():
    """A call for each command, with an argument that is no lock, on a descriptor that is no pipe."""
    return {
        f"fcntl {command}": lambda command=command: call(NUMBERS["fcntl"], 0, command, 0)
        for command in (*range(16), 36, 37, 38, 1024, 1026, 1030, 1031, 1032, 1033)
    }


def machine_plan():
    """The other doors of an x86_64 kernel. aarch64 has none that a running 64-bit program could use."""
    if platform.machine() != "x86_64":
        return {}
    return {
        # mov eax, 20 (i386's getpid); int 0x80; ret
        "machine int 0x80": lambda: machine_code(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"),
        # mov eax, 102 (i386's socketcall); int 0x80; ret
        "machine int 0x80 socketcall": lambda: machine_code(b"\xb8\x66\x00\x00\x00\xcd\x80\xc3"),
        # mov eax, 39 (getpid); syscall; ret: shows that the way to try it works
        "machine syscall": lambda: machine_code(b"\xb8\x27\x00\x00\x00\x0f\x05\xc3"),
        "machine x32": lambda: call(0x40000000 | NUMBERS["getpid"]),
    }


def main():
    plan = {
        f"call {name}": lambda number=number: call(number, 0, 0, 0, 0, 0, 0)
        for name, number in json.loads(sys.argv[1]).items()
    }
    plan |= socket_plan() | argument_plan() | limit_plan() | file_plan() | machine_plan()
    with open("/proc/self/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
    answers = {"Seccomp": status["Seccomp"], "NoNewPrivs": status["NoNewPrivs"], "Uid": status["Uid"].split()[0]}
    answers |= {name: attempt(action) for name, action in plan.items()}
    print(json.dumps(answers))


main()
