"""The program's files, below /app, which belongs to root. A program may be let to make files of its own beside them."""

from __future__ import annotations

from frames import READ_BYTES
from system import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

APP = "/app"
CORRUPT, TOO_LARGE = 1, 2
READ_ONLY, WRITABLE = 0o755, 0o1777  # in the latter, nobody removes or renames what is not his own


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
    for name in names:
        os.unlink(f"{APP}/{name}")
    for folder in folders_of(names):
        if folder:
            os.rmdir(f"{APP}/{folder}")


def folders_of(names: list[str]) -> list[str]:
    """The folders of these files, each before the one it is in; the last one, of an empty name, is /app itself."""
    folders = {""}
    for name in names:
        while "/" in name:
            name = name.rpartition("/")[0]
            folders.add(name)
    return sorted(folders, key=len, reverse=True)


def set_modes(names: list[str], mode: int) -> None:
    """Let the program make files in the folders of these files, or no longer."""
    for folder in folders_of(names):
        os.chmod(f"{APP}/{folder}", mode)


def is_changed(names: list[str]) -> bool:
    """Whether anything else is in the folders of these files. However much there is, few entries are read."""
    folders = folders_of(names)
    known = {*names, *folders}
    for folder in folders:
        prefix = f"{folder}/" if folder else ""
        with os.scandir(f"{APP}/{folder}") as entries:
            if any(prefix + entry.name not in known for entry in entries):
                return True
    return False


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
