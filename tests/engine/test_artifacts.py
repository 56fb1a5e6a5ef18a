"""Files that programs make and give back, on the real engine."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from executor import Executor
from sandbox.intake.archive import check_archive
from sandbox.models import InlineArtifact, RunRequest, RunResult, Status
from tests.conftest import Run
from tests.zips import zip_of

EVERYTHING = ("**",)


def contents(result: RunResult) -> dict[str, bytes]:
    """Path -> content of what came with a result."""
    assert all(isinstance(artifact, InlineArtifact) for artifact in result.artifacts), result.artifacts
    return {each.path: base64.b64decode(each.base64) for each in result.artifacts if isinstance(each, InlineArtifact)}


def omitted(result: RunResult) -> list[tuple[str, str]]:
    return [(each.path, each.reason.value) for each in result.artifacts_omitted]


# --- What comes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "code"),
    [
        (
            "python",
            "import os\nopen('b.txt', 'w').write('text')\nos.makedirs('out/deep')\n"
            "open('out/deep/a.png', 'wb').write(bytes(range(256)))\nopen('out.csv', 'w')\nprint('done')",
        ),
        (
            "node",
            "const fs = require('fs'); fs.writeFileSync('b.txt', 'text'); fs.mkdirSync('out/deep', {recursive: true});"
            "fs.writeFileSync('out/deep/a.png', Buffer.from([...Array(256).keys()])); fs.writeFileSync('out.csv', '');"
            "console.log('done')",
        ),
        (
            "bash",
            "printf text > b.txt; mkdir -p out/deep; : > out.csv; echo done\n"
            'for n in {0..255}; do printf "\\\\x$(printf %x $n)"; done > out/deep/a.png',
        ),
    ],
)
def test_what_was_made_and_is_asked_for_comes_in_the_order_of_paths(run: Run, language: str, code: str) -> None:
    result = run(code, language, artifacts=EVERYTHING)
    assert (result.status, result.output, result.error) == (Status.OK, "done\n", "")
    assert list(contents(result).items()) == [
        ("b.txt", b"text"),
        ("out.csv", b""),
        ("out/deep/a.png", bytes(range(256))),
    ]
    assert [(each.bytes, each.media_type) for each in result.artifacts] == [
        (4, "text/plain"),
        (0, "text/csv"),
        (256, "image/png"),
    ]
    assert result.artifacts_omitted == ()


@pytest.mark.parametrize("language", ["python", "node"])
def test_only_what_a_glob_names_comes(run: Run, language: str) -> None:
    paths = ["a.png", "b.txt", "in/a.png", "in/c/d.txt", ".hidden.png", ".h/a.png", "__pycache__/a.png"]
    code = {
        "python": f"import os\nfor path in {paths}:\n"
        "    os.makedirs(os.path.dirname(path) or '.', exist_ok=True); open(path, 'w')",
        "node": f"const fs = require('fs'), path = require('path'); for (const file of {paths}) {{"
        "fs.mkdirSync(path.dirname(file), {recursive: true}); fs.writeFileSync(file, '') }",
    }[language]
    assert list(contents(run(code, language, artifacts=("*.png", "in/c/*")))) == ["a.png", "in/c/d.txt"]
    assert list(contents(run(code, language, artifacts=EVERYTHING))) == ["a.png", "b.txt", "in/a.png", "in/c/d.txt"]


ENDINGS = [
    ("raise SystemExit(3)", Status.ERROR),
    ("import os; os.kill(os.getpid(), 11)", Status.ERROR),
    ("while True: pass", Status.TIMEOUT),
    ("x = bytearray(300 << 20)", Status.MEMORY),
    ("while True: print('x' * 60000)", Status.OUTPUT_LIMIT),
]


@pytest.mark.parametrize(("end", "status"), ENDINGS)
def test_files_come_however_the_program_ended(executor: Executor, end: str, status: Status) -> None:
    limits = replace(executor.settings.limits, timeout_seconds=2, output_stop_bytes=2 << 20)
    code = f"open('made.txt', 'w').write('before')\n{end}"
    result = executor.run(RunRequest("python", code, artifacts=EVERYTHING, limits=limits))
    assert (result.status, contents(result)) == (status, {"made.txt": b"before"})


def test_a_cancelled_run_gives_nothing_back(executor: Executor) -> None:
    code = "open('made.txt', 'w').write('before')\nprint(1, flush=True)\nwhile True: pass"
    request = RunRequest("python", code, artifacts=EVERYTHING)
    heard: list[str] = []
    result = executor.run(request, on_output=lambda stream, text: heard.append(text), gone=lambda: bool(heard))
    assert (result.status, result.artifacts, result.artifacts_omitted) == (Status.CANCELLED, (), ())


def test_a_project_writes_beside_its_files_and_gets_only_what_is_new(executor: Executor) -> None:
    files = {
        "main.py": "import lib\nopen('out/new.txt', 'w').write(open('data/in.txt').read() + lib.X)\nopen('top', 'w')",
        "lib.py": "X = '!'",
        "data/in.txt": "sent",
        "out/old.txt": "",
    }
    archive = check_archive(zip_of(files), executor.settings)
    result = executor.run(RunRequest("python", archive=archive, entry="main.py", artifacts=EVERYTHING))
    assert (result.error, contents(result)) == ("", {"out/new.txt": b"sent!", "top": b""})
    assert result.artifacts_omitted == (), "what was sent is not asked for"


@pytest.mark.parametrize("folder", ["project", "a/b c/é"])
def test_paths_are_those_that_the_program_itself_writes(executor: Executor, folder: str) -> None:
    """It starts in the folder that holds everything: there it writes, and from there its files are named."""
    code = (
        "import os\nos.makedirs('out', exist_ok=True)\nfor path in ('a.png', 'out/b.png'): open(path, 'w').write(path)"
    )
    files = {f"{folder}/main.py": code, f"{folder}/sent.png": "", f"{folder}/out/sent.png": ""}
    archive = check_archive(zip_of(files), executor.settings)
    request = RunRequest("python", archive=archive, entry=f"{folder}/main.py", artifacts=("*.png", "out/*"))
    result = executor.run(request)
    assert contents(result) == {"a.png": b"a.png", "out/b.png": b"out/b.png"}
    assert result.artifacts_omitted == ()


def test_what_was_sent_does_not_take_the_places_of_what_is_new(executor: Executor) -> None:
    files = {f"sent{number:02}.png": "" for number in range(50)} | {"main.py": "open('zz.png', 'w').write('new')"}
    archive = check_archive(zip_of(files), executor.settings)
    request = RunRequest("python", archive=archive, entry="main.py", artifacts=("*.png",))
    assert contents(executor.run(request)) == {"zz.png": b"new"}


def test_so_many_come_and_the_others_are_named(run: Run, executor: Executor) -> None:
    count = executor.settings.artifact_count
    result = run(f"for n in range({count + 50}): open(f'{{n:03}}', 'w')", artifacts=EVERYTHING)
    assert list(contents(result)) == [f"{number:03}" for number in range(count)]
    assert omitted(result) == [*((f"{count + number:03}", "count") for number in range(20)), ("", "more")]


def test_so_many_bytes_come_and_smaller_files_still_fit(executor: Executor) -> None:
    """Below, at and above what a run may give back."""
    limit = executor.settings.artifact_bytes
    code = (
        f"open('a', 'wb').write(b'a' * {limit - 5})\nopen('b', 'wb').write(b'b' * 6)\nopen('c', 'wb').write(b'c' * 5)"
    )
    result = executor.run(RunRequest("python", code, artifacts=EVERYTHING))
    # Nobody keeps files here, so that a large one can only be named.
    assert (contents(result), omitted(result)) == ({"c": b"ccccc"}, [("b", "size"), ("a", "not_kept")])


# --- What stays read-only ---------------------------------------------------------------------------------

TRY = """
import os, errno
def attempt(action, *arguments):
    try: action(*arguments)
    except OSError as problem: return errno.errorcode[problem.errno]
    return "done"
