"""What hostile programs try, on the real engine, each as the claim that it comes to nothing."""

from __future__ import annotations

import json
import signal
import struct
import textwrap
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor import Executor
from sandbox.engine.image import default_name
from sandbox.errors import ContainerLost
from sandbox.models import RunRequest, RunResult, Status, Stream
from sandbox.settings import load
from tests.conftest import ROOT, Run, containers, docker, eventually, runner
from tests.processes import processes_with

LANGUAGES = ("python", "node", "bash")
NOGROUP = "65534"


@pytest.fixture(scope="module")
def brief_executor(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor for programs that never end by themselves."""
    settings = load(
        data_dir=tmp_path_factory.mktemp("brief"),
        pool="",
        timeout_seconds=2,
        output_bytes=64 << 10,
        output_stop_bytes=4 << 20,
    )
    with Executor(settings) as executor:
        yield executor


@pytest.fixture(scope="module")
def run_briefly(brief_executor: Executor) -> Run:
    return runner(brief_executor)


def attempts(*expressions: str, setup: str = "") -> str:
    """A Python program that tries each expression and prints the name of the error it ends in, or its value."""
    tries = "".join(
        f"try: print({expression})\nexcept Exception as problem: print(type(problem).__name__)\n"
        for expression in expressions
    )
    return f"{textwrap.dedent(setup)}\n{tries}"


# --- Privileges -------------------------------------------------------------------------------------------

READ_STATUS = {
    "python": "print(open('/proc/self/status').read())",
    "node": "console.log(require('fs').readFileSync('/proc/self/status', 'utf8'))",
    "bash": 'while IFS= read -r line; do echo "$line"; done < /proc/self/status',
}


def status_fields(result: RunResult) -> dict[str, list[str]]:
    pairs = (line.split(":", 1) for line in result.output.splitlines() if ":" in line)
    return {name: value.split() for name, value in pairs}


@pytest.mark.parametrize("args", [(), ("own interpreter",)])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_is_nobody_and_has_no_privilege(run: Run, language: str, args: tuple[str, ...]) -> None:
    fields = status_fields(run(READ_STATUS[language], language, args=args))
    assert len(set(fields["Uid"])) == 1 and int(fields["Uid"][0]) >= 10_000
    assert fields["Gid"] == [NOGROUP] * 4
    assert fields["Groups"] == []
    for capability_set in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[capability_set][0], 16) == 0, capability_set
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == (["1"], ["2"])


def test_a_program_cannot_become_another_user(run: Run) -> None:
    code = attempts("os.setuid(0)", "os.setgid(0)", "os.setgroups([0])", "os.chroot('/app')", setup="import os")
    assert run(code).output == "PermissionError\n" * 4


def test_no_file_of_the_image_would_give_privileges(real_engine: None) -> None:
    image = default_name()
    run_as_root = ("run", "--rm", "--network", "none", "--pull", "never", "--entrypoint")
    assert docker(*run_as_root, "find", image, "/", "-xdev", "-type", "f", "-perm", "/6000") == ""
    with_capabilities = (
        "import os\nfor folder, _, names in os.walk('/usr'):\n"
        "    for name in names:\n"
        "        path = os.path.join(folder, name)\n"
        "        if os.listxattr(path, follow_symlinks=False): print(path)"
    )
    assert docker(*run_as_root, "python3", image, "-c", with_capabilities) == ""


# --- The supervisor ---------------------------------------------------------------------------------------


def test_a_program_cannot_signal_the_supervisor(run: Run) -> None:
    assert run(attempts("os.kill(1, 0)", "os.kill(1, 9)", setup="import os")).output == "PermissionError\n" * 2
    code = "try { process.kill(1, 'SIGKILL') } catch (problem) { console.log(problem.code) }"
    assert run(code, "node").output == "EPERM\n"
    assert run("for name in TERM KILL STOP; do kill -$name 1; done", "bash").error.count("Operation not permitted") == 3


def test_killing_everybody_reaches_only_the_programs_own_processes(run: Run) -> None:
    result = run(
        "import os, signal, time\n"
        "child = os.fork()\n"
        "if not child: time.sleep(30)\n"
        "os.kill(-1, signal.SIGKILL)\n"
        "print('child ended by', os.waitpid(child, 0)[1])"
    )
    assert (result.output, result.status) == ("child ended by 9\n", Status.OK)
    result = run("sleep 30 & kill -KILL -1; wait $!; echo $?", "bash")
    assert (result.output, result.status) == ("137\n", Status.OK)


def test_a_program_cannot_trace_limit_or_slow_down_the_supervisor(run: Run) -> None:
    result = run(
        attempts(
            "resource.prlimit(1, resource.RLIMIT_NOFILE)",
            "resource.prlimit(1, resource.RLIMIT_NOFILE, (4, 4))",
            "os.setpriority(os.PRIO_PROCESS, 1, 19)",
            "os.sched_setaffinity(1, {0})",
            "os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))",
            setup="import os, resource",
        )
    )
    assert result.output == "PermissionError\n" * 5
    traces = run(
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "for request in (16, 0x4206): print(libc.ptrace(request, 1, 0, 0), ctypes.get_errno())"
    )
    assert traces.output == "-1 1\n-1 1\n"


@pytest.mark.parametrize("name", ["environ", "maps", "mem", "io", "stack", "syscall", "auxv"])
def test_a_program_cannot_read_the_supervisors_memory_or_state(run: Run, name: str) -> None:
    result = run(f"print(open('/proc/1/{name}', 'rb').read(10))")
    assert result.output == "" and "PermissionError" in result.error


def test_a_program_cannot_reach_the_supervisors_files(run: Run) -> None:
    result = run(
        attempts(
            "os.listdir('/proc/1/fd')",
            "os.readlink('/proc/1/cwd')",
            "os.listdir('/proc/1/root')",
            "open('/proc/1/fd/0', 'rb')",
            "open('/proc/1/fd/1', 'wb')",
            "os.listdir('/sandbox')",
            "open('/sandbox/supervisor.pyc').read()",
            setup="import os",
        )
    )
    assert result.output == "PermissionError\n" * 7
    code = "try { require('fs').readFileSync('/sandbox/supervisor.pyc') } catch (problem) { console.log(problem.code) }"
    assert run(code, "node").output == "EACCES\n"
    bash = run("cat /sandbox/supervisor.pyc; ls /sandbox; ls /proc/1/fd; exec 3> /proc/1/fd/1", "bash")
    assert (bash.output, bash.error.count("Permission denied")) == ("", 4)


# --- Files ------------------------------------------------------------------------------------------------


def test_nothing_can_be_written_but_shared_memory_and_harmless_devices(run: Run) -> None:
    result = run(
        """
import os, stat
# null, zero, full, random, urandom, tty; the engine hides files of /proc behind null.
HARMLESS = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0)}
def writable(path):
    try:
        mode, device = os.lstat(path).st_mode, os.lstat(path).st_rdev
        if stat.S_ISLNK(mode) or stat.S_ISCHR(mode) and (os.major(device), os.minor(device)) in HARMLESS:
            return False
        if stat.S_ISDIR(mode):
            os.mkdir(path + '/made')
            os.rmdir(path + '/made')
            return True
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        # Some files of /proc may be opened by anyone and say no later.
        return not path.startswith('/proc/') or os.write(descriptor, b'x') > 0
    except OSError:
        return False
