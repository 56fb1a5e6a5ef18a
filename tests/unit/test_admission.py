"""Admission: who runs, who waits, who is refused. No containers; time only where a deadline is the claim."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sandbox.admission import POLL_SECONDS, Admission, Ticket
from sandbox.errors import Busy, Cancelled
from sandbox.models import Caller
from sandbox.settings import load
from sandbox.turns import Batch, Claim

PATIENT = 60.0


def never() -> bool:
    return False


def enter(admission: Admission, address: str, owner: str = "") -> Ticket:
    (ticket,) = admission.enter(Caller(address, owner))
    return ticket


def granted(ticket: Claim) -> bool:
    return ticket.decided.is_set() and not ticket.refusal


def in_background(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


# --- Places -----------------------------------------------------------------------------------------------


def test_no_more_run_at_once_than_there_are_places() -> None:
    admission = Admission(slots=2, queue_size=10, queue_seconds=PATIENT)
    tickets = [enter(admission, "a") for _ in range(5)]
    assert [granted(ticket) for ticket in tickets] == [True, True, False, False, False]
    assert (admission.running, admission.waiting) == (2, 3)


def test_a_place_given_back_goes_to_the_next_in_line() -> None:
    admission = Admission(slots=1, queue_size=10, queue_seconds=PATIENT)
    first, second, third = (enter(admission, "a") for _ in range(3))
    admission.leave(first)
    assert granted(second)
    assert not granted(third)


def test_a_free_place_costs_no_waiting() -> None:
    admission = Admission(slots=1, queue_size=0, queue_seconds=0)
    with enter(admission, "a") as ticket:
        assert ticket.wait(never) < 50


def test_the_time_in_the_queue_is_told_in_milliseconds() -> None:
    admission = Admission(slots=1, queue_size=1, queue_seconds=PATIENT)
    first, second = enter(admission, "a"), enter(admission, "a")
    timer = threading.Timer(0.3, admission.leave, [first])
    timer.start()
    waited = second.wait(never)
    timer.join()
    assert 250 <= waited < 3000


def test_leaving_twice_gives_one_place_back_once() -> None:
    admission = Admission(slots=1, queue_size=10, queue_seconds=PATIENT)
    first, second, third = (enter(admission, "a") for _ in range(3))
    admission.leave(first)
    admission.leave(first)
    assert granted(second)
    assert not granted(third)
    assert admission.running == 1


def test_a_program_that_fails_gives_its_place_back() -> None:
    admission = Admission(slots=1, queue_size=0, queue_seconds=PATIENT)
    with pytest.raises(ZeroDivisionError), enter(admission, "a") as ticket:
        ticket.wait(never)
        raise ZeroDivisionError
    assert admission.running == 0


# --- Fairness ---------------------------------------------------------------------------------------------


def test_free_places_go_round_the_addresses() -> None:
    admission = Admission(slots=1, queue_size=20, queue_seconds=PATIENT)
    running = enter(admission, "noisy")
    waiting = [enter(admission, address) for address in ("noisy", "noisy", "noisy", "quiet", "third", "quiet")]
    order = []
    while waiting:
        admission.leave(running)
        (running,) = (ticket for ticket in waiting if granted(ticket))
        waiting.remove(running)
        order.append(running.batch.address)
    assert order == ["noisy", "quiet", "third", "noisy", "quiet", "noisy"]


def test_an_address_with_fifty_waiting_delays_a_newcomer_by_one_run() -> None:
    admission = Admission(slots=1, queue_size=64, queue_seconds=PATIENT)
    running = enter(admission, "noisy")
    crowd = [enter(admission, "noisy") for _ in range(50)]
    newcomer = enter(admission, "quiet")
    admission.leave(running)
    admission.leave(crowd[0])
    assert granted(newcomer)


def test_the_places_of_an_address_go_round_its_owners() -> None:
    admission = Admission(slots=1, queue_size=20, queue_seconds=PATIENT)
    running = enter(admission, "school", "ada")
    waiting = [enter(admission, "school", owner) for owner in ("ada", "ada", "ada", "bob", "cy", "bob")]
    waiting.append(enter(admission, "home", "dan"))
    order = []
    while waiting:
        admission.leave(running)
        (running,) = (ticket for ticket in waiting if granted(ticket))
        waiting.remove(running)
        order.append(running.batch.owner)
    assert order == ["ada", "dan", "bob", "cy", "ada", "bob", "ada"]


def test_fifty_owners_at_one_address_delay_another_by_one_run() -> None:
    admission = Admission(slots=1, queue_size=64, queue_seconds=PATIENT)
    running = enter(admission, "noisy")
    crowd = [enter(admission, f"2001:db8::{number}", f"page:{number}") for number in range(50)]
    newcomer = enter(admission, "2001:db8:0:1::1", "page:newcomer")
    admission.leave(running)
    admission.leave(crowd[0])
    assert granted(newcomer)


def test_an_owner_has_a_share_of_each_address_he_comes_from() -> None:
    admission = Admission(slots=1, queue_size=20, queue_seconds=PATIENT)
    running = enter(admission, "home", "key:ada")
    crowd = [enter(admission, "home", "key:ada") for _ in range(5)]
    elsewhere = enter(admission, "school", "key:ada")
    admission.leave(running)
    admission.leave(crowd[0])
    assert granted(elsewhere)


# --- Memory -----------------------------------------------------------------------------------------------


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


# --- Giving up --------------------------------------------------------------------------------------------


def test_the_deadline_ends_the_waiting() -> None:
    admission = Admission(slots=1, queue_size=5, queue_seconds=0.3)
    enter(admission, "a")
    late = enter(admission, "a")
    started = time.monotonic()
    with pytest.raises(Busy), late:
        late.wait(never)
    assert 0.25 <= time.monotonic() - started < 2
    assert (admission.running, admission.waiting) == (1, 0)


def test_a_place_that_comes_free_at_the_deadline_is_not_lost() -> None:
    admission = Admission(slots=1, queue_size=5, queue_seconds=0)
    first, lucky = enter(admission, "a"), enter(admission, "a")

    def frees_the_place() -> bool:
        admission.leave(first)
        return False

    with lucky:
        lucky.wait(frees_the_place)
        assert admission.running == 1
    assert admission.running == 0


def test_a_caller_that_went_away_leaves_the_queue() -> None:
    admission = Admission(slots=1, queue_size=5, queue_seconds=PATIENT)
    first = enter(admission, "a")
    vanished, patient = enter(admission, "a"), enter(admission, "b")
    started = time.monotonic()
    with pytest.raises(Cancelled), vanished:
        vanished.wait(lambda: True)
    assert time.monotonic() - started < POLL_SECONDS * 10
    assert admission.waiting == 1
    admission.leave(first)
    assert granted(patient)
    assert admission.running == 1


# --- The end ----------------------------------------------------------------------------------------------


def test_closing_refuses_those_who_wait_and_lets_those_who_run_finish() -> None:
    admission = Admission(slots=1, queue_size=5, queue_seconds=PATIENT)
    running, waiting = enter(admission, "a"), enter(admission, "b")
    admission.close()
    with pytest.raises(Busy, match="shutting down"), waiting:
        waiting.wait(never)
    with pytest.raises(Busy, match="shutting down"):
        enter(admission, "c")
    assert not admission.wait_idle(0.01)
    leaver = in_background(lambda: admission.leave(running))
    assert admission.wait_idle(5)
    leaver.join()


def test_closing_lets_a_batch_that_has_begun_go_on() -> None:
    admission = Admission(slots=1, queue_size=5, queue_seconds=PATIENT)
    first, second = admission.enter(Caller("a"), [0] * 2)
    admission.close()
    admission.leave(first)
    assert granted(second)
    assert not admission.wait_idle(0.01)
    admission.leave(second)
    assert admission.wait_idle(0)


# --- All of it, in any order ------------------------------------------------------------------------------


Name = str | tuple[str, str]


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


def test_an_address_keeps_its_turn_when_one_of_its_owners_makes_room_for_another() -> None:
    admission = Admission(slots=2, queue_size=6, queue_seconds=PATIENT)
    long = admission.enter(Caller("b", "y"), [0] * 4)
    heavy = admission.enter(Caller("a", "x"), [0] * 4)
    admission.leave(long[0])
    (light,) = admission.enter(Caller("a", "z"), [0] * 2)[:1]
    assert all(ticket.refusal for ticket in heavy)
    admission.leave(long[1])
    assert granted(light)


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order, the books balance, nobody is passed over, and no place lies idle."""

    spare = 0
    total_mb = math.inf
    """Of programs that take from 1 to 10 MB."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(
            slots=2, queue_size=6, queue_seconds=PATIENT, spare=self.spare, total_mb=self.total_mb
        )
        self.tickets: list[Ticket] = []
        self.begun: list[Claim] = []
        """Those whose turn came since this was last looked at, in order: a large program leaves room for several."""
        begin = self.admission._begin
        self.admission._begin = lambda ticket: begin(ticket) or self.begun.append(ticket)  # type: ignore[method-assign]
        self.waited: set[Ticket] = set()
        """Those that waited when this was last looked at."""
        self.passed: dict[Name, Counter[Name]] = {}
        """Address or owner -> how many places others got since it waits or had one."""

    @rule(
        address=st.sampled_from("ab"),
        owner=st.sampled_from(["", "x", "y", "z"]),
        sizes_mb=st.lists(st.integers(1, 10), min_size=1, max_size=4),
    )
    def newcomer(self, address: str, owner: str, sizes_mb: list[int]) -> None:
        decided = [ticket for ticket in self.tickets if ticket.decided.is_set()]
        before = waiting(self.tickets)
        try:
            tickets = self.admission.enter(Caller(address, owner), sizes_mb)
        except Busy:
            assert [ticket for ticket in self.tickets if ticket.decided.is_set()] == decided
            return
        self.tickets += tickets
        mine, after = tickets[0].batch, waiting(self.tickets)
        for victim in {ticket.batch for ticket in before - after if ticket.refusal}:
            own = victim.address == mine.address
            assert victim.share != mine.share
            assert share(before, victim, own) > share(after, mine, own), "of somebody who had no more"
        others = {ticket for ticket in before - after if not ticket.refusal}
        assert others <= {*self.begun} and (not others or self.total_mb < math.inf), "whom a large victim held up"

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def leaver(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.tickets))
        self.admission.leave(ticket)
        self.tickets.remove(ticket)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def deadline(self, data: st.DataObject) -> None:
        self.admission.expire(data.draw(st.sampled_from(self.tickets)).batch)

    @rule()
    def forget_those_who_are_through(self) -> None:
        for ticket in [ticket for ticket in self.tickets if ticket.refusal]:
            self.admission.leave(ticket)
            self.tickets.remove(ticket)

    @invariant()
    def the_books_balance(self) -> None:
        admission = self.admission
        queued = [*admission._queue]
        assert 0 <= admission.running <= admission.slots + self.spare
        assert 0 <= admission.waiting <= admission.queue_size
        assert admission.waiting == len(queued) == len(set(queued))
        assert set(queued) == waiting(self.tickets)
        assert all(owners and all(owners.values()) for owners in admission._queue._addresses.values())
        assert all(granted(ticket) for ticket in admission._running)
        assert not any(ticket.refusal and ticket.batch.has_begun for ticket in self.tickets)
        assert not any(
            {bool(t.refusal) for t in ticket.batch.tickets if t in self.tickets} == {True, False}
            for ticket in self.tickets
        ), "a batch was refused in part"
        assert sum(ticket.size_mb for ticket in admission._running) <= self.total_mb
        if (first := admission._queue.next_of_others()) and admission.running < admission.slots:
            assert first.size_mb > admission.free_mb, "a place lies idle"

    @invariant()
    def nobody_is_passed_over_twice(self) -> None:
        """While an address, or an owner at it, waits, each other one gets at most one place before its own."""
        came = [ticket for ticket in self.begun if ticket in self.waited]
        self.begun.clear()
        names = {name for ticket in self.waited for name in (ticket.batch.address, ticket.batch.share)}
        for ticket in came:
            address, owner = ticket.batch.share
            for name in names - {address, ticket.batch.share}:
                if isinstance(name, str):
                    self.passed.setdefault(name, Counter())[address] += 1
                elif name[0] == address:
                    self.passed.setdefault(name, Counter())[address, owner] += 1
            self.passed.pop(address, None)
            self.passed.pop(ticket.batch.share, None)
        self.waited = waiting(self.tickets)
        names = {name for ticket in self.waited for name in (ticket.batch.address, ticket.batch.share)}
        self.passed = {name: others for name, others in self.passed.items() if name in names}
        assert all(count <= 1 for others in self.passed.values() for count in others.values())


def waiting(tickets: list[Ticket]) -> set[Ticket]:
    return {ticket for ticket in tickets if not ticket.decided.is_set()}


def share(tickets: set[Ticket], batch: Batch, of_owner: bool) -> int:
    """How many of these are the owner's of a batch, or its address's."""
    return sum(
        ticket.batch.share == batch.share if of_owner else ticket.batch.address == batch.address for ticket in tickets
    )


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None)


class WithASpare(AnyOrder):
    """The same with a spare place, but for whom it passes over."""

    spare = 1

    @invariant()
    def nobody_is_passed_over_twice(self) -> None:
        shares = Counter(ticket.batch.share for ticket in self.admission._running)
        if self.admission.running > self.admission.slots:
            assert min(shares.values()) == 1, "somebody runs nothing but this"
        if self.admission.running == self.admission.slots:
            assert all(ticket.batch.share in shares for ticket in self.admission._queue), "a spare place lies idle"


TestWithASpare = WithASpare.TestCase
TestWithASpare.settings = TestAnyOrder.settings


class WithLittleMemory(AnyOrder):
    """The same where two programs fit, or one: then, too, nobody is passed over, and it is never more than there is."""

    total_mb = 12


TestWithLittleMemory = WithLittleMemory.TestCase
TestWithLittleMemory.settings = TestAnyOrder.settings


class WithASpareAndLittleMemory(WithASpare):
    """A spare place is only one where there is memory for it."""

    total_mb = 16

    @invariant()
    def nobody_is_passed_over_twice(self) -> None:
        if self.admission.running > self.admission.slots:
            assert min(Counter(ticket.batch.share for ticket in self.admission._running).values()) == 1


TestWithASpareAndLittleMemory = WithASpareAndLittleMemory.TestCase
TestWithASpareAndLittleMemory.settings = TestAnyOrder.settings


def test_every_place_comes_back_exactly_once_under_concurrency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.admission.POLL_SECONDS", 0.01)
    admission = Admission(slots=3, queue_size=16, queue_seconds=0.25)
    running, most, lock = 0, 0, threading.Lock()

    def visit(number: int) -> str:
        nonlocal running, most
        dice = random.Random(number)
        try:
            ticket = enter(admission, f"address {number % 2}", f"owner {number % 4}")
            with ticket:
                ticket.wait(lambda: dice.random() < 0.5)
                with lock:
                    running += 1
                    most = max(most, running)
                time.sleep(dice.random() * 0.005)
                with lock:
                    running -= 1
                return "ran"
        except (Busy, Cancelled) as refusal:
            time.sleep(dice.random() * 0.02)
            return type(refusal).__name__

    with ThreadPoolExecutor(24) as callers:
        outcomes = list(callers.map(visit, range(600)))
    assert most == 3
    assert set(outcomes) == {"ran", "Busy", "Cancelled"}
    assert (admission.running, admission.waiting) == (0, 0)
    assert all(granted(enter(admission, "last")) for _ in range(3)), "a place was lost"