for path in ("/new", "/tmp/new", "/etc/new", "/usr/local/bin/new", "/dev/new", "/app/new", "/dev/shm/new"):
    print(path, attempt(open, path, "w"))
"""


def test_the_system_stays_read_only_with_or_without(run: Run) -> None:
    system = "/new EROFS\n/tmp/new EROFS\n/etc/new EROFS\n/usr/local/bin/new EROFS\n"
    without, asked = run(TRY), run(TRY, artifacts=EVERYTHING)
    assert without.output.startswith(system) and asked.output.startswith(system)
    assert "/app/new EACCES\n/dev/shm/new done\n" in without.output
    assert "/app/new done\n/dev/shm/new done\n" in asked.output


SENT = """
import os, errno
os.mkdir("mine")
for action, *arguments in (
    (open, __file__, "a"), (os.unlink, __file__), (os.rename, __file__, "/app/other"), (os.chmod, __file__, 0o666),
    (os.rename, "data", "mine/data"), (os.rmdir, "data"), (os.chmod, "data", 0o777), (os.chmod, "/app", 0o777),
    (os.replace, "mine", "data"), (os.unlink, "data/in.txt"), (os.truncate, "data/in.txt", 0),
):
    try: action(*arguments)
    except OSError as problem: print(action.__name__, errno.errorcode[problem.errno])
    else: print(action.__name__, "done")
