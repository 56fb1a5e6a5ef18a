"""A file that is made once. Knows nothing of what is in it."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def made_once(path: Path, text: str) -> str:
    """What is in the file; `text`, if it is not there yet. Processes that ask at once agree on one answer.

    Nobody but its owner may read a file made here.

    :raises OSError: when it can be neither read nor made.
    """
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8").strip()
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        _write(fresh, text)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink(missing_ok=True)
    return path.read_text(encoding="utf-8").strip()


def _write(path: Path, text: str) -> None:
    """On the disk before its name is: a machine that stops must not leave the name of an empty file."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
