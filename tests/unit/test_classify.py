"""What the supervisor reported, in the words of the API. Pure, so every case is spelled out."""

from __future__ import annotations

import signal

import pytest

from sandbox.box.classify import classify, text_of, to_result
from sandbox.box.protocol import Captured, Report
from sandbox.models import Compilation, Limits, RunResult, Status

LIMITS = Limits(
    timeout_seconds=10,
    memory_mb=128,
    cpus=1,
    pids=64,
    shm_mb=16,
    output_bytes=1 << 20,
    output_stop_bytes=64 << 20,
)

KILLED = int(signal.SIGKILL)


def report(
    wait_status: int | None = 0, stopped: str | None = None, oom_kills: int | None = 0, **fields: object
) -> Report:
    values = {"wall_seconds": 1.23456, "cpu_seconds": 0.5, "max_rss_kb": 9000, **fields}
    return Report(wait_status=wait_status, stopped=stopped, oom_kills=oom_kills, **values)  # type: ignore[arg-type]


def exited(code: int) -> int:
    """The wait status of a process that exited by itself."""
    return code << 8


# --- Endings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "status"), [(0, Status.OK), (1, Status.ERROR), (255, Status.ERROR)])
def test_an_exit_code_is_the_programs_own(code: int, status: Status) -> None:
    ending = classify(report(exited(code)), LIMITS)
    assert (ending.status, ending.exit_code, ending.signal, ending.message) == (status, code, None, "")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGKILL, signal.SIGXFSZ])
def test_a_signal_is_named_and_added_to_128(number: signal.Signals) -> None:
    ending = classify(report(int(number)), LIMITS)
    assert (ending.status, ending.exit_code, ending.signal) == (Status.ERROR, 128 + number, number.name)


def test_a_core_dump_does_not_change_the_signal() -> None:
    assert classify(report(signal.SIGSEGV | 0x80), LIMITS).signal == "SIGSEGV"


def test_a_real_time_signal_without_a_name_is_numbered() -> None:
    assert classify(report(40), LIMITS).signal == "SIG40"


def test_a_program_killed_by_the_kernel_for_memory_ran_out_of_memory() -> None:
    ending = classify(report(KILLED, oom_kills=1), LIMITS)
    assert (ending.status, ending.exit_code, ending.signal) == (Status.MEMORY, 137, "SIGKILL")
    assert ending.message == "Process killed (likely out of memory > 128m)."


@pytest.mark.parametrize("oom_kills", [0, 1, None])
def test_exit_code_137_is_not_taken_for_memory(oom_kills: int | None) -> None:
    ending = classify(report(exited(137), oom_kills=oom_kills), LIMITS)
    assert (ending.status, ending.exit_code, ending.signal) == (Status.ERROR, 137, None)


@pytest.mark.parametrize("oom_kills", [0, None])
def test_sigkill_alone_is_not_taken_for_memory(oom_kills: int | None) -> None:
    assert classify(report(KILLED, oom_kills=oom_kills), LIMITS).status is Status.ERROR


def test_a_child_killed_for_memory_does_not_spoil_a_good_exit() -> None:
    assert classify(report(exited(0), oom_kills=3), LIMITS).status is Status.OK


def test_another_signal_after_a_child_ran_out_of_memory_is_its_own() -> None:
    assert classify(report(signal.SIGABRT, oom_kills=1), LIMITS).signal == "SIGABRT"


@pytest.mark.parametrize(
    ("reason", "status", "message"),
    [
        ("timeout", Status.TIMEOUT, "Execution timed out after 10 seconds."),
        ("output_limit", Status.OUTPUT_LIMIT, "Stopped after writing more than 64 MiB of output."),
        ("cancelled", Status.CANCELLED, "Execution cancelled."),
    ],
)
@pytest.mark.parametrize("wait_status", [KILLED, None])
def test_a_program_that_we_ended_has_no_exit_code(
    reason: str, status: Status, message: str, wait_status: int | None
) -> None:
    ending = classify(report(wait_status, stopped=reason), LIMITS)
    assert (ending.status, ending.exit_code, ending.signal, ending.message) == (status, -1, None, message)


def test_being_ended_by_us_outranks_a_child_out_of_memory() -> None:
    assert classify(report(KILLED, stopped="timeout", oom_kills=2), LIMITS).status is Status.TIMEOUT


def test_a_program_that_exited_before_our_signal_keeps_its_exit_code() -> None:
    ending = classify(report(exited(3), stopped="cancelled"), LIMITS)
    assert (ending.status, ending.exit_code, ending.message) == (Status.ERROR, 3, "")


def test_messages_state_the_limits_as_they_are_set() -> None:
    limits = Limits(**{**vars(LIMITS), "timeout_seconds": 2.5, "output_stop_bytes": 4096, "memory_mb": 64})
    assert classify(report(KILLED, "timeout"), limits).message == "Execution timed out after 2.5 seconds."
    assert classify(report(KILLED, "output_limit"), limits).message.endswith("more than 4 KiB of output.")
    assert "> 64m" in classify(report(KILLED, oom_kills=1), limits).message


# --- The result -------------------------------------------------------------------------------------------


def result_of(ending: Report):  # type: ignore[no-untyped-def]
    return to_result(ending, LIMITS, run_id="id", language="python", queued_ms=1.23456)


