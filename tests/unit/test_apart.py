"""The process that looks after a program's files can come to any end: the supervisor passes on what is whole.

Run as inside, with nothing but the standard library; but as whoever runs the tests.
"""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest

from sandbox.engine.image import GUEST

SCRIPT = f"""
import sys
sys.path.insert(0, {str(GUEST)!r})
import os, signal, time
import apart
from frames import FRAME, write_all

apart.SECONDS = 1
apart.become = lambda uid, work, pipe: work(None, pipe)

def say(pipe, kind, payload):
    write_all(FRAME.pack(kind, len(payload)) + payload, pipe)

def work(artifacts, pipe):
    say(pipe, b"B", bytes(100_000))
    {{end}}

is_done = apart.carry_out(os.getuid(), work)
say(1, b"!", str(is_done).encode())
"""
LARGE = b"B" + struct.pack(">I", 100_000) + bytes(100_000)


@pytest.mark.parametrize(
    ("end", "then", "is_done"),
    [
        ("pass", b"", True),
        ('say(pipe, b"M", b"link\\0a")', b"M\0\0\0\6link\0a", True),
        ("raise SystemExit", b"", False),
        ("1 / 0", b"", False),
        ("os._exit(0)", b"", True),
        ("os.kill(os.getpid(), signal.SIGKILL)", b"", False),
        ('os.write(pipe, b"B")', b"", False),
        ('os.write(pipe, FRAME.pack(b"B", 10) + b"123")', b"", False),
        ("time.sleep(60)", b"", False),
        ("signal.signal(signal.SIGALRM, signal.SIG_IGN); time.sleep(60)", b"", False),
        ('os.write(pipe, FRAME.pack(b"B", 10)); time.sleep(60)', b"", False),
        ("[say(pipe, b'B', b'x') for _ in iter(int, 1)]", None, False),
    ],
)
def test_whole_frames_are_passed_on_and_no_end_of_it_is_anothers(end: str, then: bytes | None, is_done: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT.replace("{end}", end)], capture_output=True, timeout=60, check=True
    )
    last = b"!" + struct.pack(">I", len(str(is_done))) + str(is_done).encode()
    assert done.stdout.startswith(LARGE) and done.stdout.endswith(last)
    between = done.stdout[len(LARGE) : -len(last)]
    assert between == then or (then is None and between == b"B\0\0\0\1x" * (len(between) // 6))


def test_without_memory_for_a_fork_it_is_not_done_and_nothing_is_left_open() -> None:
    script = SCRIPT.replace("{end}", "pass").replace(
        "is_done =",
        "def fork(): raise OSError(12, '')\nbefore = os.listdir('/proc/self/fd')\n"
        "apart.os = type('os', (), {**vars(os), 'fork': staticmethod(fork)})\nis_done =",
    )
    script += "assert os.listdir('/proc/self/fd') == before\n"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"!\0\0\0\5False"
