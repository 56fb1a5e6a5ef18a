"""Admission: who waits for memory, and who has a spare place."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.admission import Admission, Ticket
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


def of_2560_mb(tmp_path: Path) -> Admission:
    return Admission.of(load(data_dir=tmp_path, containers_mb=2560, cpus=0.1, queue_size=64))


def test_an_owner_who_runs_nothing_need_not_wait_for_one_who_has_all_the_memory(tmp_path: Path) -> None:
    admission = of_2560_mb(tmp_path)
    greedy = [admission.enter(Caller("a", "greedy"), [512])[0] for _ in range(5)]
    assert [granted(ticket) for ticket in greedy] == [True] * 4 + [False]
    (usual,) = admission.enter(Caller("a", "other"), [128])
    assert granted(usual), "though it is not his turn"
    (third,) = admission.enter(Caller("b", "third"), [128])
    assert not granted(third), "there is one such place"
    admission.leave(usual)
    assert granted(third) and not granted(greedy[4])


def test_whoever_passes_has_only_the_memory_of_the_spare_place(tmp_path: Path) -> None:
    admission = of_2560_mb(tmp_path)
    admission.enter(Caller("a", "greedy"), [512] * 5)
    (larger,) = admission.enter(Caller("b", "larger"), [129])
    (smaller,) = admission.enter(Caller("c", "smaller"), [64])
    assert not granted(larger) and granted(smaller)
    (second,) = admission.enter(Caller("d", "second"), [64])
    assert not granted(second)


def test_the_spare_place_has_the_memory_that_the_languages_of_the_packs_are_given(tmp_path: Path) -> None:
    assert of_2560_mb(tmp_path).spare_mb == 128
    assert Admission.of(load(data_dir=tmp_path, containers_mb=2560, packs="scripts science")).spare_mb == 256
    assert Admission.of(load(data_dir=tmp_path, containers_mb=400, packs="science")).spare_mb == 200
    assert Admission.of(load(data_dir=tmp_path, containers_mb=2560, max_concurrent_runs=4)).spare == 0


@pytest.mark.parametrize("containers_mb", [64, 128, 255, 256, 300])
def test_a_program_that_needs_all_memory_runs_when_nothing_else_does(tmp_path: Path, containers_mb: int) -> None:
    settings = load(data_dir=tmp_path, containers_mb=containers_mb, max_memory_mb=512)
    admission = Admission.of(settings)
    small = enter_mb(admission, "b", 32)
    all_of_it = enter_mb(admission, "a", settings.most.memory_mb)
    newcomer = enter_mb(admission, "c", 32)
    assert granted(small) and not granted(all_of_it)
    assert not granted(newcomer), "else those who pass would keep it waiting for ever"
    admission.leave(small)
    assert granted(all_of_it) and not granted(newcomer)
    admission.leave(all_of_it)
    assert granted(newcomer)


def test_those_who_pass_come_from_each_address_in_turn() -> None:
    admission = Admission(5, 64, PATIENT, spare=1, spare_mb=100, total_mb=1000)
    enter_mb(admission, "greedy", 900)
    enter_mb(admission, "large", 900)
    passer = enter_mb(admission, "crowd 0", 100)
    waiting = [admission.enter(Caller("crowd", f"page:{number}"), [100])[0] for number in range(3)]
    waiting += [enter_mb(admission, address, 100) for address in ("quiet", "third")]
    order = []
    while waiting:
        admission.leave(passer)
        (passer,) = (ticket for ticket in waiting if granted(ticket))
        waiting.remove(passer)
        order.append(passer.batch.address)
    assert order == ["crowd", "quiet", "third", "crowd", "crowd"]


def test_who_passes_at_his_address_leaves_a_large_program_its_turn() -> None:
    admission = Admission(5, 64, PATIENT, spare=1, spare_mb=100, total_mb=1000)
    running = enter_mb(admission, "greedy", 900)
    (large,) = admission.enter(Caller("school", "ada"), [900])
    enter_mb(admission, "elsewhere", 900)
    (passer,) = admission.enter(Caller("school", "bob"), [100])
    assert granted(passer)
    admission.leave(running)
    assert granted(large)


def test_the_spare_place_is_had_without_a_queue_too() -> None:
    admission = Admission(5, 0, PATIENT, spare=1, spare_mb=100, total_mb=1000)
    enter_mb(admission, "greedy", 900)
    with pytest.raises(Busy):
        enter_mb(admission, "greedy", 100)
    assert granted(enter_mb(admission, "newcomer", 100))
    with pytest.raises(Busy):
        enter_mb(admission, "third", 100)


def enter_mb(admission: Admission, address: str, size_mb: int) -> Ticket:
    (ticket,) = admission.enter(Caller(address), [size_mb])
    return ticket
