"""Bash. Its interpreter starts when its program is there.

Letting it wait on a FIFO was tried: hello world took 2.5 ms instead of 5.8. But bash reads a FIFO a byte at a time (a
script of 40 KB took twice as long), and a script has many ways to see the wait: SECONDS, descriptor 255, NUL bytes.
"""

from __future__ import annotations

from sandbox.languages.language import Language

LANGUAGE = Language(
    name="bash",
    title="Bash 5.2",
    aliases=("sh", "shell"),
    file_name="user_code.sh",
    extensions=(".sh", ".bash"),
    entry_names=("main.sh", "run.sh"),
    interpreter="bash",
    pool=1,
    # Where here-documents larger than a pipe go, and what sort and mktemp make: /tmp cannot be written.
    environment=(("TMPDIR", "/dev/shm"),),  # noqa: S108 - inside the container
    proof="echo $((6 * 7))",
)