def test_the_result_carries_everything_in_its_units() -> None:
    given = report(exited(1), stdout=Captured(bytearray(b"out")), stderr=Captured(bytearray(b"err\n")))
    assert result_of(given).to_json() == {
        "id": "id",
        "language": "python",
        "status": "error",
        "output": "out",
        "error": "err\n",
        "exit_code": 1,
        "signal": None,
        "truncated": False,
        "output_bytes": 3,
        "error_bytes": 4,
        "duration_ms": 1234.56,
        "cpu_ms": 500.0,
        "memory_kb": 9000,
        "queued_ms": 1.23,
        "runs_before": 0,
        "compile": None,
        "artifacts": [],
        "artifacts_omitted": [],
    }


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (b"", "Execution timed out after 10 seconds."),
        (b"partial", "partial\nExecution timed out after 10 seconds."),
        (b"line\n", "line\nExecution timed out after 10 seconds."),
    ],
)
def test_our_message_is_the_last_line_of_the_error(error: bytes, expected: str) -> None:
    given = report(KILLED, "timeout", stdout=Captured(bytearray(b"kept")), stderr=Captured(bytearray(error)))
    result = result_of(given)
    assert (result.output, result.error) == ("kept", expected)


def test_what_nobody_could_measure_is_null() -> None:
    result = result_of(report(None, "timeout", oom_kills=None, cpu_seconds=None, max_rss_kb=None))
    assert (result.cpu_ms, result.memory_kb) == (None, None)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_cut_in_either_stream_is_said(stream: str) -> None:
    assert result_of(report(**{stream: Captured(bytearray(b"a"), b"b", 5)})).truncated  # type: ignore[arg-type]


# --- Text -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        ("é€😀".encode(), "é€😀"),
        (b"\xff", "�"),
        (b"a\xe2\x82b", "a�b"),
        (b"ends in half \xf0\x9f\x98", "ends in half �"),
        (b"\x00\x1b[31m", "\x00\x1b[31m"),
        (b"", ""),
    ],
)
def test_output_is_text_and_what_is_not_utf8_is_replaced(data: bytes, text: str) -> None:
    assert text_of(Captured(bytearray(data))) == text


@pytest.mark.parametrize("character", ["a", "é", "€", "😀"])
@pytest.mark.parametrize("offset", range(8))
@pytest.mark.parametrize("resume", range(8))
def test_a_cut_never_shows_half_a_character(character: str, offset: int, resume: int) -> None:
    """Wherever head and tail are cut, what is shown of them is whole characters."""
    data = (character * 20).encode()
    head, tail = data[: 20 + offset], data[len(data) - 12 - resume :]
    text = text_of(Captured(bytearray(head), tail, 5))
    before, mark, after = text.split("\n")
    assert set(before) == set(after) == {character}
    assert len(head) - len(before.encode()) < len(character.encode())
    assert len(tail) - len(after.encode()) < len(character.encode())
    assert mark == "[… 5 bytes dropped …]"


def test_bytes_that_were_wrong_before_the_cut_still_show_as_wrong() -> None:
    assert text_of(Captured(bytearray(b"a\xffb"), b"\x80\x80\x80\x80c", 1)) == "a�b\n[… 1 bytes dropped …]\n�c"


def test_an_empty_head_or_tail_can_be_cut() -> None:
    assert text_of(Captured(bytearray(), b"", 3)) == "\n[… 3 bytes dropped …]\n"


def test_what_was_written_counts_whether_it_was_kept_or_not() -> None:
    stdout = Captured(bytearray(b"\xc3\xa9"), b"end", dropped_bytes=100)
    result = to_result(report(stdout=stdout), LIMITS, run_id="a", language="python", queued_ms=0)
    assert (result.output_bytes, result.error_bytes, result.truncated) == (105, 0, True)
    sentence = to_result(report(None, "timeout"), LIMITS, run_id="a", language="python", queued_ms=0)
    assert (bool(sentence.error), sentence.error_bytes) == (True, 0), "ours is not the program's"


# --- Compilers --------------------------------------------------------------------------------------------


def compiled(**report: object) -> RunResult:
    return to_result(Report(is_of_compiler=True, **report), LIMITS, run_id="0" * 16, language="c", queued_ms=0.0)  # type: ignore[arg-type]


def test_a_program_that_does_not_compile_has_what_the_compiler_said_apart() -> None:
    said = Captured(bytearray(b"line 2\n"))
    result = compiled(stderr=said, wait_status=1 << 8, wall_seconds=0.25)
    assert (result.status, result.exit_code, result.output, result.error) == (Status.COMPILE_ERROR, 1, "", "")
    assert result.compile == Compilation("", "line 2\n", 1, 250.0)
    assert result.to_json()["compile"] == {"output": "", "error": "line 2\n", "exit_code": 1, "duration_ms": 250.0}


def test_a_compiler_that_was_stopped_is_no_compile_error() -> None:
    late = compiled(stopped="timeout")
    assert (late.status, late.exit_code, late.error) == (Status.TIMEOUT, -1, "Compiling took too long.")
    large = compiled(wait_status=1 << 8, oom_kills=1)
    assert (large.status, large.error) == (Status.MEMORY, "Compiling took too much memory.")
    assert compiled(stopped="cancelled").status is Status.CANCELLED


def test_a_program_that_was_compiled_has_both() -> None:
    before = Report(wait_status=0, stderr=Captured(bytearray(b"careful")), wall_seconds=0.1)
    report = Report(Captured(bytearray(b"ran")), wait_status=3 << 8, before=before)
    result = to_result(report, LIMITS, run_id="0" * 16, language="c", queued_ms=0.0)
    assert (result.status, result.exit_code, result.output) == (Status.ERROR, 3, "ran")
    assert result.compile == Compilation("", "careful", 0, 100.0)
