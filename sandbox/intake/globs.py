"""What a request may ask to be given back: globs of paths below the program's folder.

Which paths a glob names is decided inside (`guest/globs.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sandbox.errors import InvalidRequest

MAX_GLOBS = 16
MAX_GLOB_CHARACTERS = 200

_NAME = r"[^/.\\\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]*"
GLOB = rf"^{_NAME}(?:/{_NAME})*(?![\s\S])"
"""Names with a slash between, none of which begins with a dot. What `$` means differs from dialect to dialect."""


def check_globs(globs: Sequence[str]) -> None:
    """:raises InvalidRequest: when there are too many, or one of them could never name a file that is given back."""
    if len(globs) > MAX_GLOBS:
        raise InvalidRequest(f"There are {len(globs)} artifacts; the limit is {MAX_GLOBS}.", code="too_many_artifacts")
    for index, glob in enumerate(globs):
        if fault := _fault(glob):
            raise InvalidRequest(f"artifacts[{index}] {fault}.", code="bad_artifact")


def _fault(glob: str) -> str:
    """What is wrong with a glob, to be read after it; empty for one that may be."""
    if len(glob) > MAX_GLOB_CHARACTERS:
        return f"has {len(glob)} characters; the limit is {MAX_GLOB_CHARACTERS}"
    if re.match(GLOB, glob):
        return ""
    if "\\" in glob:
        return "contains a backslash; between folders stands a slash"
    if any(part.startswith(".") for part in glob.split("/")):
        return "leads out, or to hidden files, which are never given back"
    return "is no path below the program's folder, such as *.png or out/**"