"""


def test_what_was_sent_cannot_be_changed_moved_or_removed(executor: Executor) -> None:
    archive = check_archive(zip_of({"main.py": SENT, "data/in.txt": "sent"}), executor.settings)
    result = executor.run(RunRequest("python", archive=archive, entry="main.py", artifacts=EVERYTHING))
    assert result.error == ""
    assert not [line for line in result.output.splitlines() if line.endswith("done")]


def test_nothing_that_is_written_can_be_executed(run: Run) -> None:
    code = "open('x', 'w').write('#!/bin/sh\\necho run')\nimport os; os.chmod('x', 0o755); os.execv('/app/x', ['x'])"
    assert "PermissionError" in run(code, artifacts=EVERYTHING).error


# --- Attacks ----------------------------------------------------------------------------------------------

FILL = """
import os
def fill(path):
    try:
        with open(path, "wb", buffering=0) as file:
            while True: file.write(bytes(1 << 20))
    except OSError as problem: print(problem.strerror)
"""

ATTACKS = {
    "everything full": FILL
    + """
for number in range(5): fill(f"/dev/shm/{number}"); fill(f"{number}")
blocks = []
while True: blocks.append(b"x" * (1 << 20))
""",
    "136,000 empty files": """
import os
made = 0
for number in range(136_000):
    try: open(f"{number}", "w").close(); made += 1
    except OSError: break
print(made)
""",
    "136,000 links to one file": """
import os
open("a", "w")
try:
    for number in range(136_000): os.link("a", f"{number}")
except OSError: pass
""",
    "folders a thousand deep": """
import os
for _ in range(1000): os.mkdir("deep"); os.chdir("deep")
open("x", "w")
""",
    "names a path cannot say": """
import os
for _ in range(30): os.mkdir("x" * 250); os.chdir("x" * 250)
open("x", "w")
""",
    "many folders beside each other": """
import os
for number in range(3000):
    try: os.makedirs(f"{number}/a")
    except OSError: break
""",
    "symbolic links in circles": """
import os
os.symlink(".", "a"); os.symlink("a/a/a/a", "b"); os.symlink("/", "c"); os.symlink("x" * 4000, "d")
os.symlink("e", "e")
""",
    "pipes and sockets": """
