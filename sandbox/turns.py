"""Who waits, in which order they have their turn, and who has to make room. Knows nothing of places or time."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Set

from sandbox.addresses import share_of
from sandbox.models import Caller

Share = tuple[str, str]
"""An address, and an owner at it."""


class Batch:
    """Claims that were made together; a single run's has one."""

    def __init__(self, caller: Caller) -> None:
        self.share = self.address, self.owner = share_of(caller)
        self.entered_at = time.monotonic()
        self.has_begun = False
        self.tickets: list[Claim] = []


class Claim:
    """One program's claim to a place and so much memory."""

    def __init__(self, batch: Batch, size_mb: float) -> None:
        self.batch = batch
        self.size_mb = size_mb
        self.decided = threading.Event()
        self.refusal = ""
        self.has_spare_mb = False
        """Whether its memory is that of a spare place."""


class Queue:
    """The tickets that wait. They come out in turn: round the addresses and, of each, round its owners."""

    def __init__(self) -> None:
        self._addresses: OrderedDict[str, OrderedDict[str, deque[Claim]]] = OrderedDict()
        self._length = 0
        self._passes: Counter[str | Share] = Counter()
        """How often an address, and an owner at it, has passed others since it waits."""

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Claim]:
        for owners in self._addresses.values():
            for tickets in owners.values():
                yield from tickets

    def has_any(self, share: Share) -> bool:
        """Whether somebody waits."""
        address, owner = share
        return owner in self._addresses.get(address, ())

    def put(self, batch: Batch) -> None:
        owners = self._addresses.setdefault(batch.address, OrderedDict())
        owners.setdefault(batch.owner, deque()).extend(batch.tickets)
        self._length += len(batch.tickets)

    def next_of_others(self, shares: Set[Share] = frozenset()) -> Claim | None:
        """The next in turn of those who are not among these; None when there is none."""
        return next((ticket for ticket in self._firsts() if ticket.batch.share not in shares), None)

    def next_to_pass(self, shares: Set[Share], most_mb: float) -> Claim | None:
        """Who has passed others least, of those who are not among these and no larger; None when there is none."""
        others = (each for each in self._firsts() if each.batch.share not in shares and each.size_mb <= most_mb)
        return min(others, key=self._passes_of, default=None)

    def _firsts(self) -> Iterator[Claim]:
        """Each owner's next, in turn."""
        return (tickets[0] for owners in self._addresses.values() for tickets in owners.values())

    def _passes_of(self, ticket: Claim) -> tuple[int, int]:
        return self._passes[ticket.batch.address], self._passes[ticket.batch.share]

    def take_past(self, ticket: Claim) -> None:
        """Take a ticket out whose turn has not come. That of the others at its address stays where it is: else who is
        first there, and waits for more memory, would lose it again and again."""
        self._passes.update((ticket.batch.address, ticket.batch.share))
        self.remove(ticket)

    def take(self, ticket: Claim) -> None:
        """Take a ticket out whose turn has come. Its address, and at that its owner, come last from now on."""
        address, owner = ticket.batch.share
        self._addresses.move_to_end(address)
        self._addresses[address].move_to_end(owner)
        self.remove(ticket)

    def remove(self, ticket: Claim) -> bool:
        """False when it is not there."""
        address, owner = ticket.batch.share
        owners = self._addresses.get(address, OrderedDict())
        if ticket not in owners.get(owner, ()):
            return False
        owners[owner].remove(ticket)
        self._length -= 1
        if not owners[owner]:
            del owners[owner]
            del self._passes[address, owner]
        if not owners:
            del self._addresses[address]
            del self._passes[address]
        return True


class Load:
    """How much of the queue each address and owner takes, with a newcomer counted in, and who has to make room."""

    def __init__(self, waiting: Iterable[Claim], newcomer: Batch) -> None:
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
