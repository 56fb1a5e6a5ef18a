"""Every limit from below, at, and above it, on the real engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from executor import Executor
from sandbox.errors import Busy
from sandbox.models import RunRequest, Status, Stream
from sandbox.settings import Settings, load
from tests.conftest import Run, runner

TIMEOUT_SECONDS = 2
OUTPUT_BYTES = 1024
OUTPUT_STOP_BYTES = 64 << 10


@pytest.fixture(scope="module")
def tight_executor(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor whose limits are quick to reach."""
    settings = load(
        data_dir=tmp_path_factory.mktemp("tight"),
        pool="",
        timeout_seconds=TIMEOUT_SECONDS,
        output_bytes=OUTPUT_BYTES,
        output_stop_bytes=OUTPUT_STOP_BYTES,
    )
    with Executor(settings) as executor:
        yield executor


@pytest.fixture(scope="module")
def run_tight(tight_executor: Executor) -> Run:
    return runner(tight_executor)


# --- Time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, Status.OK), (TIMEOUT_SECONDS - 1.0, Status.OK), (TIMEOUT_SECONDS + 0.7, Status.TIMEOUT)]
)
def test_wall_time_ends_a_program_that_takes_longer(run_tight: Run, seconds: float, status: Status) -> None:
    result = run_tight(f"import time; print('before'); time.sleep({seconds})")
    assert (result.status, result.output) == (status, "before\n")


@pytest.mark.parametrize(
    ("language", "code"),
    [("python", "print('before')\nwhile True: pass"), ("node", "console.log('before'); for (;;) {}")],
)
def test_an_endless_loop_is_ended_on_time_and_keeps_its_output(run_tight: Run, language: str, code: str) -> None:
    result = run_tight(code, language)
    assert (result.status, result.exit_code, result.signal) == (Status.TIMEOUT, -1, None)
    assert (result.output, result.error) == ("before\n", "Execution timed out after 2 seconds.")
    assert 2000 <= result.duration_ms < 4500
    assert result.cpu_ms is not None and 200 < result.cpu_ms < 2500


def test_the_timeout_message_follows_what_the_program_wrote_to_stderr(run_tight: Run) -> None:
    result = run_tight("import sys, time; print('no line end', end='', file=sys.stderr, flush=True); time.sleep(9)")
    assert result.error == "no line end\nExecution timed out after 2 seconds."


# --- Memory -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mebibytes", "status"), [(32, Status.OK), (96, Status.OK), (128, Status.MEMORY), (1024, Status.MEMORY)]
)
def test_memory_ends_a_python_program_that_takes_more(run: Run, mebibytes: int, status: Status) -> None:
    result = run(f"print('before')\ndata = b'x' * ({mebibytes} << 20)\nprint('after')")
    assert result.status is status
    assert result.output == ("before\nafter\n" if status is Status.OK else "before\n")


@pytest.mark.parametrize(("mebibytes", "status"), [(16, Status.OK), (56, Status.OK), (128, Status.MEMORY)])
def test_memory_ends_a_node_program_that_takes_more(run: Run, mebibytes: int, status: Status) -> None:
    code = f"console.log('before'); const data = Buffer.alloc({mebibytes} << 20, 1); console.log('after')"
    result = run(code, "node")
    assert result.status is status
    assert result.output == ("before\nafter\n" if status is Status.OK else "before\n")


def test_a_memory_result_says_so_in_every_field(run: Run) -> None:
    result = run("import sys\nsys.stderr.write('told\\n')\nkeep = []\nwhile True: keep.append(bytes([1]) * 4096)")
    assert (result.exit_code, result.signal, result.status) == (137, "SIGKILL", Status.MEMORY)
    assert result.error == "told\nProcess killed (likely out of memory > 128m)."
    # More than the limit: pages of the interpreter's files may be on another container's account, or on nobody's.
    assert result.memory_kb is not None and 90_000 < result.memory_kb < (128 << 10) + 8_000


