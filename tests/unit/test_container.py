"""A run in a container, by the rules of the protocol."""

from __future__ import annotations

import struct
import time
from dataclasses import replace

import pytest

from sandbox.engine.client import ENVIRONMENT
from sandbox.errors import InvalidArchive
from sandbox.models import Stream
from tests.unit.fake_container import ORDER, Log, Start, run, with_limits
from tests.unit.fake_container import impatient as impatient
from tests.unit.fake_container import start as start

# --- By the rules -----------------------------------------------------------------------------------------


def test_a_run_hands_over_the_order_and_returns_the_report(start: Start) -> None:
    container = start("ready(); parts = order(); send(b'S'); send(b'O', repr(parts).encode()); done(wait_status=256)")
    container.wait_ready()
    report = run(container)
    assert eval(bytes(report.stdout.head)) == [
        (b"R", struct.pack(">???BI", True, False, False, 1, 0)),
        (b"N", b"user_code.py\0"),
        (b"P", ORDER.payload),
        (b"I", b"input"),
        (b"G", struct.pack(">IQI", 0, 0, 20)),
        (b"L", struct.pack(">dqq", 0.3, 1000, 10_000)),
        (b"A", b"python3\0/app/user_code.py\0"),
        (b"V", b"A=b\0C=\0"),
        (b"W", b"/app"),
    ]
    assert (report.wait_status, report.stopped, report.cpu_seconds, report.max_rss_kb) == (256, None, 0.25, 1000)


# --- What the client says ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENT)
@pytest.mark.parametrize("given", [None, "50"])
def test_the_client_is_told_to_be_frugal_unless_told_otherwise(
    start: Start, monkeypatch: pytest.MonkeyPatch, name: str, given: str | None
) -> None:
    monkeypatch.delenv(name, raising=False)
    if given:
        monkeypatch.setenv(name, given)
    report = run(start(f"order(); send(b'S'); send(b'O', os.environ['{name}'].encode()); done()"))
    assert bytes(report.stdout.head) == (given or ENVIRONMENT[name]).encode()


def test_a_cold_container_need_not_be_waited_for(start: Start) -> None:
    assert run(start("ready(); order(); send(b'S'); done()")).wait_status == 0


def test_output_is_called_back_in_order_after_the_start(start: Start) -> None:
    log = Log()
    report = run(start("order(); send(b'S'); send(b'O', b'1'); send(b'E', b'2'); send(b'O', b'3'); done()"), log)
    assert log.told() == ["started", (Stream.STDOUT, b"1"), (Stream.STDERR, b"2"), (Stream.STDOUT, b"3")]
    assert (bytes(report.stdout.head), bytes(report.stderr.head)) == (b"13", b"2")


def test_the_tail_after_a_gap_is_kept_apart(start: Start) -> None:
    script = """
order(); send(b'S'); send(b'O', b'head'); send(b'o', b'tail'); send(b'e', b'end')
done(dropped_stdout=7, dropped_stderr=9)
"""
    report = run(start(script))
    assert (bytes(report.stdout.head), report.stdout.tail, report.stdout.dropped_bytes) == (b"head", b"tail", 7)
    assert (bytes(report.stderr.head), report.stderr.tail, report.stderr.dropped_bytes) == (b"", b"end", 9)


def test_output_arrives_while_the_program_runs(start: Start) -> None:
    log, at = Log(), []
    log.on_output = lambda stream, data: at.append(time.monotonic())  # type: ignore[method-assign]
    run(start("order(); send(b'S'); send(b'O', b'x'); time.sleep(0.2); done()"), log)
    assert time.monotonic() - at[0] > 0.15


def test_frames_may_arrive_in_any_pieces(start: Start) -> None:
    script = """
data = b"".join(struct.pack(">cI", k, len(p)) + p for k, p in [(b"S", b""), (b"O", b"abc"), (b"E", b"d")])
order()
for byte in data:
    os.write(1, bytes([byte])); time.sleep(0.002)
done()
"""
    assert bytes(run(start(script)).stdout.head) == b"abc"


def test_a_large_frame_arrives_whole(start: Start) -> None:
    order = with_limits(output_bytes=5_000_000)
    report = run(start("order(); send(b'S'); send(b'O', b'x' * 5_000_000); done()"), order=order)
    assert len(report.stdout.head) == 5_000_000


def test_a_large_order_reaches_a_slow_reader(start: Start) -> None:
    order = replace(ORDER, payload=b"x" * 5_000_000)
    report = run(
        start("time.sleep(0.3); size = len(order()[2][1]); send(b'S'); send(b'O', b'%d' % size); done()"), order=order
    )
    assert bytes(report.stdout.head) == b"5000000"


def test_an_archive_found_damaged_inside_is_the_callers_fault(start: Start) -> None:
    with pytest.raises(InvalidArchive) as caught:
        run(start("""order(); send(b'X', b'corrupt_archive')"""))
    assert caught.value.code == "corrupt_archive"


def test_files_that_were_found_small_enough_lack_memory(start: Start) -> None:
    with pytest.raises(InvalidArchive, match="128 MiB") as caught:
        run(start("""order(); send(b'X', b'archive_too_large')"""))
    assert caught.value.code == "memory_too_small"


def test_a_caller_that_goes_away_stops_the_program(start: Start) -> None:
    log = Log()
    log.stop = True
    report = run(start("order(); send(b'S'); done(stopped={b'K': b'cancelled'}[receive()[0]], wait_status=9)"), log)
    assert report.stopped == "cancelled"


def test_a_silent_run_asks_about_its_caller_several_times_a_second(start: Start) -> None:
    log = Log()
    run(start("order(); send(b'S'); time.sleep(0.6); done()"), log)
    assert 3 <= log.events.count("asked") <= 20