own = {f'/proc/{name}' for name in (os.getpid(), 'self', 'thread-self')}
seen = 0
for folder, folders, names in os.walk('/'):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in own]
    for path in (folder, *(os.path.join(folder, name) for name in names)):
        seen += 1
        if writable(path): print(path)
assert seen > 5000, seen
"""
    )
    assert (result.output, result.error) == ("/dev/shm\n", "")


@pytest.mark.parametrize("path", ["/tmp/x", "/x", "/var/tmp/x", "/etc/group", "/usr/local/bin/python3"])
def test_writing_fails_with_read_only_file_system(run: Run, path: str) -> None:
    python = run(f"open({path!r}, 'w')")
    assert python.exit_code == 1 and "OSError: [Errno 30] Read-only file system" in python.error
    node = run(f"require('fs').writeFileSync({path!r}, '')", "node")
    assert node.exit_code == 1 and "EROFS: read-only file system" in node.error
    bash = run(f"echo x > {path}", "bash")
    assert bash.exit_code == 1 and "Read-only file system" in bash.error


def test_a_program_cannot_change_its_own_source(run: Run) -> None:
    code = attempts(
        "open(__file__, 'w')", "os.remove(__file__)", "os.mkdir('/app/x')", "os.chmod('/app', 0o777)", setup="import os"
    )
    assert run(code).output == "PermissionError\n" * 4


def test_a_program_cannot_change_the_list_of_users(run: Run) -> None:
    code = attempts(
        "open('/etc/passwd', 'a')", "os.remove('/etc/sandbox/passwd')", "os.mkdir('/etc/sandbox/x')", setup="import os"
    )
    assert run(code).output == "PermissionError\n" * 3


def test_nothing_can_be_executed_from_shared_memory(run: Run) -> None:
    result = run(
        "import os, shutil\n"
        "shutil.copy('/bin/true', '/dev/shm/true')\n"
        "os.chmod('/dev/shm/true', 0o755)\n"
        "os.execv('/dev/shm/true', ['true'])"
    )
    assert "PermissionError: [Errno 13] Permission denied" in result.error
    result = run("cp /bin/true /dev/shm; /dev/shm/true", "bash")
    assert result.exit_code == 126 and "Permission denied" in result.error


def test_a_shell_cannot_load_built_in_commands_from_shared_memory(run: Run) -> None:
    library = "$(find /usr/lib -name libm.so.6)"
    result = run(f"cp {library} /dev/shm/own.so; enable -f /dev/shm/own.so own; type own", "bash")
    assert result.exit_code == 1 and "failed to map segment" in result.error


def test_nothing_can_be_mounted(run: Run) -> None:
    result = run(
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.mount(b'none', b'/dev/shm', b'tmpfs', 0, None), libc.unshare(0x10000000), ctypes.get_errno())"
    )
    assert result.output == "-1 -1 1\n"


def test_there_are_no_terminals_and_no_message_queues(run: Run) -> None:
    """The host has few of either, for all of its containers."""
    result = run(
        attempts(
            "os.openpty()",
            "os.open('/dev/ptmx', os.O_RDWR)",
            "os.listdir('/dev/pts')",
            "open('/dev/mqueue/x', 'w')",
            "os.mkdir('/dev/pts/x')",
            "LIBC.mq_open(b'/x', os.O_CREAT, 0o600, None)",
            setup="import ctypes, os\nLIBC = ctypes.CDLL(None)",
        )
    )
    assert result.output == "FileNotFoundError\nFileNotFoundError\n[]\nOSError\nOSError\n-1\n"


def test_a_crash_starts_no_helper_on_the_host(run: Run) -> None:
    """A core_pattern that pipes is stopped by a limit of 1 and by nothing lower: core(5)."""
    result = run(
        attempts(
            "resource.getrlimit(resource.RLIMIT_CORE)",
            "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
            "resource.setrlimit(resource.RLIMIT_CORE, (0, 1))",
            "resource.prlimit(0, resource.RLIMIT_CORE, (0, 1))",
            setup="import resource",
        )
    )
    assert result.output == "(1, 1)\nValueError\nValueError\nPermissionError\n"


# --- What there is to see ---------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [(), ("own interpreter",)])
def test_a_program_has_three_descriptors(run: Run, args: tuple[str, ...]) -> None:
    result = run(
        "import os\nfor number in range(1024):\n    try: os.fstat(number); print(number)\n    except OSError: pass",
        args=args,
    )
    assert result.output == "0\n1\n2\n"


@pytest.mark.parametrize("args", [(), ("own interpreter",)])
def test_the_environment_is_a_handful_of_variables(run: Run, args: tuple[str, ...]) -> None:
    common = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/app", "LANG": "C.UTF-8"}
    python = run("import os, json; print(json.dumps(dict(os.environ)))", args=args)
    assert json.loads(python.output) == {**common, "PYTHONUNBUFFERED": "1"}
    node = run("console.log(JSON.stringify(process.env))", "node", args=args)
    assert json.loads(node.output) == common
    bash = run("tr '\\0' '\\n' < /proc/$$/environ", "bash", args=args)
    assert dict(line.split("=", 1) for line in bash.output.splitlines()) == {**common, "TMPDIR": "/dev/shm"}


def test_nothing_of_the_server_is_in_sight(run: Run, executor: Executor) -> None:
    result = run(
        "import glob, os\n"
        "for pattern in ('/proc/self/mountinfo', '/proc/self/cgroup', '/proc/*/environ', '/proc/*/cmdline', '/etc/*'):"
        "\n    for path in glob.glob(pattern):\n"
        "        try: print(path, open(path, errors='replace').read())\n"
        "        except OSError: pass\n"
        "print(os.uname().nodename)"
    )
    assert "/proc/1/cmdline" in result.output and "/proc/self/mountinfo" in result.output
    for path in (ROOT, executor.settings.data_dir, Path.home() / ".", Path("/home")):
        assert f"{path}/" not in result.output.replace("/home:/usr/sbin/nologin", ""), path
    assert result.output.endswith("\nsandbox\n")


def test_the_name_servers_of_the_host_are_not_in_sight(run: Run) -> None:
    lines = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines() if not line.startswith("#")]
    told = {word for words in lines if words[:1] in (["nameserver"], ["search"], ["domain"]) for word in words[1:]}
    shown = set(run("print(open('/etc/resolv.conf').read())").output.split())
    assert not shown & (told - {".", "192.0.2.1"})


def test_a_program_sees_only_its_own_processes(run: Run) -> None:
    result = run(
        "import os; print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()) == [1, os.getpid()])"
    )
    assert result.output == "True\n"


# --- Network ----------------------------------------------------------------------------------------------


def test_there_is_no_network_interface_but_loopback(run: Run) -> None:
    assert run("import os; print(os.listdir('/sys/class/net'))").output == "['lo']\n"
    read = "require('fs').readFileSync('/proc/net/dev', 'utf8').split('\\n').slice(2, -1)"
    node = f"console.log({read}.map(line => line.split(':')[0].trim()))"
    assert run(node, "node").output == "[ 'lo' ]\n"


def fails_at_once(run: Run, code: str, language: str = "python") -> bool:
    """Whether the program fails, and within a second; a busy machine gets three tries to be that quick."""
    for _ in range(3):
        result = run(code, language)
        assert (result.status, result.exit_code, result.output) == (Status.ERROR, 1, ""), result
        if result.duration_ms < 1000:
            return True
    return False


@pytest.mark.parametrize("host", ["1.1.1.1", "172.17.0.1", "169.254.169.254", "2606:4700::1111", "example.com"])
def test_connections_fail_at_once(run: Run, host: str) -> None:
    assert fails_at_once(run, f"import socket; socket.create_connection(({host!r}, 53), 30); print('connected')")
    code = f"require('net').connect(53, {host!r}).on('connect', () => console.log('connected'))"
    assert fails_at_once(run, code, "node")
    assert fails_at_once(run, f"echo x > /dev/tcp/{host}/53 && echo connected", "bash")


def test_datagrams_raw_and_exotic_sockets_fail(run: Run) -> None:
    result = run(
        attempts(
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 53))",
            "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
            "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
            "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)",
            "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
            setup="import socket",
        )
    )
    outcomes = result.output.split()
    assert len(outcomes) == 5 and set(outcomes) <= {"OSError", "PermissionError"}


def test_asking_for_a_name_fails_at_once(run: Run) -> None:
    assert fails_at_once(run, "import socket; print(socket.getaddrinfo('example.com', 80))")
    for ask in ("lookup", "resolve4"):
        code = f"require('dns').promises.{ask}('example.com').then(console.log)"
        assert fails_at_once(run, code, "node")


# --- Forged results ---------------------------------------------------------------------------------------

FRAMES = b"".join(struct.pack(">cI", kind, 2) + b"{}" for kind in (b"D", b"X", b"S"))


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/stderr", "/proc/self/fd/1", "/dev/fd/2"])
def test_frames_from_a_program_are_its_output(run: Run, path: str) -> None:
    text = FRAMES.decode()
    python = run(f"import os\nwith open({path!r}, 'wb') as file: file.write({FRAMES!r})\nos._exit(3)")
    forged = json.dumps(list(FRAMES))
    node = run(f"require('fs').writeFileSync({path!r}, Buffer.from({forged})); process.exit(3)", "node")
    octal = "".join(f"\\{byte:03o}" for byte in FRAMES)
    bash = run(f"printf '{octal}' > {path}; exit 3", "bash")
    for result in (python, node, bash):
        assert (result.status, result.exit_code, result.output + result.error) == (Status.ERROR, 3, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_exit_code_137_is_not_out_of_memory(run: Run, language: str) -> None:
    codes = {"python": "import sys; sys.exit(137)", "node": "process.exit(137)", "bash": "exit 137"}
    result = run(codes[language], language)
    assert (result.status, result.exit_code, result.signal, result.error) == (Status.ERROR, 137, None, "")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGALRM])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_that_ends_by_a_signal_is_an_error(run: Run, language: str, number: signal.Signals) -> None:
    kill = {
        "python": f"import os; os.kill(os.getpid(), {number.value})",
        "node": f"process.kill(process.pid, '{number.name}'); setTimeout(() => {{}}, 5000)",
        "bash": f"kill -{number.value} $$; sleep 5",
    }
    result = run(kill[language], language)
    assert (result.status, result.exit_code, result.signal) == (Status.ERROR, 128 + number, number.name)


def test_a_child_that_runs_out_of_memory_is_not_the_programs_end(run: Run) -> None:
    result = run(
        "import os\n"
        "child = os.fork()\n"
        "if not child: x = b'x' * (300 << 20)\n"
        "print('child ended by', os.waitpid(child, 0)[1])"
    )
    assert (result.output, result.status, result.exit_code) == ("child ended by 9\n", Status.OK, 0)


def test_a_child_out_of_memory_does_not_excuse_a_program_that_kills_itself_otherwise(run: Run) -> None:
    result = run(
        "import os\n"
        "child = os.fork()\n"
        "if not child: x = b'x' * (300 << 20)\n"
        "os.waitpid(child, 0)\n"
        "raise SystemExit(137)"
    )
    assert (result.status, result.exit_code) == (Status.ERROR, 137)


# --- Processes --------------------------------------------------------------------------------------------

BOMBS = {
    "fork": ("python", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
    "thread": (
        "python",
        "import threading, time\n"
        "while True:\n"
        "    try: threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    except RuntimeError: pass",
    ),
    "spawn": (
        "node",
        "const {spawn} = require('child_process');"
        "setInterval(() => spawn(process.execPath, [__filename]).on('error', () => {}), 1)",
    ),
    "worker": (
        "node",
        "const {Worker} = require('worker_threads');"
        "setInterval(() => { try { new Worker(__filename).on('error', () => {}) } catch {} }, 1)",
    ),
    "pipe": ("bash", ":() { : | : & }; :; while true; do :; done"),
    "string": ("bash", "x=x; while true; do x=$x$x; done"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_contained(run_briefly: Run, run: Run, brief_executor: Executor, bomb: str) -> None:
    language, code = BOMBS[bomb]
    started = time.monotonic()
    try:
        result = run_briefly(code, language)
        assert result.status is not Status.OK, result
    except ContainerLost:
        pass  # out of memory with the supervisor as the victim: an honest error
    assert time.monotonic() - started < 10
    assert eventually(lambda: containers(brief_executor.settings.data_dir) == [], 5)
    assert run("print('fine')").output == "fine\n"


def test_daemons_are_dead_when_the_answer_arrives(executor: Executor) -> None:
    mark, seen = uuid.uuid4().hex, []

    def look(stream: Stream, text: str) -> None:
        seen.append(eventually(lambda: len(processes_with(mark)) == 2, 3))

    code = f"""
