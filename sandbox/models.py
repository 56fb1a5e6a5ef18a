"""The values that travel through the sandbox: requests in, results out. No behaviour beyond conversion."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

from pydantic import Field

RunId = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


class Status(str, Enum):
    """How a run ended. The set is closed: clients may switch on it."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output_limit"
    CANCELLED = "cancelled"
    COMPILE_ERROR = "compile_error"


class Stream(str, Enum):
    """Which of the program's two output streams some bytes came from."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True)
class Limits:
    """What one run may use. Every number is per run, and no other runs in its container meanwhile.

    In what a request asks for, 0 is what it does not name.
    """

    timeout_seconds: float
    memory_mb: int
    cpus: float
    pids: int
    shm_mb: int
    output_bytes: int
    """Bytes kept of each stream: the first half and the last half, the middle dropped."""
    output_stop_bytes: int
    """A program that has written this many bytes over both streams is stopped."""

    @property
    def of_container(self) -> tuple[int, float, int, int]:
        """Those that hold from a container's start, so that one which waits has them already."""
        return self.memory_mb, self.cpus, self.pids, self.shm_mb


AS_USUAL = Limits(**dict.fromkeys(Limits.__dataclass_fields__, 0))
"""Nothing is asked for."""


@dataclass(frozen=True)
class Caller:
    """Who a request belongs to."""

    address: str = ""
    """What fairness between callers goes by first; never shown, never stored."""
    owner: str = ""
    """Whose run it is: `key:NAME`, `page:ID`, or empty, which is nobody."""
    is_operator: bool = False
    sees_nobodys: bool = True
    """Whether what nobody has run is his, too."""
    runs_at_once: int | None = None
    """His own bound of programs that run or wait; None: that of the settings."""
    cpu_seconds_per_hour: float | None = None
    """His own bound of CPU time; None: that of the settings."""
    max_code_characters: int | None = None
    """His own bound of the length of code; None: that of the settings."""

    @property
    def has_key(self) -> bool:
        return self.owner.startswith("key:")

    def may_see(self, owner: str) -> bool:
        """Whether he may read, stop and delete what this owner has run."""
        if self.is_operator:
            return True
        return owner == self.owner if owner else self.sees_nobodys


@dataclass(frozen=True)
class Archive:
    """A zip that passed `archive.check_archive`, or was made by `files.archive_of`: safe for a supervisor to unpack."""

    data: bytes = field(repr=False)
    names: tuple[str, ...]
    """Regular files only, in archive order, as relative POSIX paths without `.` or `..`."""
    unpacked_bytes: int
    name: str = "archive.zip"
    """What the uploader called it; for display only. Empty: it came as files."""

    @property
    def folder(self) -> str:
        """`project/` when everything lies in the folder `project`, else nothing."""
        first = self.names[0].partition("/")[0] + "/"
        return first if all(name.startswith(first) for name in self.names) else ""


@dataclass(frozen=True)
class RunRequest:
    """One program to run: either `code` (a single file) or `archive` together with `entry`.

    With an archive, `code` is one of its files, if anything.
    `language` is a canonical name (`languages.resolve`).
    """

    language: str
    code: str = ""
    archive: Archive | None = None
    entry: str = ""
    args: tuple[str, ...] = ()
    stdin: str = ""
    artifacts: tuple[str, ...] = ()
    """Globs (`globs.check_globs`) of the files it shall give back. Without any, it can make none."""
    limits: Limits = AS_USUAL
    """What it asks for; from `packs.with_pack` on, all that it may use."""
    caller: Caller = Caller()
    pack: str = ""
    """In whose image it runs; empty: the language's own, or found by looking at the source."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file that a program has made."""

    path: str
    """Below its folder. Any printable characters, but no part of it is empty or begins with a dot."""
    bytes: int
    media_type: str


@dataclass(frozen=True, kw_only=True)
class InlineArtifact(Artifact):
    """One that comes with the result."""

    base64: str


@dataclass(frozen=True, kw_only=True)
class StoredArtifact(Artifact):
    """One that is to be fetched."""

    url: str
    """On this server, as long as the run is in the history and its files have not had to make room for newer ones."""


class Omission(str, Enum):
    """Why a file that was asked for does not come. The set is closed: clients may switch on it."""

    LINK = "link"
    """A symbolic link, or another name of a file that was sent."""
    SPECIAL = "special"
    """A device, a pipe, a socket."""
    NAME = "name"
    """Not printable, not UTF-8, with a backslash, or longer than 1024 bytes."""
    DEPTH = "depth"
    """A folder in more than 32 others: none of its files."""
    COUNT = "count"
    """More files than a run may give back."""
    SIZE = "size"
    """More bytes than are left of those that a run may give back."""
    UNREADABLE = "unreadable"
    NOT_KEPT = "not_kept"
    """Too large to come with the result, and the server keeps no files, or could not write it."""
    INCOMPLETE = "incomplete"
    """Without a path: looking for more was given up, for time."""
    MORE = "more"
    """Without a path: there are more that are not named."""


@dataclass(frozen=True)
class OmittedArtifact:
    """A file that was asked for and does not come; what cannot be printed of its path is replaced."""

    path: str
    reason: Omission


@dataclass(frozen=True)
class Compilation:
    """What the compiler of a program said."""

    output: str
    error: str
    exit_code: int
    duration_ms: float


@dataclass(frozen=True)
class RunResult:
    """What the caller gets. Times are whole or fractional milliseconds; memory is in KiB.

    `cpu_ms` and `memory_kb` are None when the container had to be killed from outside, so that
    nobody was left to report them.
    """

    id: RunId
    language: str
    status: Status
    output: str
    error: str
    exit_code: int
    signal: str | None = None
    truncated: bool = False
    output_bytes: int = 0
    """What was written to stdout in all, kept or not."""
    error_bytes: int = 0
    duration_ms: float = 0.0
    cpu_ms: float | None = None
    memory_kb: int | None = None
    queued_ms: float = 0.0
    runs_before: int = 0
    """Programs of the same owner that its container had run before; 0 for a fresh one."""
    compile: Compilation | None = None
    """None where nothing is compiled. Its CPU time is part of the run's, of one that never began all else is, too."""
    artifacts: tuple[InlineArtifact | StoredArtifact, ...] = ()
    """Files that it has made and was asked for, in the order of their paths."""
    artifacts_omitted: tuple[OmittedArtifact, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields, as JSON has them."""
        return {
            **vars(self),
            "status": self.status.value,
            "compile": self.compile and {**vars(self.compile)},
            "artifacts": [{**vars(artifact)} for artifact in self.artifacts],
            "artifacts_omitted": [{"path": each.path, "reason": each.reason.value} for each in self.artifacts_omitted],
        }


def artifact_url(run_id: str, number: int) -> str:
    """Where the file at this place in a result's `artifacts` is to be had."""
    return f"/runs/{run_id}/artifacts/{number}"
