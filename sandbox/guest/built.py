"""What a step has built, put where the next one can execute it: into a folder that no program can write to."""

from __future__ import annotations

from files import write_file
from frames import READ_BYTES
from system import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT = "/dev/shm/program"
PROGRAM = "/exe/program"  # on a tmpfs of root's, which only containers of compiled languages have
REGULAR, KIND = 0o100000, 0o170000  # inode(7)


def install(uid: int) -> None:
    """Move what was built there, if anything was. What cannot be moved is left, and found."""
    try:
        descriptor = open_as(uid, BUILT)
    except OSError:
        return
    try:
        if os.fstat(descriptor).st_mode & KIND == REGULAR:
            uninstall()
            write_file(PROGRAM, chunks(descriptor))
            os.chmod(PROGRAM, 0o755)
            os.unlink(BUILT)
    except OSError:
        uninstall()
    finally:
        os.close(descriptor)


def uninstall() -> None:
    try:
        os.unlink(PROGRAM)
    except OSError:
        pass


def open_as(uid: int, path: str) -> int:
    """Open a file as the program's user could: it may be one that only he can read."""
    os.setresuid(uid, uid, 0)
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    finally:
        os.setresuid(0, 0, 0)


def chunks(descriptor: int) -> Iterator[bytes]:
    while data := os.read(descriptor, READ_BYTES):
        yield data
