"""The program's files, below /app, which belongs to root."""

from __future__ import annotations

import errno

from frames import READ_BYTES
from system import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

APP = "/app"


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
