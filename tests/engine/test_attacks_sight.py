"""What hostile programs want to see, write or reach, each as the claim that they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from executor import Executor
from sandbox.models import Status
from tests.conftest import ROOT, Run
from tests.engine.attacking import attempts

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
