"""The files that a program has made: which of them the host gets, as frames, and how all of them are removed.

All of this is done as the program's user, in a process of its own (apart.py), when nothing of the program is alive:
what is seen here does not change meanwhile, but may have been made to harm whoever looks. So nothing is followed,
nothing is taken on trust but what the kernel says of a file, and there are bounds to how much and how deep.
"""

from __future__ import annotations

import _stat as stat
from math import inf

from files import APP, folders_of
from frames import FILE, FRAME, READ_BYTES, write_all
from globs import Glob
from system import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from frames import Order

MAX_DEPTH = 32  # folders below /app, as in an archive
MAX_PATH_BYTES = 1024
MAX_REMOVED = 1000  # more than this is not worth it: a new container is cheaper
IS_FOLDER, FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class Enough(Exception):
    """Nothing that is still to be found could be told."""


class Search:
    """Goes through the folder that the program starts in, in the order of paths, and sends what was asked for."""

    def __init__(self, order: Order, uid: int, pipe: int) -> None:
        wanted = order.artifacts
        self.uid = uid
        self.pipe = pipe
        self.files_left, self.bytes_left, self.names_left = wanted.count, wanted.bytes, wanted.omitted
        self.globs = [Glob(text) for text in wanted.globs]
        self.depth = max(map(depth_of, wanted.globs))
        self.folder = order.steps[-1].folder
        self.sent = {f"{APP}/{name}" for name in order.names}

    def run(self) -> None:
        folder = os.open(self.folder, IS_FOLDER)
        try:
            self.look_into(folder, "", 0)
        except Enough:
            pass

    def look_into(self, folder: int, prefix: str, depth: int) -> None:
        for name in names_in(folder):
            path = prefix + name
            if name[-1] == "/":
                self.enter(folder, path, name[:-1], depth + 1)
            elif f"{self.folder}/{path}" not in self.sent and any(glob.matches(path) for glob in self.globs):
                self.give(folder, path, name)

    def enter(self, folder: int, path: str, name: str, depth: int) -> None:
        if depth > self.depth:
            return
        if depth > MAX_DEPTH:
            self.omit(path, b"depth")
            return
        try:
            inner = open_folder(folder, name)
        except OSError:
            self.omit(path, b"unreadable")
            return
        try:
            self.look_into(inner, path, depth)
        finally:
            os.close(inner)

    def give(self, folder: int, path: str, name: str) -> None:
        try:
            reason = self.send(folder, path, name)
        except OSError:
            reason = b"unreadable"
        if reason:
            self.omit(path, reason)

    def send(self, folder: int, path: str, name: str) -> bytes:
        """Send a file. Returns why that was not possible, a word; empty when it was."""
        of = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if reason := self.why_not(path, of):
            return reason
        if not of.st_mode & stat.S_IRUSR:
            os.chmod(name, stat.S_IRUSR, dir_fd=folder)
        file = os.open(name, FLAGS, dir_fd=folder)
        try:
            self.frame(b"F", FILE.pack(of.st_size) + path.encode())
            left = of.st_size
            while left:
                data = read_whole(file, min(left, READ_BYTES))
                if not data:
                    return b"unreadable"
                self.frame(b"B", data)
                left -= len(data)
        finally:
            os.close(file)
        self.files_left -= 1
        self.bytes_left -= of.st_size
        return b""

    def why_not(self, path: str, of: os.stat_result) -> bytes:
        """Why a file that is wanted cannot be sent, a word; empty when it can."""
        if not stat.S_ISREG(of.st_mode):
            return b"link" if stat.S_ISLNK(of.st_mode) else b"special"
        if of.st_uid != self.uid:
            return b"link"  # another name of a file that was sent
        # Control characters, what reorders text, and what is no UTF-8: none of it can be printed. A backslash stands
        # between folders elsewhere.
        if not path.isprintable() or "\\" in path or len(path.encode()) > MAX_PATH_BYTES:
            return b"name"
        if not self.files_left:
            return b"count"
        return b"size" if of.st_size > self.bytes_left else b""

    def omit(self, path: str, reason: bytes) -> None:
        """Tell that a file is not sent, or, of the first that cannot be named any more, that there are such.

        :raises Enough: when after that no file could be sent either.
        """
        self.names_left -= 1
        if self.names_left >= 0:
            self.frame(b"M", reason + b"\0" + path.encode("utf-8", "surrogateescape")[:MAX_PATH_BYTES])
        elif self.names_left == -1:
            self.frame(b"M", b"more\0")
        if self.names_left < 0 and not self.files_left:
            raise Enough

    def frame(self, kind: bytes, payload: bytes) -> None:
        write_all(FRAME.pack(kind, len(payload)) + payload, self.pipe)


def read_whole(file: int, count: int) -> bytes:
    """So many bytes; none when there are fewer."""
    data = os.read(file, count)
    while len(data) < count:
        more = os.read(file, count - len(data))
        if not more:
            return b""
        data += more
    return data


def depth_of(glob: str) -> float:
    """How deep the files lie at most that a glob names."""
    return inf if "**" in glob else glob.count("/")


def names_in(folder: int) -> list[str]:
    """Names in a folder in the order of paths, those of folders with a slash behind. Some are never given back."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name
            for entry in entries
            if entry.name[0] != "." and entry.name != "__pycache__"
        )


def open_folder(folder: int, name: str) -> int:
    """A folder in another one, made readable if it is the program's."""
    of = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if of.st_uid == os.getuid() and of.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(name, stat.S_IRWXU, dir_fd=folder)
    return os.open(name, IS_FOLDER, dir_fd=folder)


class Removal:
    """Removes what was not sent, if it is not too much."""

    def __init__(self, order: Order) -> None:
        self.sent = {*order.names, *folders_of(order.names)}
        self.left = MAX_REMOVED

    def run(self) -> None:
        """Whoever asks for it sees for himself what is left.

        :raises Enough: when it is too much.
        """
        self.empty(os.open(APP, IS_FOLDER), "", 0)

    def empty(self, folder: int, prefix: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Enough
        for name, is_folder in self.listed(folder, prefix):
            if is_folder:
                inner = open_folder(folder, name)
                self.empty(inner, f"{prefix}{name}/", depth + 1)
                os.close(inner)
            if prefix + name in self.sent:
                continue
            if is_folder:
                os.rmdir(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)

    def listed(self, folder: int, prefix: str) -> list[tuple[str, bool]]:
        """Folders, and the files that were not sent."""
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                is_folder, is_sent = entry.is_dir(follow_symlinks=False), prefix + entry.name in self.sent
                self.left -= not is_sent
                if self.left < 0:
                    raise Enough
                if is_folder or not is_sent:
                    found.append((entry.name, is_folder))
        return found
