"""Admission: who waits for memory, and who has a spare place."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.admission import Admission
from sandbox.errors import Busy
from sandbox.models import Caller
from sandbox.settings import load
from tests.turns import PATIENT, enter, granted


def test_what_runs_together_takes_no_more_memory_than_there_is() -> None:
    admission = Admission(slots=5, queue_size=10, queue_seconds=PATIENT, total_mb=1000)
    small, large, last = (admission.enter(Caller("a"), [size_mb])[0] for size_mb in (400, 600, 1))
    assert [granted(ticket) for ticket in (small, large, last)] == [True, True, False]
    admission.leave(small)
    assert granted(last)


def test_a_large_program_waits_at_the_head_and_small_ones_do_not_pass_it() -> None:
    admission = Admission(slots=5, queue_size=10, queue_seconds=PATIENT, spare=1, total_mb=1000)
    running = admission.enter(Caller("a"), [300, 300, 300])
    (large,) = admission.enter(Caller("b"), [600])
    small = [admission.enter(Caller(address), [100])[0] for address in "cd"]
    for ticket in running:
        assert not any(map(granted, (large, *small)))
        admission.leave(ticket)
        if granted(large):
            break
    assert granted(large) and ticket is running[1], "as soon as there is memory enough"
    assert [granted(each) for each in small] == [True, False]


@pytest.mark.parametrize("gives_up", ["leave", "expire"])
def test_those_behind_a_large_program_that_gives_up_need_not_wait_any_longer(gives_up: str) -> None:
    admission = Admission(slots=5, queue_size=10, queue_seconds=PATIENT, total_mb=1000)
    enter(admission, "a")
    admission.enter(Caller("a"), [600])
    (large,) = admission.enter(Caller("b"), [600])
    (small,) = admission.enter(Caller("c"), [100])
    assert not granted(small)
    if gives_up == "leave":
        admission.leave(large)
    else:
        admission.expire(large.batch)
    assert granted(small)


def test_a_program_that_is_larger_than_all_memory_runs_alone() -> None:
    admission = Admission(slots=5, queue_size=10, queue_seconds=PATIENT, total_mb=100)
    large, small = (admission.enter(Caller("a"), [size_mb])[0] for size_mb in (200, 1))
    assert granted(large) and not granted(small)
    admission.leave(large)
    assert granted(small)


def test_programs_that_wait_for_memory_take_room_in_the_queue() -> None:
    admission = Admission(slots=5, queue_size=2, queue_seconds=PATIENT, total_mb=1000)
    enter(admission, "a")
    admission.enter(Caller("a"), [1000])
    with pytest.raises(Busy):
        admission.enter(Caller("b"), [500, 500, 500])
    assert [granted(ticket) for ticket in admission.enter(Caller("b"), [500, 500])] == [False, False]
    with pytest.raises(Busy):
        admission.enter(Caller("b"), [1])


def test_the_usual_program_fits_however_little_memory_there_is(tmp_path: Path) -> None:
    assert Admission.of(load(data_dir=tmp_path, containers_mb=100)).total_mb == 128
    assert Admission.of(load(data_dir=tmp_path, containers_mb=100, max_concurrent_runs=4)).total_mb == 512
    assert Admission.of(load(data_dir=tmp_path, containers_mb=4000, max_concurrent_runs=4)).total_mb == 4000


# --- Spare places -----------------------------------------------------------------------------------------


def test_a_spare_place_is_for_an_owner_who_runs_nothing() -> None:
    admission = Admission(slots=1, queue_size=6, queue_seconds=PATIENT, spare=1)
    (first,) = admission.enter(Caller("a", "x"))
    (second,) = admission.enter(Caller("a", "x"))
    assert granted(first) and not granted(second), "one's own programs never take it"
    (other,) = admission.enter(Caller("a", "y"))
    assert granted(other), "he need not wait for the program of another"
    (third,) = admission.enter(Caller("b", "z"))
    assert not granted(third)
    admission.leave(other)
    assert granted(third) and not granted(second)
    admission.leave(first)
    assert granted(second), "now he runs nothing"


def test_a_spare_place_that_nobody_may_have_waits_for_a_newcomer() -> None:
    admission = Admission(slots=1, queue_size=6, queue_seconds=PATIENT, spare=1)
    batch = admission.enter(Caller("a", "x"), [0] * 3)
    assert [granted(ticket) for ticket in batch] == [True, False, False]
    (newcomer,) = admission.enter(Caller("a", "y"))
    assert granted(newcomer)
