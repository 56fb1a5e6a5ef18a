"""Who runs now, who waits, who is refused. Knows threads and time; knows nothing of containers.

A *place* is the right to run one program. There are `slots` of them. Whoever finds none free waits in the
queue, and free places go round the addresses in turn and, within one, round its owners: an address with fifty
waiting runs delays one with a single run by one run, however many owners the fifty have. (An owner costs nothing
to make; whoever comes from several addresses has a share of each.) When the queue is full, a newcomer takes
the room of the address that has most there, if that is more than his would have, or else of the owner at his own
address that has most, if that is more than he would have; else he is refused.

Each program takes some memory, too, and those that run together never take more than there is. The next in turn waits
until there is enough for him, and nobody takes of it meanwhile: else small programs could keep a large one from it for
ever.

There may be spare places beside the slots. They are for owners who run nothing, so that nobody waits for the long
programs of one who has all of the slots, or all of the memory: each has some of its own, that only those get who pass
others for it, and only for programs that are no larger. A program that needs of that, too, because the rest would never
do, has it in its turn; nobody passes it.

A batch is refused as a whole or not at all: once one of its programs has its turn, the others keep their
positions in the queue until theirs comes, without a deadline. Else what has run would be thrown away.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from sandbox.errors import Busy, Cancelled
from sandbox.models import Caller
from sandbox.settings import Settings
from sandbox.turns import Batch, Claim, Load, Queue, Share

POLL_SECONDS = 0.2
"""How often a waiting request looks whether its caller is still there."""

SHUTTING_DOWN = "The service is shutting down."


class Ticket(Claim):
    """A claim that can be waited for. A context manager: leaving gives back whatever it holds."""

    def __init__(self, admission: Admission, batch: Batch, size_mb: float) -> None:
        super().__init__(batch, size_mb)
        self._admission = admission

    def wait(self, should_stop: Callable[[], bool]) -> float:
        """Return when the place is ours, with the milliseconds that took.

        :raises Cancelled: when `should_stop` says yes first (asked about five times a second).
        :raises Busy: at the deadline, or when somebody with fewer waiting runs needed the room.
        """
        deadline = self.batch.entered_at + self._admission.queue_seconds
        while not self.decided.wait(self._patience_seconds(deadline)):
            if should_stop():
                raise Cancelled("The caller went away.")
            if time.monotonic() >= deadline:
                self._admission.expire(self.batch)
        if self.refusal:
            raise self._admission.busy(self.refusal)
        return (time.monotonic() - self.batch.entered_at) * 1000

    def _patience_seconds(self, deadline: float) -> float:
        if self.batch.has_begun:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._admission.leave(self)


class Admission:
    """The places and the queue. Thread-safe; every public method returns at once."""

    def __init__(
        self,
        slots: int,
        queue_size: int,
        queue_seconds: float,
        *,
        spare: int = 0,
        spare_mb: float = 0,
        total_mb: float = math.inf,
    ) -> None:
        """`spare` places more, of `total_mb` so much for each, are for owners who run nothing.

        A program larger than `total_mb` runs alone.
        """
        self.slots = slots
        self.total_mb = total_mb
        self.spare, self.spare_mb = spare, spare_mb
        self.queue_size = queue_size
        self.queue_seconds = queue_seconds
        self._changed = threading.Condition()
        self._closed = False
        self._running: set[Claim] = set()
        self._queue = Queue()

    @classmethod
    def of(cls, settings: Settings) -> Admission:
        """As the settings have it."""
        slots = settings.effective_concurrent_runs()
        # As many of the usual size as the operator has set, or one, run in any case.
        total_mb = max(settings.effective_containers_mb(), settings.memory_mb * (settings.max_concurrent_runs or 1))
        return cls(
            slots,
            settings.queue_size,
            settings.queue_seconds,
            spare=settings.spare_places(),
            spare_mb=min(settings.spare_mb(), total_mb / 2),
            total_mb=total_mb,
        )

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def free_mb(self) -> float:
        """Memory that no program has which runs now."""
        return self.total_mb - sum(ticket.size_mb for ticket in self._running)

    def enter(self, caller: Caller, sizes_mb: Sequence[int] = (0,)) -> list[Ticket]:
        """Tickets for programs of so much memory each, all or none; each is granted on its own, so a batch cannot
        block itself.

        :raises Busy: when running and queue have no room for that many, or the service is shutting down.
        """
        with self._changed:
            if self._closed:
                raise self.busy(SHUTTING_DOWN)
            batch = Batch(caller)
            tickets = [Ticket(self, batch, min(size_mb, self.total_mb)) for size_mb in sizes_mb]
            batch.tickets.extend(tickets)
            victims = self._who_makes_room(batch)
            self._queue.put(batch)  # before they leave: else its address might lose its turn with them
            for victim in victims:
                self._refuse(victim, "Other callers have been waiting for a turn.")
            self._grant()
            return tickets

    def expire(self, batch: Batch) -> None:
        """Refuse a batch whose deadline has come, unless its turn has come first."""
        with self._changed:
            if not batch.has_begun:
                self._refuse(batch, "No place came free in time.")
                self._grant()

    def leave(self, ticket: Ticket) -> None:
        """Give back what the ticket holds, be it a place or a position in the queue."""
        with self._changed:
            if not self._queue.remove(ticket):
                self._running.discard(ticket)
            self._grant()  # whoever leaves the queue may have held it up
            self._changed.notify_all()

    def close(self) -> None:
        """Refuse everybody whose turn has not come yet, now and from now on; a batch that has begun goes on."""
        with self._changed:
            self._closed = True
            for batch in {ticket.batch for ticket in self._queue}:
                if not batch.has_begun:
                    self._refuse(batch, SHUTTING_DOWN)
            self._grant()

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Whether everything that was admitted had ended within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running and not self._queue, timeout_seconds)

    def busy(self, reason: str) -> Busy:
        """The refusal, with a guess at how long the present queue takes: a second for each round of slots."""
        rounds = 1 + self.waiting // max(1, self.slots)
        return Busy(f"{reason} The service is busy; try again.", retry_after_seconds=min(60, rounds))

    def _who_makes_room(self, newcomer: Batch) -> list[Batch]:
        """As many waiting batches of those who have more as the newcomer needs room.

        :raises Busy: when they have not so many.
        """
        at_once = self._begin_at_once(newcomer)
        surplus = self.waiting + len(newcomer.tickets) - at_once - self.queue_size
        if surplus <= 0 or (surplus == 1 and not at_once and self._passes(newcomer)):
            return []
        victims = Load(self._queue, newcomer).victims(surplus)
        if victims is None:
            raise self.busy("Every place in the queue is taken.")
        return victims

    def _begin_at_once(self, newcomer: Batch) -> int:
        """How many of a newcomer's programs need not wait, spare places aside. Nobody passes those who do."""
        if self._queue:
            return 0
        sizes_mb = [ticket.size_mb for ticket in newcomer.tickets[: max(0, self.slots - self.running)]]
        before_mb = itertools.accumulate(sizes_mb, initial=0.0)
        return sum(itertools.takewhile(bool, map(self._fits, sizes_mb, before_mb)))

    def _passes(self, newcomer: Batch) -> bool:
        """Whether the first of a newcomer's programs has a spare place at once."""
        is_busy = newcomer.share in self._busy or self._queue.has_any(newcomer.share)
        return not is_busy and newcomer.tickets[0].size_mb <= self._passing_mb()

    def _refuse(self, batch: Batch, reason: str) -> None:
        """Refuse those of a batch that still wait."""
        for ticket in batch.tickets:
            if self._queue.remove(ticket):
                ticket.refusal = reason
                ticket.decided.set()

    def _grant(self) -> None:
        while self._grant_next():
            pass

    def _grant_next(self) -> bool:
        """Begin whoever may have the next place, as far as there is one."""
        first = self._first()
        if first and self._fits(first.size_mb):
            self._queue.take(first)
        elif first := self._queue.next_to_pass(self._busy, self._passing_mb()):
            self._queue.take_past(first)
            first.has_spare_mb = True
        else:
            return False
        self._begin(first)
        return True

    def _begin(self, ticket: Claim) -> None:
        self._running.add(ticket)
        ticket.batch.has_begun = True
        ticket.decided.set()

    def _first(self) -> Claim | None:
        """Whose turn it is."""
        if self.running < self.slots:
            return self._queue.next_of_others()
        if self.running < self.slots + self.spare:
            return self._queue.next_of_others(self._busy)
        return None

    @property
    def _busy(self) -> set[Share]:
        """Those who run something."""
        return {ticket.batch.share for ticket in self._running}

    @property
    def _shared_mb(self) -> float:
        """All memory but that of the spare places."""
        return self.total_mb - self.spare * self.spare_mb

    def _fits(self, size_mb: float, before_mb: float = 0) -> bool:
        """Whether there is memory for a program whose turn it is, once others have begun with so much."""
        if size_mb > self._shared_mb:
            return before_mb + size_mb <= self.free_mb
        taken_mb = before_mb + sum(each.size_mb for each in self._running if not each.has_spare_mb)
        return taken_mb + size_mb <= self._shared_mb

    def _passing_mb(self) -> float:
        """How large a program may be that passes whose turn it is, on a spare place's memory; below zero: none may."""
        first = self._first()
        has_place = self.running < self.slots + self.spare
        has_memory = sum(each.has_spare_mb for each in self._running) < self.spare
        if not has_place or not has_memory or (first and first.size_mb > self._shared_mb):
            return -1
        return min(self.spare_mb, self.free_mb)
