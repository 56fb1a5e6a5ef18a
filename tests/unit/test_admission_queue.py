"""Admission: who waits when the queue is full, and what is done with batches."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.admission import Admission, Ticket
from sandbox.errors import Busy
from sandbox.models import Caller
from tests.turns import PATIENT, enter, granted, never

# --- A full queue -----------------------------------------------------------------------------------------


def test_a_full_queue_refuses_at_once_and_says_when_to_return() -> None:
    admission = Admission(slots=1, queue_size=2, queue_seconds=PATIENT)
    for _ in range(3):
        enter(admission, "a")
    started = time.monotonic()
    with pytest.raises(Busy) as refusal:
        enter(admission, "a")
    assert time.monotonic() - started < 0.1
    assert refusal.value.retry_after_seconds >= 1


def test_without_a_queue_only_free_places_are_given() -> None:
    admission = Admission(slots=1, queue_size=0, queue_seconds=PATIENT)
    first = enter(admission, "a")
    with pytest.raises(Busy):
        enter(admission, "b")
    admission.leave(first)
    assert granted(enter(admission, "b"))


def test_a_newcomer_gets_the_room_of_the_address_that_has_most() -> None:
    admission = Admission(slots=1, queue_size=4, queue_seconds=PATIENT)
    enter(admission, "noisy")
    noisy = [enter(admission, "noisy") for _ in range(3)]
    other = enter(admission, "other")
    newcomer = enter(admission, "quiet")
    assert [ticket.decided.is_set() for ticket in (*noisy, other, newcomer)] == [False, False, True, False, False]
    assert admission.waiting == 4
    with pytest.raises(Busy, match="Other callers"):
        noisy[2].wait(never)


def test_addresses_with_equal_shares_do_not_push_each_other_out() -> None:
    admission = Admission(slots=1, queue_size=2, queue_seconds=PATIENT)
    enter(admission, "a")
    queued = [enter(admission, address) for address in ("a", "b")]
    with pytest.raises(Busy):
        enter(admission, "c")
    assert not any(ticket.decided.is_set() for ticket in queued)


def test_a_newcomer_gets_the_room_of_an_owner_at_his_own_address_who_has_more() -> None:
    admission = Admission(slots=1, queue_size=4, queue_seconds=PATIENT)
    enter(admission, "school", "ada")
    ada = [enter(admission, "school", "ada") for _ in range(3)]
    bob, newcomer = enter(admission, "school", "bob"), enter(admission, "school", "cy")
    assert [ticket.decided.is_set() for ticket in (*ada, bob, newcomer)] == [False, False, True, False, False]
    with pytest.raises(Busy):
        enter(admission, "school", "bob")  # he would have as many as ada has left
    assert not any(ticket.decided.is_set() for ticket in (*ada[:2], bob, newcomer))


def test_many_owners_do_not_keep_a_full_queue_for_their_address() -> None:
    admission = Admission(slots=1, queue_size=4, queue_seconds=PATIENT)
    enter(admission, "noisy")
    crowd = [enter(admission, "noisy", f"page:{number}") for number in range(4)]
    newcomer = enter(admission, "quiet", "page:quiet")
    assert [ticket.decided.is_set() for ticket in (*crowd, newcomer)] == [False, False, False, True, False]
    with pytest.raises(Busy):
        enter(admission, "noisy", "page:5")


def test_the_heaviest_address_makes_room_before_an_owner_at_ones_own() -> None:
    admission = Admission(slots=1, queue_size=6, queue_seconds=PATIENT)
    enter(admission, "noisy")
    noisy = [enter(admission, "noisy") for _ in range(4)]
    ada = [enter(admission, "school", "ada") for _ in range(2)]
    enter(admission, "school", "bob")
    assert [ticket.decided.is_set() for ticket in (*noisy, *ada)] == [False, False, False, True, False, False]


# --- Batches ----------------------------------------------------------------------------------------------


def test_a_batch_larger_than_the_places_does_not_block_itself() -> None:
    admission = Admission(slots=1, queue_size=10, queue_seconds=PATIENT)
    tickets = admission.enter(Caller("a"), [0] * 5)

    def run_one(ticket: Ticket) -> float:
        with ticket:
            return ticket.wait(never)

    with ThreadPoolExecutor(5) as workers:
        waited = list(workers.map(run_one, reversed(tickets)))
    assert len(waited) == 5
    assert (admission.running, admission.waiting) == (0, 0)


@pytest.mark.parametrize(("count", "fits"), [(5, True), (6, True), (7, False)])
def test_a_batch_is_taken_whole_or_not_at_all(count: int, fits: bool) -> None:
    admission = Admission(slots=2, queue_size=4, queue_seconds=PATIENT)
    if fits:
        assert len(admission.enter(Caller("a"), [0] * count)) == count
        assert admission.running + admission.waiting == count
    else:
        with pytest.raises(Busy):
            admission.enter(Caller("a"), [0] * count)
        assert (admission.running, admission.waiting) == (0, 0)


def test_a_batch_that_does_not_fit_pushes_nobody_out() -> None:
    admission = Admission(slots=1, queue_size=6, queue_seconds=PATIENT)
    enter(admission, "noisy")
    queued = [enter(admission, address) for address in ["noisy"] * 5 + ["other"]]
    with pytest.raises(Busy):
        admission.enter(
            Caller("quiet"), [0] * 3
        )  # one of noisy's would do for the first, but there are not three to be had
    assert not any(ticket.decided.is_set() for ticket in queued)
    assert admission.waiting == 6


def test_a_batch_that_has_begun_keeps_its_places_in_the_queue() -> None:
    admission = Admission(slots=1, queue_size=3, queue_seconds=0.2)
    tickets = admission.enter(Caller("a"), [0] * 4)

    def run_one(ticket: Ticket) -> None:
        with ticket:
            ticket.wait(never)
            time.sleep(0.15)

    with ThreadPoolExecutor(5) as workers:
        runs = [workers.submit(run_one, ticket) for ticket in tickets]
        time.sleep(0.05)
        with pytest.raises(Busy):
            enter(admission, "quiet")  # three wait, and none of them may be pushed out
    assert [run.exception() for run in runs] == [None] * 4


def test_a_batch_whose_turn_has_not_come_is_refused_whole() -> None:
    admission = Admission(slots=1, queue_size=10, queue_seconds=0.1)
    enter(admission, "other")
    batch = admission.enter(Caller("a"), [0] * 3)
    with pytest.raises(Busy, match="in time"):
        batch[1].wait(never)
    assert all(ticket.refusal for ticket in batch)
    assert admission.waiting == 0


def test_a_newcomer_takes_the_room_of_a_whole_batch_and_no_more() -> None:
    admission = Admission(slots=1, queue_size=7, queue_seconds=PATIENT)
    enter(admission, "noisy")
    older, newer, single = (admission.enter(Caller("noisy"), [0] * count) for count in (3, 3, 1))
    admission.leave(newer[0])  # as if that one alone had been given up
    newcomer = admission.enter(Caller("quiet"), [0] * 3)
    assert [ticket.decided.is_set() for ticket in older] == [False] * 3
    assert all(ticket.refusal for ticket in (*newer[1:], *single))
    assert not any(ticket.decided.is_set() for ticket in newcomer)
    assert admission.waiting == 6


def test_an_address_keeps_its_turn_when_one_of_its_owners_makes_room_for_another() -> None:
    admission = Admission(slots=2, queue_size=6, queue_seconds=PATIENT)
    long = admission.enter(Caller("b", "y"), [0] * 4)
    heavy = admission.enter(Caller("a", "x"), [0] * 4)
    admission.leave(long[0])
    (light,) = admission.enter(Caller("a", "z"), [0] * 2)[:1]
    assert all(ticket.refusal for ticket in heavy)
    admission.leave(long[1])
    assert granted(light)