import os, socket
for number in range(50): os.mkfifo(f"pipe{number}"); socket.socket(socket.AF_UNIX).bind(f"socket{number}")
""",
    "devices": """
import os, stat
for kind in (stat.S_IFCHR, stat.S_IFBLK):
    for device in (0, os.makedev(1, 5)):
        try: os.mknod(f"device{device}", kind | 0o666, device)
        except OSError: pass
""",
    "sparse giants": """
import os
for number in range(40):
    try: os.truncate(os.open(f"{number}", os.O_CREAT | os.O_WRONLY), 50 << 20)
    except OSError: pass
""",
    "nothing that may be read": """
import os
for number in range(20):
    os.mkdir(f"d{number}"); open(f"d{number}/x", "w"); os.chmod(f"d{number}/x", 0); os.chmod(f"d{number}", 0)
    open(f"f{number}", "w"); os.chmod(f"f{number}", 0)
""",
    "files that grow, made by many until all are killed": """
import itertools, os
for child in range(8):
    if os.fork() == 0:
        file = open(f"{child}", "wb", buffering=0)
        for number in itertools.count():
            try: file.write(b"x" * 512); open(f"{child}-{number % 50}", "w"); os.unlink(f"{child}-{(number + 25) % 50}")
            except OSError: pass
import time; time.sleep(60)
""",
    "a reader who is waited for": """
import os
os.mkfifo("a")
if os.fork() == 0: open("a", "w")
open("b", "w")
""",
    "modes that change all the time": """
import os
open("a", "w").write("x"); os.mkdir("b")
for _ in range(4):
    if os.fork() == 0:
        while True:
            os.chmod("a", 0); os.chmod("b", 0); os.chmod("a", 0o777); os.chmod("b", 0o777)
""",
    "locks": """
import fcntl, os
file = open("a", "w"); fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_EX)
try: fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
except OSError: pass
""",
    "memory full of small processes": """
import os
os.truncate(os.open("a", os.O_CREAT | os.O_WRONLY), 40 << 20)
while True:
    try:
        if os.fork() == 0:
            x = b"x" * (3 << 20)
            while True: pass
    except OSError: pass
