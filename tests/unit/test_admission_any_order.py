"""Admission: what holds whatever happens in whatever order."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sandbox.admission import Admission, Ticket
from sandbox.errors import Busy
from sandbox.models import Caller
from sandbox.turns import Batch, Claim
from tests.turns import PATIENT, granted

Name = str | tuple[str, str]


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order, the books balance, nobody is passed over, and no place lies idle."""

    slots = 2
    spare, spare_mb = 0, 0
    total_mb = math.inf
    """Of programs that take from 1 to 10 MB."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(
            self.slots, 6, PATIENT, spare=self.spare, spare_mb=self.spare_mb, total_mb=self.total_mb
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
            assert first.size_mb > admission.free_mb - self.kept_mb(first), "a place lies idle"

    def kept_mb(self, first: Claim) -> float:
        """Memory that this program, whose turn it is, is not given."""
        return 0

    def teardown(self) -> None:
        while self.admission.waiting:
            assert self.admission.running, "nobody runs, and still they wait"
            self.admission.leave(oldest(self.admission))
            self.the_books_balance()

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


def oldest(admission: Admission) -> Ticket:
    """Of those that run."""
    running = [ticket for ticket in admission._running if isinstance(ticket, Ticket)]
    return min(running, key=lambda ticket: ticket.batch.entered_at)


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


class WithMemoryForTheSpare(AnyOrder):
    """A spare place with memory of its own: an owner who runs nothing has that at once, and takes nobody's turn."""

    slots = 12
    spare, spare_mb = 1, 4
    total_mb = 20
    shared_mb = 16

    def kept_mb(self, first: Claim) -> float:
        running = self.admission._running
        return self.spare_mb - sum(ticket.size_mb for ticket in running if ticket.has_spare_mb)

    @invariant()
    def the_spare_place_is_had_at_once(self) -> None:
        running = self.admission._running
        having = [ticket for ticket in running if ticket.has_spare_mb]
        assert len(having) <= 1 and all(ticket.size_mb <= self.spare_mb for ticket in having)
        if not having and (first := self.admission._queue.next_of_others()) and first.size_mb <= self.shared_mb:
            busy = {ticket.batch.share for ticket in running}
            nexts = {ticket.batch.share: ticket for ticket in reversed([*self.admission._queue])}
            idle = [
                ticket for share_, ticket in nexts.items() if share_ not in busy and ticket.size_mb <= self.spare_mb
            ]
            assert not idle or self.admission.free_mb < self.spare_mb, "the spare place lies idle"
            if all(ticket.size_mb <= self.shared_mb for ticket in running):
                assert self.admission.free_mb >= self.spare_mb, "others have its memory"

    @invariant()
    def nobody_is_passed_over_twice(self) -> None:
        self.begun = [ticket for ticket in self.begun if not ticket.has_spare_mb]
        super().nobody_is_passed_over_twice()


TestWithMemoryForTheSpare = WithMemoryForTheSpare.TestCase
TestWithMemoryForTheSpare.settings = TestAnyOrder.settings


class WithLittleMemoryForTheSpare(WithMemoryForTheSpare):
    """The same where some programs need that memory, too: they have it in their turn."""

    total_mb = 12
    shared_mb = 8

    def kept_mb(self, first: Claim) -> float:
        return 0 if first.size_mb > self.shared_mb else super().kept_mb(first)


TestWithLittleMemoryForTheSpare = WithLittleMemoryForTheSpare.TestCase
TestWithLittleMemoryForTheSpare.settings = TestAnyOrder.settings


@given(
    sizes_mb=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    large_mb=st.integers(1, 12),
    passers=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=30, max_size=30),
)
def test_a_stream_of_those_who_pass_keeps_nobody_from_his_turn(
    sizes_mb: list[int], large_mb: int, passers: list[tuple[str, int]]
) -> None:
    admission = Admission(12, 100, PATIENT, spare=1, spare_mb=4, total_mb=12)
    admission.enter(Caller("a", "first"), sizes_mb)
    (large,) = admission.enter(Caller("b", "large"), [large_mb])
    for number, (address, size_mb) in enumerate(passers):
        admission.enter(Caller(address, f"passer {number}"), [size_mb])
        if granted(large):
            return
        admission.leave(oldest(admission))
    assert granted(large)
