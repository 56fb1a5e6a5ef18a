"""The files that runs have given back: one folder, in it a folder a run, in that a file each, named by its number.

No name that a program has chosen is ever one here. There is a budget for all of them, and some of the disk stays free;
the oldest run's go first, and those of a run that is not in the history any more. Knows nothing of containers or HTTP.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sandbox.errors import NotFound
from sandbox.models import InlineArtifact, Omission, OmittedArtifact, StoredArtifact, artifact_url

log = logging.getLogger(__name__)

INLINE_BYTES = 1 << 20
"""The largest that comes with the result."""

INLINE_TOTAL_BYTES = 4 << 20
"""As much as comes with one result."""

LEAST_FREE_BYTES = 64 << 20
"""What files leave free of the disk: the history lies there too, and while that is full, nothing can be deleted."""

RUN_ID = re.compile("[0-9a-f]{16}")

UNKNOWN_TYPE = "application/octet-stream"
MEDIA_TYPES = {
    "bmp": "image/bmp",
    "csv": "text/csv",
    "gif": "image/gif",
    "gz": "application/gzip",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "log": "text/plain",
    "md": "text/markdown",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
}
"""By the end of the name. Nothing that a browser would run as a page is among them."""


def media_type_of(path: str) -> str:
    """What a file of this name is taken for, whatever is in it."""
    _, dot, extension = path.rpartition("/")[2].rpartition(".")
    return MEDIA_TYPES.get(extension.lower(), UNKNOWN_TYPE) if dot else UNKNOWN_TYPE


@dataclass(frozen=True)
class Arrived:
    """One file; its number is its place among those of its run."""

    path: str
    size: int


class Arriving:
    """Where the files of one run go as they come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[Arrived] = []
        self.omitted: list[OmittedArtifact] = []
        self._file: BinaryIO | None = None
        self._next = Arrived("", 0)
        self._written = 0

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def has_begun(self) -> bool:
        """Whether anything may be in the folder."""
        return bool(self._next.path)

    def begin(self, path: str, size: int) -> None:
        self._next, self._written = Arrived(path, size), 0
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _private(self.folder / str(len(self.files)))
        except OSError as problem:
            self._give_up(problem)
        self.write(b"")

    def write(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(data)
            self._written += len(data)
            if self._written == self._next.size:
                self._file.close()
                self._file = None
                self.files.append(self._next)
        except OSError as problem:
            self._give_up(problem)

    def drop(self) -> None:
        """Remove the present file, unless it is whole. The next one takes its number."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what was still to be written is not wanted
                self._file.close()
            self._file = None
            with contextlib.suppress(OSError):
                (self.folder / str(len(self.files))).unlink()  # or it would take room that is on no account

    def omit(self, path: str, reason: Omission) -> None:
        self.omitted.append(OmittedArtifact(path, reason))

    def _give_up(self, problem: OSError) -> None:
        log.error("cannot write a file that a run gives back: %s", problem.strerror)
        self.omit(self._next.path, Omission.NOT_KEPT)
        self.drop()

    def listed(self, run_id: str, *, is_kept: bool) -> list[InlineArtifact | StoredArtifact]:
        """What the result tells of them. Large ones that are not kept are omitted."""
        listed: list[InlineArtifact | StoredArtifact] = []
        left = INLINE_TOTAL_BYTES
        for number, file in enumerate(self.files):
            if file.size <= min(INLINE_BYTES, left):
                listed.append(self._inline(number, file))
                left -= file.size
            elif is_kept:
                listed.append(_stored(file, artifact_url(run_id, number)))
            else:
                self.omit(file.path, Omission.NOT_KEPT)
        return listed

    def _inline(self, number: int, file: Arrived) -> InlineArtifact:
        content = base64.b64encode((self.folder / str(number)).read_bytes()).decode()
        return InlineArtifact(path=file.path, bytes=file.size, media_type=media_type_of(file.path), base64=content)


def _stored(file: Arrived, url: str) -> StoredArtifact:
    return StoredArtifact(path=file.path, bytes=file.size, media_type=media_type_of(file.path), url=url)


def _private(path: Path) -> BinaryIO:
    """An empty file that only its owner may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb")


class ArtifactFiles:
    """The files of all runs of this server. Thread-safe."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """`max_bytes` is what they may take together; with 0, those of a run are gone when it has ended."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._arriving: set[str] = set()
        self._sizes = _found(folder)
        """Of each run's files, the oldest run first."""
        self._trim()

    @contextmanager
    def arriving(self, run_id: str) -> Iterator[Arriving]:
        """Where the files of a run go. When the block ends, with whoever keeps the history told, it is as any other."""
        arriving = Arriving(self._folder / run_id)
        with self._lock:
            self._arriving.add(run_id)
        is_whole = False
        try:
            yield arriving
            is_whole = True
        finally:
            arriving.drop()
            with self._lock:
                self._arriving.discard(run_id)
                if is_whole and arriving.files and self.keeps(arriving):
                    self._sizes[run_id] = arriving.total_bytes
                elif arriving.has_begun:
                    self._remove(run_id)
            self._trim()

    def keeps(self, arriving: Arriving) -> bool:
        """Whether the files of a run will be kept."""
        return bool(self._max_bytes) and arriving.total_bytes <= self._max_bytes

    def open(self, run_id: str, number: int) -> BinaryIO:
        """One file of a run.

        :raises NotFound: when it is not there, or not any more.
        """
        try:
            if RUN_ID.fullmatch(run_id):
                return (self._folder / run_id / str(number)).open("rb")
        except OSError:
            pass
        raise NotFound("That file is not kept any more.")

    def keep_only(self, existing: Callable[[Sequence[str]], Collection[str]]) -> None:
        """Remove the files of runs that are not there any more. `existing` says which of some runs are."""
        with self._lock:
            ids = list(self._sizes)
        gone = {*ids} - {*existing(ids)} if ids else set()
        with self._lock:
            for run_id in gone:
                self._remove(run_id)

    def _trim(self) -> None:
        with self._lock:
            while sum(self._sizes.values()) > self._max_bytes or (len(self._sizes) > 1 and self._is_disk_full()):
                self._remove(next(iter(self._sizes)))

    def _is_disk_full(self) -> bool:
        with contextlib.suppress(OSError):
            return shutil.disk_usage(self._folder).free < LEAST_FREE_BYTES
        return False

    def _remove(self, run_id: str) -> None:
        self._sizes.pop(run_id, None)
        try:
            shutil.rmtree(self._folder / run_id)
        except FileNotFoundError:
            pass
        except OSError as problem:
            log.error("cannot remove the files of run %s: %s", run_id, problem.strerror)


def _found(folder: Path) -> dict[str, int]:
    """Size of each run's files that are there already, the oldest first."""
    runs: list[tuple[float, str, int]] = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for run in folder.iterdir():
            if RUN_ID.fullmatch(run.name) and run.is_dir():
                runs.append((run.stat().st_mtime, run.name, sum(file.stat().st_size for file in run.iterdir())))
    return {name: size for _, name, size in sorted(runs)}