""",
}


@pytest.mark.parametrize("title", list(ATTACKS))
def test_no_tree_crashes_or_holds_up_anybody(run: Run, executor: Executor, title: str) -> None:
    """The run ends as its program does, with files or without, and the next one is none the worse."""
    limits = replace(executor.settings.limits, timeout_seconds=3)
    result = run(ATTACKS[title], artifacts=EVERYTHING, limits=limits)
    assert result.status in (Status.OK, Status.TIMEOUT, Status.MEMORY), result.error
    assert len(result.artifacts) <= executor.settings.artifact_count
    assert sum(each.bytes for each in result.artifacts) <= executor.settings.artifact_bytes
    assert len(result.artifacts_omitted) <= 22 + executor.settings.artifact_count
    assert run("open('a', 'w').write('1')", artifacts=("*",)).artifacts != ()


def test_what_is_no_file_is_named_with_what_it_is(run: Run) -> None:
    code = (
        "import os, socket\nopen('a', 'w').write('a'); os.link('a', 'b'); os.symlink('a', 'c'); os.mkfifo('d')\n"
        "socket.socket(socket.AF_UNIX).bind('e'); os.symlink('/etc', 'f'); os.symlink('/etc/passwd', 'g')\n"
        "open('h\\n\\x1b[31m', 'w'); open(b'i\\xff', 'w'); open('j\\u202egnp.exe', 'w'); open('k é世.txt', 'w')\n"
        "open('l\\\\..\\\\m', 'w')\n"
    )
    result = run(code, artifacts=EVERYTHING)
    assert contents(result) == {"a": b"a", "b": b"a", "k é世.txt": b""}
    assert omitted(result) == [
        ("c", "link"),
        ("d", "special"),
        ("e", "special"),
        ("f", "link"),
        ("g", "link"),
        ("h��[31m", "name"),
        ("i�", "name"),
        ("j�gnp.exe", "name"),
        ("l\\..\\m", "name"),
    ]


def test_another_name_of_what_was_sent_is_no_file_of_the_programs(run: Run) -> None:
    """Where the kernel allows such a name at all: /proc/sys/fs/protected_hardlinks."""
    code = "import os\ntry: os.link(__file__, 'a')\nexcept PermissionError: print('refused')"
    result = run(code, artifacts=EVERYTHING)
    assert result.artifacts == ()
    assert (result.output, omitted(result)) in [("refused\n", []), ("", [("a", "link")])]


def test_what_nobody_may_read_is_read_for_its_owner(run: Run) -> None:
    code = (
        "import os\nos.mkdir('d'); os.mkdir('d/e')\nfor path in ('a', 'd/b', 'd/e/c'): open(path, 'w').write(path)\n"
        "for path in ('a', 'd/b', 'd/e/c', 'd/e', 'd'): os.chmod(path, 0)"
    )
    assert contents(run(code, artifacts=EVERYTHING)) == {"a": b"a", "d/b": b"d/b", "d/e/c": b"d/e/c"}


def test_what_is_left_out_hides_nothing_that_comes_after_it(run: Run) -> None:
    code = "import os\nfor n in range(50): os.symlink('/', f'a{n:02}')\nopen('z.txt', 'w').write('x')"
    result = run(code, artifacts=EVERYTHING)
    assert contents(result) == {"z.txt": b"x"}
    assert omitted(result) == [*((f"a{number:02}", "link") for number in range(20)), ("", "more")]


def test_what_lies_too_deep_is_named_by_its_folder(run: Run) -> None:
    code = "import os\nos.makedirs('/'.join(['d'] * 40))\nopen('d/a', 'w'); open('/'.join(['d'] * 32) + '/b', 'w')"
    result = run(code, artifacts=EVERYTHING)
    assert list(contents(result)) == ["d/a", "/".join(["d"] * 32) + "/b"]
    assert omitted(result) == [("d/" * 33, "depth")]


def test_a_large_tree_costs_nothing_that_the_globs_cannot_name(run: Run) -> None:
    code = ATTACKS["many folders beside each other"] + "\nopen('zzz.png', 'w').write('x')"
    assert contents(run(code, artifacts=("*.png",))) == {"zzz.png": b"x"}


FULL = "head -c 200M /dev/zero > {0}/big; for n in {{1..30000}}; do : > {0}/$n || break; done"


@pytest.mark.parametrize("memory_mb", [32, 48, 64, 128])
def test_a_program_that_writes_all_it_can_leaves_its_supervisor_room(executor: Executor, memory_mb: int) -> None:
    limits = replace(executor.settings.limits, memory_mb=memory_mb)
    code = f"exec 2> /dev/null\nhead -c 200M /dev/zero > /dev/shm/big; {FULL.format('/app')}; echo full"
    result = executor.run(RunRequest("bash", code, artifacts=("1", "big"), limits=limits))
    assert (result.status, result.output) == (Status.OK, "full\n"), result.error
    assert "big" in {*contents(result), *dict(omitted(result))}


@pytest.mark.parametrize("memory_mb", [32, 64, 128])
def test_one_that_goes_on_until_the_kernel_stops_it_is_told_so(executor: Executor, memory_mb: int) -> None:
    """Empty files in shared memory are bounded by memory alone; it is the program that goes, not its supervisor."""
    limits = replace(executor.settings.limits, memory_mb=memory_mb)
    app, shared = FULL.format("/app"), FULL.format("/dev/shm")
    code = f"exec 2> /dev/null\n{app}; {shared}; {shared.replace('$n', 'x$n')}"
    result = executor.run(RunRequest("bash", code, artifacts=("1", "big"), limits=limits))
    assert result.status in (Status.MEMORY, Status.ERROR), result
    assert "big" in {*contents(result), *dict(omitted(result))}
