"""Callers who enter an admission, and what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sandbox.admission import Admission, Ticket
from sandbox.models import Caller
from sandbox.turns import Claim

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
