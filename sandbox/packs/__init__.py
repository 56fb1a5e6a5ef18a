"""The packs: more languages and libraries, each an image beside the one that is always there. A recipe, a folder each.

Pure. Their images are made by scripts/packs.py and known to sandbox/engine/packs.py.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent

PACKS = tuple(sorted(path.parent.name for path in FOLDER.glob("*/Dockerfile")))
"""Their names. Empty, where a name is expected, means the image that is always there."""


def add_with(*packs: str) -> str:
    """The command that adds them to this server."""
    names = " ".join(packs)
    return f"make packs PACKS={names}" if len(packs) == 1 else f'make packs PACKS="{names}"'
