"""What the supervisor reported -> the result a caller gets. Pure."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sandbox.box.protocol import Captured, Report
from sandbox.models import (
    Compilation,
    InlineArtifact,
    Limits,
    OmittedArtifact,
    RunResult,
    Status,
    StoredArtifact,
)

STOPPED_EXIT_CODE = -1
"""Of a program that we ended, so that no exit code of its own exists."""

OUT_OF_MEMORY_EXIT_CODE = 137
"""128 + SIGKILL, which is how a shell shows what the kernel did."""


@dataclass(frozen=True)
class Ending:
    """How a run ended, in the words of the API."""

    status: Status
    exit_code: int
    signal: str | None = None
    message: str = ""
    """A line for the end of `error`."""


def classify(report: Report, limits: Limits) -> Ending:
    """The ending that a report amounts to.

    The kernel's counter alone proves nothing (a child may have been its victim), nor does exit code 137 (a
    program can choose it). Out of memory is: the counter rose, and the main process died of a SIGKILL that
    was not ours.
    """
    by_signal = _signal_number(report.wait_status)
    if report.stopped is not None and (by_signal == signal.SIGKILL or report.wait_status is None):
        return _stopped(report.stopped, limits)
    assert report.wait_status is not None
    if by_signal == signal.SIGKILL and report.oom_kills:
        return Ending(
            Status.MEMORY,
            OUT_OF_MEMORY_EXIT_CODE,
            "SIGKILL",
            f"Process killed (likely out of memory > {limits.memory_mb}m).",
        )
    if by_signal is not None:
        return Ending(Status.ERROR, 128 + by_signal, _signal_name(by_signal))
    exit_code = os.waitstatus_to_exitcode(report.wait_status)
    return Ending(Status.OK if exit_code == 0 else Status.ERROR, exit_code)


def to_result(
    report: Report,
    limits: Limits,
    *,
    run_id: str,
    language: str,
    queued_ms: float,
    runs_before: int = 0,
    artifacts: Sequence[InlineArtifact | StoredArtifact] = (),
    artifacts_omitted: Sequence[OmittedArtifact] = (),
) -> RunResult:
    """The whole result: the ending, both streams as text, and the files that came."""
    ending, compilation = classify(report, limits), None
    if report.is_of_compiler:
        ending, compilation = _of_compiler(report, ending), _compilation(report, limits)
        report = replace(report, stdout=Captured(), stderr=Captured())
    elif report.before:
        compilation = _compilation(report.before, limits)
    return RunResult(
        id=run_id,
        language=language,
        status=ending.status,
        output=text_of(report.stdout),
        error=_with_last_line(text_of(report.stderr), ending.message),
        exit_code=ending.exit_code,
        signal=ending.signal,
        truncated=bool(report.stdout.dropped_bytes or report.stderr.dropped_bytes),
        output_bytes=report.stdout.written_bytes,
        error_bytes=report.stderr.written_bytes,
        duration_ms=round(report.wall_seconds * 1000, 2),
        cpu_ms=None if report.cpu_seconds is None else round(report.cpu_seconds * 1000, 2),
        memory_kb=report.max_rss_kb,
        queued_ms=round(queued_ms, 2),
        runs_before=runs_before,
        compile=compilation,
        artifacts=tuple(artifacts),
        artifacts_omitted=tuple(artifacts_omitted),
    )


def _of_compiler(report: Report, ending: Ending) -> Ending:
    """The ending of a run whose compiler did not succeed. What it was killed for may have been a part of it."""
    if ending.status is Status.TIMEOUT:
        return replace(ending, message="Compiling took too long.")
    if ending.status is Status.ERROR and report.oom_kills:
        return replace(ending, status=Status.MEMORY, message="Compiling took too much memory.")
    return replace(ending, status=Status.COMPILE_ERROR) if ending.status is Status.ERROR else ending


def _compilation(report: Report, limits: Limits) -> Compilation:
    exit_code, duration_ms = classify(report, limits).exit_code, round(report.wall_seconds * 1000, 2)
    return Compilation(text_of(report.stdout), text_of(report.stderr), exit_code, duration_ms)


def text_of(captured: Captured) -> str:
    """A stream as text: invalid UTF-8 becomes U+FFFD, and a cut never leaves half a character."""
    head = bytes(captured.head)
    if not captured.dropped_bytes:
        return head.decode("utf-8", errors="replace")
    head = head[: len(head) - _incomplete_bytes(head)]
    tail = captured.tail[_continuation_bytes(captured.tail) :]
    mark = f"\n[… {captured.dropped_bytes} bytes dropped …]\n"
    return head.decode("utf-8", errors="replace") + mark + tail.decode("utf-8", errors="replace")


def _incomplete_bytes(data: bytes) -> int:
    """How many bytes at the end begin a UTF-8 character that is not all there (0 to 3)."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return back if needed > back else 0
    return 0


def _continuation_bytes(data: bytes) -> int:
    """How many bytes at the start can only be the rest of a UTF-8 character (0 to 3)."""
    count = 0
    while count < min(3, len(data)) and data[count] & 0xC0 == 0x80:
        count += 1
    return count


def _stopped(reason: str, limits: Limits) -> Ending:
    status = Status(reason)
    messages = {
        Status.TIMEOUT: f"Execution timed out after {limits.timeout_seconds:g} seconds.",
        Status.OUTPUT_LIMIT: f"Stopped after writing more than {_size(limits.output_stop_bytes)} of output.",
        Status.CANCELLED: "Execution cancelled.",
    }
    return Ending(status, STOPPED_EXIT_CODE, None, messages[status])


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def _signal_number(wait_status: int | None) -> int | None:
    if wait_status is None or not os.WIFSIGNALED(wait_status):
        return None
    return os.WTERMSIG(wait_status)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals between SIGRTMIN and SIGRTMAX have no names of their own
        return f"SIG{number}"


def _with_last_line(text: str, line: str) -> str:
    if not line:
        return text
    separator = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{separator}{line}"
