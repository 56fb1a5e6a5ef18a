"""What hostile programs try, on the real engine, each as the claim that it comes to nothing."""

from __future__ import annotations

import json
import signal
import struct

import pytest

from sandbox.engine.image import default_name
from sandbox.models import RunResult, Status
from tests.conftest import Run, docker
from tests.engine.attacking import LANGUAGES, attempts

NOGROUP = "65534"


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
