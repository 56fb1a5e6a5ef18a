"""Owners who use what they may, and a clock that a test sets."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.errors import QuotaExceeded
from sandbox.models import Caller, RunRequest, RunResult, Status
from sandbox.quotas import Quotas
from sandbox.settings import load

ADA = Caller("192.0.2.1", "page:ada")
BOB = Caller("192.0.2.1", "page:bob")
KEY = Caller("192.0.2.1", "key:agent")
NOBODY = Caller("192.0.2.1")
HOUR = 3600.0


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def quotas(clock: Clock, *, runs: int = 3, cpu: float = 100, owners: int = 2, **others: Any) -> Quotas:
    chosen = {"owner_runs_at_once": runs, "owner_cpu_seconds_per_hour": cpu, "address_owners": owners}
    return Quotas(load(**chosen, **others), clock)


def use(quotas: Quotas, caller: Caller, cpu_seconds: float) -> None:
    """A run of that much CPU time, from its admission to its end."""
    with quotas.counted(caller):
        quotas.charge(RunRequest("python", caller=caller), result(cpu_ms=cpu_seconds * 1000))


def result(**fields: Any) -> RunResult:
    return RunResult("0" * 16, "python", Status.OK, "", "", 0, **fields)


def may_run(quotas: Quotas, caller: Caller, count: int = 1) -> bool:
    try:
        with quotas.counted(caller, count):
            return True
    except QuotaExceeded:
        return False


def refusal(quotas: Quotas, caller: Caller, count: int = 1) -> QuotaExceeded:
    with pytest.raises(QuotaExceeded) as refused, quotas.counted(caller, count):
        pass
    return refused.value