def test_there_is_no_swap_to_escape_to(run: Run) -> None:
    result = run("import mmap\nroom = mmap.mmap(-1, 200 << 20)\nfor at in range(0, 200 << 20, 4096): room[at] = 1")
    assert result.status is Status.MEMORY


# --- Output that is kept ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", list(Stream))
@pytest.mark.parametrize("count", [OUTPUT_BYTES - 1, OUTPUT_BYTES, OUTPUT_BYTES + 1])
def test_output_is_cut_only_above_the_limit(run_tight: Run, count: int, stream: Stream) -> None:
    result = run_tight(f"import sys; sys.{stream.value}.write('a' * 600 + 'b' * {count - 600})")
    shown = result.output if stream is Stream.STDOUT else result.error
    if count <= OUTPUT_BYTES:
        assert (shown, result.truncated) == ("a" * 600 + "b" * (count - 600), False)
    else:
        assert shown == "a" * 512 + "\n[… 1 bytes dropped …]\n" + "a" * 87 + "b" * 425
        assert result.truncated
    assert result.status is Status.OK
    written = (result.output_bytes, result.error_bytes)
    assert written == ((count, 0) if stream is Stream.STDOUT else (0, count))


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import os; os.write(2, b'\\xff'); os.write(1, 'é'.encode() * 3000)"),
        ("node", "const fs = require('fs'); fs.writeSync(2, Buffer.from([255])); fs.writeSync(1, 'é'.repeat(3000))"),
    ],
)
def test_what_was_written_is_told_in_bytes_whether_it_was_kept_or_not(run_tight: Run, language: str, code: str) -> None:
    result = run_tight(code, language)
    assert (result.output_bytes, result.error_bytes, result.truncated) == (6000, 1, True)
    assert len(result.output.encode()) < 1100 and result.error == "\ufffd"


def test_what_a_program_wrote_that_was_stopped_is_told_too(run_tight: Run) -> None:
    result = run_tight("import os\nwhile True: os.write(1, b'x' * 4096)")
    assert result.status is Status.OUTPUT_LIMIT
    assert result.output_bytes > OUTPUT_STOP_BYTES


def test_each_stream_has_a_limit_of_its_own(run_tight: Run) -> None:
    result = run_tight("import sys; sys.stdout.write('o' * 1024); sys.stderr.write('e' * 1024)")
    assert (result.output, result.error, result.truncated) == ("o" * 1024, "e" * 1024, False)


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_a_cut_never_leaves_half_a_character(run_tight: Run, shift: int) -> None:
    code = f"import sys; sys.stdout.write('.' * {shift} + '🐍' * 900); sys.stderr.write('.' * {shift} + '€' * 901)"
    result = run_tight(code)
    assert result.truncated
    for shown, letter in ((result.output, "🐍"), (result.error, "€")):
        head, mark, tail = shown.split("\n")
        assert set(head) <= {".", letter} and set(tail) == {letter}
        assert mark.startswith("[… ")
        assert len(head.encode()) > 508 and len(tail.encode()) > 508


def test_invalid_bytes_are_shown_as_replacement_characters_and_do_no_harm(run: Run) -> None:
    result = run(r"import os; os.write(1, b'ok \xff\xfe \xe2\x82 end')")
    assert result.output == "ok \ufffd\ufffd \ufffd end"


def test_the_caller_is_told_the_head_as_it_comes(tight_executor: Executor) -> None:
    heard: list[str] = []
    request = RunRequest("python", "print('é' * 2000)")
    result = tight_executor.run(request, on_output=lambda stream, text: heard.append(text))
    assert "".join(heard) == "é" * 256
    assert result.output.startswith("é" * 256 + "\n[…")


