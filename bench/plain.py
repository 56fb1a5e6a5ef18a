"""What we compare with: the bare interpreter, and a container per run as it is usually done.

The bare interpreter is the image's own, the very same files: taken out of the image and started on the host
(in a chroot), and started inside a container that is already running. A small loop, run by that interpreter
too, starts it and takes the time from before the start to the end of its output and of the process. The same loop can
start it beforehand and only then give it the program: what no way of running a program in a waiting interpreter can
be faster than.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.measure import clocked
from sandbox.engine.flags import mission_flags, options_for, resource_flags, security_flags
from sandbox.languages import LANGUAGES
from sandbox.settings import Settings

HELLO = {"python": "print('hello')", "node": "console.log('hello')"}

ENGINE_HANGS_SECONDS = 120
"""Docker 20.10 can lock itself up under dozens of containers that start and end at once: docs/operations.md."""

INLINE = {"python": "-c", "node": "-e"}
"""How an interpreter takes its program on the command line."""

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/app", "LANG": "C.UTF-8"}
"""As inside our containers. Not the caller's: NODE_EXTRA_CA_CERTS, for one, makes Node start 40 ms later."""

LOOP = r"""
import json, os, sys, time

def start(command, environment):
    reader, writer = os.pipe()
    pid = os.posix_spawnp(command[0], command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)])
    os.close(writer)
    return pid, reader

def finish(pid, reader):
    while os.read(reader, 65536):
        pass
    _, status = os.waitpid(pid, 0)
    os.close(reader)
    return status

def start_waiting(command, environment):
    script = command[-1]
    os.mkfifo(script)
    program = start(command, environment)
    while True:
        try:
            writer = os.open(script, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError:
            time.sleep(0.001)
    time.sleep(0.5)
    os.unlink(script)
    return program, writer

for line in sys.stdin:
    command, environment, source = json.loads(line)
    if source is not None:
        program, writer = start_waiting(command, environment)
    started = time.perf_counter()
    if source is None:
        program = start(command, environment)
    else:
        os.write(writer, source.encode())
        os.close(writer)
    status = finish(*program)
    print(json.dumps([status, (time.perf_counter() - started) * 1000]), flush=True)
"""

ENTER = 'mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'


class BareLoop:
    """The loop, running somewhere; `run` times one start of an interpreter there."""

    def __init__(self, argv: list[str]) -> None:
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    def run(self, language: str) -> float:
        """Milliseconds for `python3 hello.py` or `node hello.js`."""
        return self._run(language, f"/bench/{LANGUAGES[language].file_name}", None)

    def run_waiting(self, language: str) -> float:
        """Milliseconds from giving an interpreter that has started already its program, to its end."""
        return self._run(language, f"/bench/waiting-{LANGUAGES[language].file_name}", HELLO[language])

    def _run(self, language: str, script: str, source: str | None) -> float:
        settings = LANGUAGES[language].variables(waiting=source is not None)
        return self.run_command([LANGUAGES[language].interpreter, script], settings, source)

    def run_command(self, command: Sequence[str], settings: Sequence[str] = (), source: str | None = None) -> float:
        """Milliseconds for a command with these settings (`NAME=VALUE`); the last word waits for a source, if given."""
        order = [command, ENVIRONMENT | dict(setting.split("=", 1) for setting in settings), source]
        self._stdin.write(json.dumps(order) + "\n")
        self._stdin.flush()
        status, milliseconds = json.loads(self._stdout.readline())
        assert status == 0, f"{command} ended with {status}"
        return float(milliseconds)

    def close(self) -> None:
        self._stdin.close()
        self._process.wait(30)
        self._stdout.close()


HELLO_FILES = {LANGUAGES[name].file_name: code + "\n" for name, code in HELLO.items()}


@contextlib.contextmanager
def programs(files: Mapping[str, str]) -> Iterator[Path]:
    """A folder with these files: name -> text."""
    with tempfile.TemporaryDirectory(prefix="sce-bench-") as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text)
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.contextmanager
def bare_on_host(client: str, image: str, files: Mapping[str, str] = HELLO_FILES) -> Iterator[BareLoop]:
    """The image's interpreters, started on the host outside of any container, the files in /bench.

    Takes root, for chroot(2).
    """
    with bare_loops(client, image, 1, files) as (loop,):
        yield loop


@contextlib.contextmanager
def bare_loops(client: str, image: str, count: int, files: Mapping[str, str] = HELLO_FILES) -> Iterator[list[BareLoop]]:
    """The same, so many beside each other."""
    with tempfile.TemporaryDirectory(prefix="sce-bench-") as folder, programs(files) as hello:
        export(client, image, Path(folder))
        shutil.copytree(hello, Path(folder, "bench"))
        # A mount namespace of its own: whatever happens, no mount stays behind in the folder.
        argv = ["unshare", "--mount", "sh", "-c", ENTER, folder, "/usr/local/bin/python3", "-I", "-c", LOOP]
        with contextlib.ExitStack() as loops:
            yield [loops.enter_context(contextlib.closing(BareLoop(argv))) for _ in range(count)]


def export(client: str, image: str, folder: Path) -> None:
    """Unpack the image's files into the folder."""
    name = subprocess.run([client, "create", image], capture_output=True, text=True, check=True).stdout.strip()
    try:
        with subprocess.Popen([client, "export", name], stdout=subprocess.PIPE) as tar:
            subprocess.run(["tar", "-x", "-C", str(folder)], stdin=tar.stdout, check=True)
    finally:
        subprocess.run([client, "rm", name], capture_output=True, check=True)


@contextlib.contextmanager
def bare_in_container(settings: Settings) -> Iterator[BareLoop]:
    """The image's interpreters, started in a container that runs already, under the same limits."""
    with programs(HELLO_FILES) as hello:
        argv = [settings.docker, "run", "--interactive", *flags(settings)]
        argv += ["--volume", f"{hello}:/bench:ro", "--entrypoint", "python3"]
        loop = BareLoop([*argv, options_for(settings, podman=False).image, "-I", "-c", LOOP])
        try:
            yield loop
        finally:
            loop.close()


def flags(settings: Settings) -> list[str]:
    """Those of a real run."""
    options = options_for(settings, podman=False)
    return [*mission_flags(settings.limits), *resource_flags(settings.limits, 34), *security_flags(options)]


def plain_command(settings: Settings, language: str) -> list[str]:
    """`docker run` with the same flags as ours, and the program on the command line of its interpreter."""
    image = options_for(settings, podman=False).image
    argv = [settings.docker, "run", "--user", "65534:65534", *flags(settings)]
    argv += ["--entrypoint", LANGUAGES[language].interpreter, image]
    return [*argv, INLINE[language], HELLO[language]]


def plain_run(settings: Settings, language: str) -> float:
    """Milliseconds for one program in a container of its own, the usual way."""

    def run() -> None:
        argv = plain_command(settings, language)
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=ENGINE_HANGS_SECONDS)
        assert done.stdout == "hello\n", done.stderr

    return clocked(run)
