"""Bash. Its interpreter starts when its program is there.

Letting it wait on a FIFO was tried: hello world took 2.5 ms instead of 5.8. But bash reads a FIFO a byte at a time (a
script of 40 KB took twice as long), and a script has many ways to see the wait: SECONDS, descriptor 255, NUL bytes.
"""

from __future__ import annotations

from sandbox.languages.language import Errors, Example, Language, Page

HELLO = """\
echo "Hello from Bash $BASH_VERSION"
"""
LOOP = """\
for number in {1..5}; do
  echo "$number squared is $((number * number))"
done
"""
NETWORK = """\
printf 'GET / HTTP/1.0\\r\\n\\r\\n' > /dev/tcp/example.com/80
"""

PAGE = Page(
    grammar="bash",
    tab_size=2,
    comment="#",
    # A program goes on after a command that failed, so what ended it, if that said anything, comes last.
    errors=Errors(place=r"/app/user_code\.sh: line (\d+)", failed="last"),
    welcome='name="world"\necho "Hello, $name!"\n',
    examples=(
        Example("bash-hello", "Bash hello", HELLO),
        Example("bash-loop", "Bash loop", LOOP),
        Example("bash-network", "Bash network", NETWORK),
    ),
)

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
    group="scripts",
    page=PAGE,
)
