"""Python."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator

from sandbox.languages.language import Edition, Errors, Example, Language, Page, Waiting
from sandbox.packs import imports_of

# PEP 263: an encoding is declared by a comment in line one or two. A waiting interpreter reads its script from a
# FIFO, which cannot seek, and CPython's tokenizer seeks back at such a line. For the same reason it does not find
# out that a script is a zip archive, which Python would run (`runpy`, "valid sys.path entry").
# The first `#` of a line is as good as any: trying each of them would take time that grows with the square.
NEEDS_TO_SEEK = re.compile(r"\A(?:[^\r\n]*(?:\r\n?|\n))?[^\r\n#]*#[^\r\n]*coding[:=]|PK\x05\x06")

SCIENCE = "science"


# Strings and comments, in which an import is none, and imports: each up to its end, or that of the line or the source.
# None can begin and then fail, so the time is linear. (A parser's is, too, but 64 KiB of `a` in lines took it 0.6 s.)
TO_IMPORTS = re.compile(
    rb"""(?xs)
    \"{3} (?: [^"\\]+ | \\.? | "(?!"") )* (?:\"{3})?  |  " (?: [^"\\\n]+ | \\.? )* "?
    | '{3} (?: [^'\\]+ | \\.? | '(?!'') )* (?:'{3})?  |  ' (?: [^'\\\n]+ | \\.? )* '?
    | [#] [^\n]*
    | [\n;:] [ \t\f]* (?P<statement> (?: import | from ) [ \t\f\\] (?: [^\n;#\\]+ | \\.? )* )
    """
)


def needs_science(source: bytes, beside: Collection[str] = ()) -> bool:
    """Whether a program imports one of the modules of the pack, anywhere, and has none of that name of its own."""
    modules = {
        module.encode()
        for module in imports_of(SCIENCE)
        if f"{module}.py" not in beside and f"{module}/__init__.py" not in beside
    }
    if not any(module in source for module in modules):
        return False  # what most programs get to
    lines = b"\n" + source.removeprefix(BOM_UTF8).replace(b"\r", b"\n")
    statements: list[bytes] = TO_IMPORTS.findall(lines)
    return any(name in modules for statement in statements if statement for name in imported(statement))


def imported(statement: bytes) -> Iterator[bytes]:
    """The modules that an import statement names, without what is in them. It need not be one that Python takes."""
    keyword, *words = statement.replace(b"\\\n", b" ").split()
    if keyword == b"import":
        yield from (name.split(b" as ")[0].split(b".")[0].strip() for name in b" ".join(words).split(b","))
    elif words[1:] and words[1].startswith(b"import"):
        yield words[0].split(b".")[0]


HELLO = """\
print("Hello, world!")
"""
ARITHMETIC = """\
print(5 + 3)
print(2 ** 100)
print(22 / 7)
"""
LOOP = """\
import time

for number in range(1, 6):
    print(f"{number} squared is {number * number}")
    time.sleep(0.3)
"""
INFINITE_LOOP = """\
while True:
    pass
"""
MEMORY_BOMB = """\
blocks = []
while True:
    blocks.append("x" * 10_000_000)
"""
NETWORK = """\
import urllib.request

print(urllib.request.urlopen("http://example.com", timeout=5).status)
"""
ACCOUNTS = """\
print(open("/etc/passwd").read())
"""
WRITE_TMP = """\
with open("/tmp/test.txt", "w") as file:
    file.write("hello")
"""
LARGE_ALLOCATION = """\
data = "a" * 1_000_000_000
print(len(data))
"""
# Of no use to anybody but to see the limit at work.
TOO_LONG = "# A program longer than the limit.\n" + "print('x' * 60)  # filling\n" * 220

PAGE = Page(
    grammar="python",
    tab_size=4,
    comment="#",
    # The innermost call comes last.
    errors=Errors(place=r'File "/app/user_code\.py", line (\d+)', failed="last"),
    welcome='name = "world"\nprint(f"Hello, {name}!")\n',
    examples=(
        Example("hello", "Hello", HELLO),
        Example("arithmetic", "Arithmetic", ARITHMETIC),
        Example("loop", "Loop", LOOP),
        Example("infinite-loop", "Infinite loop", INFINITE_LOOP),
        Example("memory-bomb", "Memory bomb", MEMORY_BOMB),
        Example("network", "Network", NETWORK),
        Example("passwd", "Read /etc/passwd", ACCOUNTS),
        Example("write-tmp", "Write /tmp", WRITE_TMP),
        Example("large-allocation", "Large allocation", LARGE_ALLOCATION),
        Example("too-long", "Over 5000 characters", TOO_LONG, is_last=True),
    ),
)

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
    page=PAGE,
    waiting=Waiting(not_for=NEEDS_TO_SEEK),
    editions=(
        Edition(
            pack=SCIENCE,
            is_wanted_by=needs_science,
            memory_mb=256,
            artifacts=("figure-*.png",),
            environment=(
                # One thread for each of the host's CPUs otherwise, and 32 MiB for each of them.
                ("OPENBLAS_NUM_THREADS", "1"),
                # The list of fonts that the recipe made, and what stands in for a screen.
                ("MPLCONFIGDIR", "/usr/local/share/matplotlib"),
                ("MPLBACKEND", "module://sce_backend"),
            ),
        ),
    ),
)
