"""The packs: more languages and libraries, each an image beside the one that is always there. A recipe, a folder each.

Pure. Their images are made by scripts/packs.py and known to sandbox/engine/packs.py.
"""

from __future__ import annotations

import functools
from pathlib import Path

FOLDER = Path(__file__).resolve().parent

PACKS = tuple(sorted(path.parent.name for path in FOLDER.glob("*/Dockerfile")))
"""Their names. Empty, where a name is expected, means the image that is always there."""


@functools.cache
def imports_of(pack: str) -> frozenset[str]:
    """The modules that a pack adds, by the names that programs import; none when its recipe does not say."""
    file = FOLDER / pack / "imports.txt"
    return frozenset(file.read_text(encoding="utf-8").split()) if file.exists() else frozenset()


def add_with(*packs: str) -> str:
    """The command that adds them to this server."""
    names = " ".join(packs)
    return f"make packs PACKS={names}" if len(packs) == 1 else f'make packs PACKS="{names}"'
