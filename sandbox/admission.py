"""Who runs now, who waits, who is refused. Knows threads and time; knows nothing of containers.

A *place* is the right to run one program. There are `slots` of them. Whoever finds none free waits in the
queue, and free places go round the addresses in turn and, within one, round its owners: an address with fifty
waiting runs delays one with a single run by one run, however many owners the fifty have. (An owner costs nothing
to make; whoever comes from several addresses has a share of each.) When the queue is full, a newcomer takes
the room of the address that has most there, if that is more than his would have, or else of the owner at his own
address that has most, if that is more than he would have; else he is refused.

There may be spare places beside the slots. They are for owners who run nothing, so that nobody waits for the long
programs of one who has all of the slots.

A batch is refused as a whole or not at all: once one of its programs has its turn, the others keep their
positions in the queue until theirs comes, without a deadline. Else what has run would be thrown away.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Set
from types import TracebackType

from sandbox.addresses import share_of
from sandbox.errors import Busy, Cancelled
from sandbox.models import Caller
from sandbox.settings import Settings

POLL_SECONDS = 0.2
"""How often a waiting request looks whether its caller is still there."""

Share = tuple[str, str]
"""An address, and an owner at it."""

SHUTTING_DOWN = "The service is shutting down."


class Batch:
    """Tickets that were asked for together; a single run's has one."""

    def __init__(self, admission: Admission, caller: Caller, count: int) -> None:
        self.share = self.address, self.owner = share_of(caller)
        self.entered_at = time.monotonic()
        self.has_begun = False
        self.tickets = [Ticket(admission, self) for _ in range(count)]


class Ticket:
    """One program's claim to a place. A context manager: leaving gives back whatever it holds."""

    def __init__(self, admission: Admission, batch: Batch) -> None:
        self.batch = batch
        self.decided = threading.Event()
        self.refusal = ""
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


class Queue:
    """The tickets that wait. They come out in turn: round the addresses and, of each, round its owners."""

    def __init__(self) -> None:
        self._addresses: OrderedDict[str, OrderedDict[str, deque[Ticket]]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Ticket]:
        for owners in self._addresses.values():
            for tickets in owners.values():
                yield from tickets

    def put(self, batch: Batch) -> None:
        owners = self._addresses.setdefault(batch.address, OrderedDict())
        owners.setdefault(batch.owner, deque()).extend(batch.tickets)
        self._length += len(batch.tickets)

    def take(self) -> Ticket:
        """The next in turn. There must be one."""
        owners = next(iter(self._addresses.values()))
        ticket = next(iter(owners.values()))[0]
        self._turn(ticket)
        return ticket

    def take_of_others(self, shares: Set[Share]) -> Ticket | None:
        """The next in turn of those who are not among these; None when there is none."""
        for address, owners in self._addresses.items():
            for owner, tickets in owners.items():
                if (address, owner) not in shares:
                    self._turn(ticket := tickets[0])
                    return ticket
        return None

    def _turn(self, ticket: Ticket) -> None:
        """Take a ticket out. Its address, and at that its owner, come last from now on."""
        address, owner = ticket.batch.share
        self._addresses.move_to_end(address)
        self._addresses[address].move_to_end(owner)
        self.remove(ticket)

    def remove(self, ticket: Ticket) -> bool:
        """False when it is not there."""
        address, owner = ticket.batch.share
        owners = self._addresses.get(address, OrderedDict())
        if ticket not in owners.get(owner, ()):
            return False
        owners[owner].remove(ticket)
        self._length -= 1
        if not owners[owner]:
            del owners[owner]
        if not owners:
            del self._addresses[address]
        return True


