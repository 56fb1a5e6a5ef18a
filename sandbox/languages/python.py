"""Python."""

from __future__ import annotations

import re

from sandbox.languages.language import Language, Waiting

# PEP 263: an encoding is declared by a comment in line one or two. A waiting interpreter reads its script from a
# FIFO, which cannot seek, and CPython's tokenizer seeks back at such a line. For the same reason it does not find
# out that a script is a zip archive, which Python would run (`runpy`, "valid sys.path entry").
NEEDS_TO_SEEK = re.compile(r"\A(?:[^\r\n]*(?:\r\n?|\n))?[^\r\n]*#[^\r\n]*coding[:=]|PK\x05\x06")

LANGUAGE = Language(
    name="python",
    title="Python 3.11",
    aliases=("py", "python3"),
    file_name="user_code.py",
    extensions=(".py",),
    entry_names=("main.py", "app.py"),
    interpreter="python3",
    pool=5,
    # Unbuffered, so that what was printed before a timeout is not lost in the program's own buffer.
    environment=(("PYTHONUNBUFFERED", "1"),),
    proof="print(6 * 7)",
    waiting=Waiting(not_for=NEEDS_TO_SEEK),
)
