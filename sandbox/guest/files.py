"""The program's files, below /app, which belongs to root."""

from __future__ import annotations

from frames import READ_BYTES
from system import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

APP = "/app"
CORRUPT, TOO_LARGE = 1, 2


class Refused(Exception):
    """The run cannot be started; the argument is a code of the host's API."""


def write_file(path: str, chunks: Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with open(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)


def remove(names: list[str]) -> None:
    """Remove these files and the folders they are in.

    :raises OSError: when something else is there.
    """
    folders = set()
    for name in names:
        os.unlink(f"{APP}/{name}")
        while "/" in name:
            name = name.rpartition("/")[0]
            folders.add(name)
    for folder in sorted(folders, key=len, reverse=True):
        os.rmdir(f"{APP}/{folder}")


def unpack(data: bytes, names: list[str]) -> None:
    """Write the named members below /app, in a process of its own: this one, and all it starts, stays small.

    :raises Refused: when they cannot be written.
    """
    pid = os.fork()
    if pid == 0:
        code = CORRUPT
        try:
            code = attempt_unpacking(data, names)
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == CORRUPT:
        raise Refused("corrupt_archive")
    if code:  # or killed, for lack of memory
        raise Refused("archive_too_large")


def attempt_unpacking(data: bytes, names: list[str]) -> int:
    """Returns 0, or the number of what was wrong. Contents are checked here; the host has checked names and sizes."""
    import errno  # only archives need these
    import zipfile
    import zlib

    try:
        write_members(data, names)
    except OSError as problem:
        return TOO_LARGE if problem.errno == errno.ENOSPC else CORRUPT
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError, ValueError):
        return CORRUPT
    return 0


def write_members(data: bytes, names: list[str]) -> None:
    import functools
    import io
    import os
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in names:
            path = os.path.join(APP, name)
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            with archive.open(name) as member:
                write_file(path, iter(functools.partial(member.read, READ_BYTES), b""))
            if os.stat(path).st_size != archive.getinfo(name).file_size:
                raise zipfile.BadZipFile("not of the size it says")
