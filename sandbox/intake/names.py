"""Names of files, as an archive or a request gives them: which are refused, and which cannot stand together. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sandbox.errors import InvalidArchive

MAX_NAME_BYTES = 255
"""Of one component: NAME_MAX of Linux."""
MAX_PATH_BYTES = 1024
MAX_DEPTH = 32
SHOWN_NAME_CHARACTERS = 80

# Written by macOS beside the real files; they are never part of a program.
LITTER = re.compile(r"(^|/)(__MACOSX/.*|\.DS_Store)$")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
DRIVE = re.compile(r"^[A-Za-z]:")
SURROGATE = re.compile("[\ud800-\udfff]")


def is_litter(name: str) -> bool:
    """Whether it is left out wherever it comes."""
    return LITTER.search(name) is not None


def check_name(name: str) -> None:
    """:raises InvalidArchive: for anything but an ordinary relative path; a slash at its end makes it a folder's."""
    if fault := _fault(name):
        raise InvalidArchive(f"The name {shown(name)} {fault}.", code="bad_member_name")


def _fault(name: str) -> str | None:
    """What is wrong with a name, to be read after it; None for an ordinary relative path."""
    parts = name.removesuffix("/").split("/")
    if CONTROL.search(name):
        return "contains control characters"
    if SURROGATE.search(name):
        return "contains half a character"
    if "\\" in name or DRIVE.match(name):
        return "is written as Windows does; names use forward slashes and no drive"
    if name.startswith("/"):
        return "is absolute"
    if ".." in parts:
        return "leads out of the archive"
    if "" in parts or "." in parts:
        return "has an empty or `.` component"
    if len(parts) > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} folders"
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts) or len(name.encode()) > MAX_PATH_BYTES:
        return f"is too long (a component has at most {MAX_NAME_BYTES} bytes, a path {MAX_PATH_BYTES})"
    return None


def shown(name: str) -> str:
    """A name for a message: quoted, escaped, not too long."""
    shown = repr(name[: SHOWN_NAME_CHARACTERS + 1])
    return shown if len(shown) <= SHOWN_NAME_CHARACTERS + 2 else f"{shown[: SHOWN_NAME_CHARACTERS - 2]}...{shown[-1]}"


def check_tree(files: Iterable[str], folders: Iterable[str] = ()) -> None:
    """No name twice, and none that is a file and a folder."""
    seen: set[str] = set()
    parents: set[str] = set()
    for name in files:
        if name in seen:
            raise InvalidArchive(f"{shown(name)} is there twice.", code="duplicate_member")
        seen.add(name)
        _add_parents(name, parents)
    for folder in folders:
        _add_parents(folder, parents)
    clash = min(seen & parents, default=None)
    if clash is not None:
        raise InvalidArchive(f"{shown(clash)} is both a file and a folder.", code="conflicting_members")


def _add_parents(path: str, parents: set[str]) -> None:
    """Add every folder that `path` lies in (and itself, when it ends in a slash), stopping at one that is known."""
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        if path in parents:
            return
        parents.add(path)