import os, sys, time
for close in (True, False):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if close: os.closerange(0, 3)
            os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(60)', '{mark}'])
        os._exit(0)
print('left', flush=True)
time.sleep(3)
"""
    result = executor.run(RunRequest("python", code), on_output=look)
    assert processes_with(mark) == []
    assert (result.output, result.status, seen) == ("left\n", Status.OK, [True])


def test_a_stopped_program_times_out(run_briefly: Run) -> None:
    for language, code in (
        ("python", "import os, signal; print('x'); os.kill(os.getpid(), signal.SIGSTOP); print('y')"),
        ("node", "console.log('x'); process.kill(process.pid, 'SIGSTOP'); console.log('y')"),
        ("bash", "echo x; kill -STOP $$; echo y"),
    ):
        result = run_briefly(code, language)
        assert (result.status, result.output, result.duration_ms < 4000) == (Status.TIMEOUT, "x\n", True)


def test_ignoring_signals_does_not_prolong_a_program(run_briefly: Run) -> None:
    result = run_briefly(
        "import signal\n"
        "for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, signal.SIG_IGN)\n"
        "while True: pass"
    )
    assert (result.status, result.duration_ms < 4000) == (Status.TIMEOUT, True)
    result = run_briefly("trap '' {1..64} EXIT; while true; do :; done", "bash")
    assert (result.status, result.duration_ms < 4000) == (Status.TIMEOUT, True)


# --- Standard streams -------------------------------------------------------------------------------------


def test_a_flood_from_several_processes_is_stopped(run_briefly: Run) -> None:
    result = run_briefly(
        "import os\nfor _ in range(4): os.fork()\nwhile True: os.write(1, b'y' * 65536); os.write(2, b'z' * 65536)"
    )
    assert (result.status, result.truncated) == (Status.OUTPUT_LIMIT, True)
    assert len(result.output) < (64 << 10) + 100 and len(result.error) < (64 << 10) + 200


@pytest.mark.parametrize(("language", "code"), [("python", "print(1)"), ("node", "console.log(1)"), ("bash", "echo 1")])
def test_stdin_that_nobody_reads_holds_up_nothing(run: Run, language: str, code: str) -> None:
    result = run(code, language, stdin="x" * 1_000_000)
    assert (result.output, result.status) == ("1\n", Status.OK)
    assert result.duration_ms < 2000


@pytest.mark.parametrize("language", LANGUAGES)
def test_closing_the_streams_early_is_not_the_end(run: Run, language: str) -> None:
    code = {
        "python": "import os, time\nfor fd in (0, 1, 2): os.close(fd)\ntime.sleep(0.4); os._exit(5)",
        "node": "const fs = require('fs'); for (const fd of [1, 2]) fs.closeSync(fd);"
        "setTimeout(() => process.exit(5), 400)",
        "bash": "exec 0<&- 1>&- 2>&-; sleep 0.4; exit 5",
    }
    result = run(code[language], language)
    assert (result.status, result.exit_code, result.output, result.error) == (Status.ERROR, 5, "", "")
    assert result.duration_ms >= 400 and result.cpu_ms is not None and result.cpu_ms < 300


def test_output_written_just_before_a_kill_is_kept(run: Run) -> None:
    result = run("import os; os.write(1, b'x' * 50_000); os.write(2, b'last words'); os.kill(os.getpid(), 9)")
    assert (result.output, result.error) == ("x" * 50_000, "last words")


# --- Memory -----------------------------------------------------------------------------------------------


def test_shared_memory_counts_as_memory(run: Run) -> None:
    fill = "open('/dev/shm/x', 'wb').write(bytes(15 << 20))\nprint('filled')\n"
    assert run(fill + "x = b'x' * (60 << 20)").status is Status.OK
    assert run(fill + "x = b'x' * (108 << 20)").status is Status.MEMORY


def test_many_small_processes_that_spare_themselves_never_hang_a_run(run_briefly: Run, run: Run) -> None:
    """They are smaller than the supervisor and as likely as it to be the kernel's victim."""
    small = "x=0123456789abcdef; while [ ${#x} -lt 2000000 ]; do x=$x$x; done; kill -STOP $$"
    started = time.monotonic()
    try:
        result = run_briefly(
            "import os\n"
            "open('/proc/self/oom_score_adj', 'w').write('0')\n"
            f"for _ in range(58):\n    if os.fork() == 0: os.execv('/bin/sh', ['sh', '-c', '{small}'])\n"
            f"os.execv('/bin/sh', ['sh', '-c', '{small}'])"
        )
        assert result.status in (Status.MEMORY, Status.TIMEOUT, Status.ERROR), result
    except ContainerLost:
        pass
    assert time.monotonic() - started < 12
    assert run("print('fine')").output == "fine\n"


FILL_CONNECTIONS = """
import os, socket
def grow(end):
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        try: end.setsockopt(socket.SOL_SOCKET, option, 1 << 26)
        except PermissionError: pass
server = socket.create_server(("127.0.0.1", 0))
for _ in range(3): os.fork()  # eight processes, as one has too few descriptors
kept, sent = [], 0
for _ in range(50):
    client = socket.create_connection(server.getsockname())
    for end in (client, server.accept()[0]):
        grow(end)
        end.setblocking(False)
        kept.append(end)
for end in kept:
    try:
        while True: sent += end.send(bytes(65536))
    except BlockingIOError: pass
os.write(1, f"{sent >> 10}\\n".encode())
"""


def test_what_nobody_reads_from_connections_is_small(run: Run) -> None:
    """On cgroup v1 it is outside of the container's memory."""
    kilobytes = [int(line) for line in run(FILL_CONNECTIONS + "import time; time.sleep(1)").output.split()]
    assert len(kilobytes) == 8 and sum(kilobytes) < 64 << 10