# --- Output that is too much ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stdout_bytes", "stderr_bytes", "status"),
    [
        (OUTPUT_STOP_BYTES - 1, 0, Status.OK),
        (OUTPUT_STOP_BYTES, 0, Status.OK),
        (OUTPUT_STOP_BYTES // 2, OUTPUT_STOP_BYTES // 2, Status.OK),
        (OUTPUT_STOP_BYTES + 1, 0, Status.OUTPUT_LIMIT),
        (OUTPUT_STOP_BYTES // 2, OUTPUT_STOP_BYTES // 2 + 1, Status.OUTPUT_LIMIT),
    ],
)
def test_both_streams_together_are_what_stops_a_program(
    run_tight: Run, stdout_bytes: int, stderr_bytes: int, status: Status
) -> None:
    # It stays a little, so that it is still there to be stopped.
    result = run_tight(
        f"import os, time\n"
        f"def put(fd, count):\n"
        f"    while count: count -= os.write(fd, b'x' * count)\n"
        f"put(1, {stdout_bytes}); put(2, {stderr_bytes}); time.sleep(1)"
    )
    assert (result.status, result.truncated) == (status, True)


def test_a_stopped_program_is_told_why(run_tight: Run) -> None:
    result = run_tight("process.stdout.write('x'.repeat(1e6)); setTimeout(() => {}, 5000)", "node")
    assert (result.status, result.exit_code) == (Status.OUTPUT_LIMIT, -1)
    assert result.error == "Stopped after writing more than 64 KiB of output."
    assert result.duration_ms < 1900


# --- Processes, descriptors, processor --------------------------------------------------------------------


@pytest.mark.parametrize(("beside", "started"), [(-1, True), (0, True), (1, False)])
def test_threads_count_as_processes(run: Run, executor: Executor, beside: int, started: bool) -> None:
    free = executor.settings.limits.pids - 2  # the supervisor and the main thread
    result = run(
        f"import threading\n"
        f"stop = threading.Event()\n"
        f"try:\n"
        f"    for number in range({free + beside}): threading.Thread(target=stop.wait).start()\n"
        f"    print('all')\n"
        f"except RuntimeError as problem: print(number, problem)\n"
        f"stop.set()"
    )
    assert result.output == ("all\n" if started else f"{free} can't start new thread\n")
    assert result.status is Status.OK


def test_a_node_program_has_room_for_workers(run: Run) -> None:
    code = (
        "const {Worker} = require('worker_threads');"
        "for (let n = 0; n < 3; n++) new Worker('console.log(1)', {eval: true})"
    )
    assert run(code, "node").output == "1\n1\n1\n"


@pytest.mark.parametrize(("count", "opened"), [(252, True), (253, True), (254, False)])
def test_open_files(run: Run, count: int, opened: bool) -> None:
    result = run(f"files = [open('/dev/null') for _ in range({count})]\nprint(len(files))")
    assert (result.output, "Too many open files" in result.error) == (f"{count}\n" if opened else "", not opened)


def test_no_resource_limit_can_be_raised(run: Run) -> None:
    result = run(
        "import resource as r\n"
        "for limit in (r.RLIMIT_NOFILE, r.RLIMIT_CORE, r.RLIMIT_FSIZE):\n"
        "    soft, hard = r.getrlimit(limit)\n"
        "    try: r.setrlimit(limit, (hard + 1, hard + 1)); print('raised', limit)\n"
        "    except (ValueError, OSError): print('refused')\n"
        "print(r.getrlimit(r.RLIMIT_CORE))"
    )
    assert result.output == "refused\nrefused\nrefused\n(1, 1)\n"


def test_the_kernel_holds_a_container_to_its_processor_quota(run: Run, executor: Executor) -> None:
    """Also where the machine is too busy for a container to be able to take more than that."""
    result = run(
        "import os\n"
        "if os.path.exists('/sys/fs/cgroup/cpu.max'): print(open('/sys/fs/cgroup/cpu.max').read())\n"
        "else:\n"
        "    for name in ('quota', 'period'): print(open(f'/sys/fs/cgroup/cpu/cpu.cfs_{name}_us').read())"
    )
    quota, period = result.output.split()
    assert int(quota) / int(period) == executor.settings.limits.cpus


def test_two_busy_processes_share_one_processor(run: Run) -> None:
    result = run(
        "import os, time\n"
        "child = os.fork()\n"
        "end = time.monotonic() + 1.5\n"
        "while time.monotonic() < end: pass\n"
        "if child: os.wait()"
    )
    assert result.status is Status.OK
    assert result.cpu_ms is not None and result.cpu_ms < 1.25 * result.duration_ms


# --- Standard input and shared memory ---------------------------------------------------------------------


@pytest.mark.parametrize("delta", [None, -1, 0])
def test_stdin_reaches_the_program_up_to_its_limit(run: Run, executor: Executor, delta: int | None) -> None:
    stdin = "" if delta is None else ("zeile\n" * 20_000)[: executor.settings.max_stdin_bytes + delta]
    python = "import sys, hashlib; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
    node = (
        "const hash = require('crypto').createHash('sha256');"
        "process.stdin.on('data', part => hash.update(part)).on('end', () => console.log(hash.digest('hex')))"
    )
    expected = hashlib.sha256(stdin.encode()).hexdigest() + "\n"
    assert run(python, stdin=stdin).output == expected
    assert run(node, "node", stdin=stdin).output == expected


def test_stdin_larger_than_a_pipe_reaches_a_slow_reader(run: Run) -> None:
    code = "import sys, time; time.sleep(0.3); print(sum(map(int, sys.stdin)))"
    assert run(code, stdin="1\n" * 200_000).output == "200000\n"


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_shared_memory_has_a_size(run: Run, executor: Executor, excess: int) -> None:
    size = executor.settings.limits.shm_mb << 20
    result = run(
        f"import os\n"
        f"left = {size + excess}\n"
        f"try:\n"
        f"    with open('/dev/shm/x', 'wb', 0) as file:\n"
        f"        while left: left -= file.write(bytes(min(left, 1 << 16)))\n"
        f"except OSError as problem: print(problem.strerror)\n"
        f"print(os.stat('/dev/shm/x').st_size)"
    )
    assert result.output == (f"No space left on device\n{size}\n" if excess > 0 else f"{size + excess}\n")


# --- Batches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_batch_answers_in_the_order_asked(executor: Executor, count: int) -> None:
    tasks = [
        RunRequest("python", f"import time; time.sleep({0.4 - number / 10}); print({number})")
        if number % 2 == 0
        else RunRequest("node", f"console.log({number})")
        for number in range(count)
    ]
    results = executor.run_many(tasks)
    assert [result.output for result in results] == [f"{number}\n" for number in range(count)]
    assert len({result.id for result in results}) == count


def test_a_failing_task_does_not_disturb_the_others(executor: Executor) -> None:
    codes = ["print(1)", "raise SystemExit(3)", "x = b'x' * (300 << 20)", "print(4)", "import os; os.abort()"]
    results = executor.run_many([RunRequest("python", code) for code in codes])
    assert [result.exit_code for result in results] == [0, 3, 137, 0, 134]


def test_a_batch_waits_for_its_own_programs_as_long_as_they_take(settings: Settings, real_engine: None) -> None:
    single = settings.model_copy(update={"max_concurrent_runs": 1, "queue_seconds": 0.5})
    with Executor(single) as executor:
        tasks = [RunRequest("python", f"import time; time.sleep(0.4); print({number})") for number in range(3)]
        assert [result.output for result in executor.run_many(tasks)] == ["0\n", "1\n", "2\n"]


def test_of_a_batch_with_no_place_for_all_of_it_nothing_runs(settings: Settings, real_engine: None) -> None:
    ran: list[str] = []
    roomy = settings.model_copy(update={"max_concurrent_runs": 1, "queue_size": 2})
    with Executor(roomy, observers=[lambda request, result: ran.append(request.code)]) as executor:
        tasks = [RunRequest("python", f"print({number})") for number in range(4)]
        assert [result.output for result in executor.run_many(tasks[:3])] == ["0\n", "1\n", "2\n"]
        ran.clear()
        with pytest.raises(Busy):
            executor.run_many(tasks)
    assert ran == []
