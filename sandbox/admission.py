"""Who runs now, who waits, who is refused. Knows threads and time; knows nothing of containers.

A *place* is the right to run one program. There are `slots` of them. Whoever finds none free waits in the
queue of its client, and free places go round the clients in turn, so that a client with fifty waiting runs
delays a client with one by a single run. When the queue is full, a newcomer takes the room of the client that
has most there, if that is more than the newcomer would have; else it is refused.

A batch is refused as a whole or not at all: once one of its programs has its turn, the others keep their
positions in the queue until theirs comes, without a deadline. Else what has run would be thrown away.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from types import TracebackType

from sandbox.errors import Busy, Cancelled

POLL_SECONDS = 0.2
"""How often a waiting request looks whether its caller is still there."""

SHUTTING_DOWN = "The service is shutting down."


class Batch:
    """Tickets that were asked for together; a single run's has one."""

    def __init__(self, admission: Admission, client: str, count: int) -> None:
        self.client = client
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

    @property
    def client(self) -> str:
        return self.batch.client

    def wait(self, should_stop: Callable[[], bool]) -> float:
        """Return when the place is ours, with the milliseconds that took.

        :raises Cancelled: when `should_stop` says yes first (asked about five times a second).
        :raises Busy: at the deadline, or when a client with fewer waiting runs needed the room.
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

    def __init__(self, slots: int, queue_size: int, queue_seconds: float) -> None:
        self.slots = slots
        self.queue_size = queue_size
        self.queue_seconds = queue_seconds
        self._changed = threading.Condition()
        self._closed = False
        self._running: set[Ticket] = set()
        self._queues: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._waiting = 0

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return self._waiting

    def enter(self, client: str, count: int = 1) -> list[Ticket]:
        """Tickets for `count` programs, all or none; each is granted on its own, so a batch cannot block itself.

        :raises Busy: when running and queue have no room for that many, or the service is shutting down.
        """
        with self._changed:
            if self._closed:
                raise self.busy(SHUTTING_DOWN)
            batch = Batch(self, client, count)
            self._make_room(client, count)
            queue = self._queues.setdefault(client, deque())
            queue.extend(batch.tickets)
            self._waiting += count
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
            if not self._withdraw(ticket):
                self._running.discard(ticket)
                self._grant()
            self._changed.notify_all()

    def close(self) -> None:
        """Refuse everybody whose turn has not come yet, now and from now on; a batch that has begun goes on."""
        with self._changed:
            self._closed = True
            waiting = {ticket.batch for queue in self._queues.values() for ticket in queue}
            for batch in waiting:
                if not batch.has_begun:
                    self._refuse(batch, SHUTTING_DOWN)

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Whether everything that was admitted had ended within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running and not self._waiting, timeout_seconds)

    def busy(self, reason: str) -> Busy:
        """The refusal, with a guess at how long the present queue takes: a second for each round of slots."""
        rounds = 1 + self._waiting // max(1, self.slots)
        return Busy(f"{reason} The service is busy; try again.", retry_after_seconds=min(60, rounds))

    def _make_room(self, client: str, count: int) -> None:
        """Refuse as many waiting batches of heavier clients as `count` newcomers need room, or none at all."""
        free_slots = max(0, self.slots - len(self._running) - self._waiting)
        surplus = self._waiting + count - free_slots - self.queue_size
        lengths = {name: len(queue) for name, queue in self._queues.items() if name != client}
        mine = len(self._queues.get(client, ())) + count
        victims: list[Batch] = []
        while surplus > 0:
            heaviest = max(lengths, key=lambda name: lengths[name], default="")
            if lengths.get(heaviest, 0) <= mine:
                raise self.busy("Every place in the queue is taken.")
            refusable = self._refusable(heaviest)
            victim = next((batch for batch in refusable if batch not in victims), None)
            if victim is None:
                del lengths[heaviest]
                continue
            victims.append(victim)
            lengths[heaviest] -= refusable[victim]
            surplus -= refusable[victim]
        for victim in victims:
            self._refuse(victim, "Other callers have been waiting for a turn.")

    def _refusable(self, client: str) -> Counter[Batch]:
        """The batches of a client none of whose programs has had its turn, newest first, and how many wait of each."""
        return Counter(ticket.batch for ticket in reversed(self._queues[client]) if not ticket.batch.has_begun)

    def _refuse(self, batch: Batch, reason: str) -> None:
        """Refuse those of a batch that still wait."""
        for ticket in batch.tickets:
            if self._withdraw(ticket):
                ticket.refusal = reason
                ticket.decided.set()

    def _withdraw(self, ticket: Ticket) -> bool:
        """Take a ticket out of the queue; False when it is not there (granted or refused meanwhile)."""
        if ticket.decided.is_set() or ticket not in self._queues.get(ticket.client, ()):
            return False
        self._queues[ticket.client].remove(ticket)
        self._waiting -= 1
        self._forget_empty(ticket.client)
        return True

    def _grant(self) -> None:
        while self._queues and len(self._running) < self.slots:
            client, queue = next(iter(self._queues.items()))
            ticket = queue.popleft()
            self._waiting -= 1
            self._queues.move_to_end(client)
            self._forget_empty(client)
            self._running.add(ticket)
            ticket.batch.has_begun = True
            ticket.decided.set()

    def _forget_empty(self, client: str) -> None:
        if not self._queues[client]:
            del self._queues[client]


class HeldBytes:
    """What waiting and running requests keep in memory, up to a bound. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> bool:
        """False, and nothing added, when there is no room. One alone always finds room."""
        with self._lock:
            if size and self._held_bytes and self._held_bytes + size > self._max_bytes:
                return False
            self._held_bytes += size
            return True

    def remove(self, size: int) -> None:
        with self._lock:
            self._held_bytes -= size