class Load:
    """How much of the queue each address and owner takes, with a newcomer counted in, and who has to make room."""

    def __init__(self, waiting: Iterable[Ticket], newcomer: Batch) -> None:
        self._newcomer = newcomer
        self._of_address = Counter({newcomer.address: len(newcomer.tickets)})
        self._of_owner = Counter({newcomer.share: len(newcomer.tickets)})
        self._refusable: Counter[Batch] = Counter()
        for ticket in waiting:
            self._of_address[ticket.batch.address] += 1
            self._of_owner[ticket.batch.share] += 1
            if not ticket.batch.has_begun:
                self._refusable[ticket.batch] += 1

    def victims(self, surplus: int) -> list[Batch] | None:
        """Batches that make as much room, of whoever has most at each time, the newest first.

        None of their programs has had its turn. None when those who have more than the newcomer have not so many.
        """
        chosen: list[Batch] = []
        while surplus > 0:
            victim = max(filter(self._is_heavier, self._refusable), key=self._weight, default=None)
            if victim is None:
                return None
            chosen.append(victim)
            surplus -= self._drop(victim)
        return chosen

    def _drop(self, batch: Batch) -> int:
        count = self._refusable.pop(batch)
        self._of_address[batch.address] -= count
        self._of_owner[batch.share] -= count
        return count

    def _is_heavier(self, batch: Batch) -> bool:
        mine = self._newcomer
        if batch.address == mine.address:
            return self._of_owner[batch.share] > self._of_owner[mine.share]
        return self._of_address[batch.address] > self._of_address[mine.address]

    def _weight(self, batch: Batch) -> tuple[int, int, float]:
        return self._of_address[batch.address], self._of_owner[batch.share], batch.entered_at


class Admission:
    """The places and the queue. Thread-safe; every public method returns at once."""

    def __init__(self, slots: int, queue_size: int, queue_seconds: float, *, spare: int = 0) -> None:
        """`spare` places more are for owners who run nothing."""
        self.slots = slots
        self.spare = spare
        self.queue_size = queue_size
        self.queue_seconds = queue_seconds
        self._changed = threading.Condition()
        self._closed = False
        self._running: set[Ticket] = set()
        self._queue = Queue()

    @classmethod
    def of(cls, settings: Settings) -> Admission:
        """As the settings have it."""
        slots = settings.effective_concurrent_runs()
        return cls(slots, settings.queue_size, settings.queue_seconds, spare=settings.spare_places())

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def enter(self, caller: Caller, count: int = 1) -> list[Ticket]:
        """Tickets for `count` programs, all or none; each is granted on its own, so a batch cannot block itself.

        :raises Busy: when running and queue have no room for that many, or the service is shutting down.
        """
        with self._changed:
            if self._closed:
                raise self.busy(SHUTTING_DOWN)
            batch = Batch(self, caller, count)
            victims = self._who_makes_room(batch)
            self._queue.put(batch)  # before they leave: else its address might lose its turn with them
            for victim in victims:
                self._refuse(victim, "Other callers have been waiting for a turn.")
            self._grant()
            return batch.tickets

    def expire(self, batch: Batch) -> None:
        """Refuse a batch whose deadline has come, unless its turn has come first."""
        with self._changed:
            if not batch.has_begun:
                self._refuse(batch, "No place came free in time.")

    def leave(self, ticket: Ticket) -> None:
        """Give back what the ticket holds, be it a place or a position in the queue."""
        with self._changed:
            if not self._queue.remove(ticket):
                self._running.discard(ticket)
                self._grant()
            self._changed.notify_all()

    def close(self) -> None:
        """Refuse everybody whose turn has not come yet, now and from now on; a batch that has begun goes on."""
        with self._changed:
            self._closed = True
            for batch in {ticket.batch for ticket in self._queue}:
                if not batch.has_begun:
                    self._refuse(batch, SHUTTING_DOWN)

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
        free_slots = max(0, self.slots - self.running - self.waiting)
        surplus = self.waiting + len(newcomer.tickets) - free_slots - self.queue_size
        victims = Load(self._queue, newcomer).victims(surplus) if surplus > 0 else []
        if victims is None:
            raise self.busy("Every place in the queue is taken.")
        return victims

    def _refuse(self, batch: Batch, reason: str) -> None:
        """Refuse those of a batch that still wait."""
        for ticket in batch.tickets:
            if self._queue.remove(ticket):
                ticket.refusal = reason
                ticket.decided.set()

    def _grant(self) -> None:
        while self._queue and len(self._running) < self.slots:
            self._begin(self._queue.take())
        while self._queue and len(self._running) < self.slots + self.spare:
            ticket = self._queue.take_of_others({ticket.batch.share for ticket in self._running})
            if ticket is None:
                return
            self._begin(ticket)

    def _begin(self, ticket: Ticket) -> None:
        self._running.add(ticket)
        ticket.batch.has_begun = True
        ticket.decided.set()
