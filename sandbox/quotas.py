"""What each owner may use: programs at once, and CPU seconds an hour. Knows nothing of containers.

CPU seconds are a bucket: an hour's worth at the start, and what was used comes back evenly. They are paid for
afterwards, with what a run really used, so a run is admitted while anything is left. The debt that remains is at
most what the programs that one may have at once use until their time is up, and nothing is admitted until it is paid.

An owner costs nothing to make, so an address has bounds of its own, over all of its owners but keys: those were
given by the operator. Accounts live in this process alone, and are forgotten once they are as new.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sandbox.addresses import group
from sandbox.errors import ContainerLost, QuotaExceeded
from sandbox.languages import LANGUAGES
from sandbox.models import Caller, RunRequest, RunResult
from sandbox.settings import Settings

HOUR_SECONDS = 3600
SWEEP_ABOVE = 1000
"""Fewer accounts are not looked through."""
KEPT_ACCOUNTS = 10_000
"""Of more that are not as new, those that have used least are forgotten. At most twice as many are there at a time."""

YOURS, YOUR_ADDRESS = WHOSE = "yours", "your address"
Key = tuple[str, str]
"""Whose account: one of these two, and the owner or the address."""
RUNS_AT_ONCE, CPU_SECONDS = BOUNDS = "runs_at_once", "cpu_seconds_per_hour"
"""Which bound of an account was met."""


@dataclass(frozen=True)
class Bounds:
    """What somebody may have at once, and use in an hour. 0 is no bound."""

    runs_at_once: int
    cpu_seconds_per_hour: float


@dataclass(frozen=True)
class RunsAtOnce:
    """Programs that may run or wait. Without a bound both are None."""

    limit: int | None
    left: int | None


@dataclass(frozen=True)
class CpuSecondsPerHour:
    """CPU time that may be used. Without a bound both are None."""

    limit: float | None
    left: float | None


@dataclass(frozen=True)
class Allowance:
    """What a caller may use, and what of it is left to him now."""

    runs_at_once: RunsAtOnce
    cpu_seconds_per_hour: CpuSecondsPerHour


class Account:
    """The programs of somebody that run or wait, and the CPU seconds that were used and have not come back yet."""

    def __init__(self, bounds: Bounds, now: float) -> None:
        self.bounds = bounds
        self.running = 0
        self.used_seconds = 0.0
        self._seen_at = now

    def bring_up(self, bounds: Bounds, now: float) -> None:
        """Let come back what has, at the old bounds, and let these hold from now on."""
        elapsed_hours = max(0.0, now - self._seen_at) / HOUR_SECONDS
        self.used_seconds = max(0.0, self.used_seconds - elapsed_hours * self.bounds.cpu_seconds_per_hour)
        self._seen_at = now
        self.bounds = bounds
        self.book()

    def book(self, running: int = 0, cpu_seconds: float = 0.0) -> None:
        self.running += running
        self.used_seconds = self.used_seconds + cpu_seconds if self.bounds.cpu_seconds_per_hour else 0.0

    @property
    def is_as_new(self) -> bool:
        return not self.running and not self.used_seconds

    @property
    def runs_left(self) -> float:
        limit = self.bounds.runs_at_once
        return max(0, limit - self.running) if limit else math.inf

    @property
    def seconds_left(self) -> float:
        """Below zero while in debt."""
        limit = self.bounds.cpu_seconds_per_hour
        return limit - self.used_seconds if limit else math.inf

    def check(self, count: int, whose: str) -> None:
        """Return when `count` more programs may come.

        :raises QuotaExceeded: with a sentence that says which bound is met, and when to come back.
        """
        if self.runs_left < count:
            raise self._too_many(count, whose)
        if self.seconds_left <= 0:
            seconds = math.floor(-self.seconds_left / self.bounds.cpu_seconds_per_hour * HOUR_SECONDS) + 1
            limit = f"{self.bounds.cpu_seconds_per_hour:g} CPU seconds an hour"
            raise QuotaExceeded(
                f"Programs of {whose} have used up the limit of {limit}. Try again in {seconds} seconds.",
                retry_after_seconds=seconds,
            )

    def _too_many(self, count: int, whose: str) -> QuotaExceeded:
        limit = self.bounds.runs_at_once
        can_fit = count <= limit
        advice = "Try again when one has ended." if can_fit else "Send fewer together."
        return QuotaExceeded(
            f"At most {limit} program{'s' * (limit != 1)} of {whose} may run or wait at once; {self.running} do, "
            f"and {count} more would be too many. {advice}",
            retry_after_seconds=int(can_fit),
        )


class Quotas:
    """The accounts of all callers. Thread-safe. One without owner and address, as this process is, has no bounds."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds that never go back."""
        self._of_owner = Bounds(settings.owner_runs_at_once, settings.owner_cpu_seconds_per_hour)
        self._of_address = Bounds(
            self._of_owner.runs_at_once * settings.address_owners,
            self._of_owner.cpu_seconds_per_hour * settings.address_owners,
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[Key, Account] = {}
        self._refused: Counter[tuple[str, str]] = Counter()
        self._sweep_above = SWEEP_ABOVE

    @contextmanager
    def counted(self, caller: Caller, count: int = 1) -> Iterator[None]:
        """Count that many programs of a caller, which run or wait, until the block ends. All or none.

        :raises QuotaExceeded: when he may not have so many more at once, or no CPU time is left to him.
        """
        with self._lock:
            self._check(caller, count)
            self._book(caller, running=count)
        try:
            yield
        finally:
            with self._lock:
                self._book(caller, running=-count)

    def charge(self, request: RunRequest, result: RunResult) -> None:
        """Charge a run that has ended with the CPU time it used: an observer of the executor.

        Where nobody was left to tell, because the container was killed from outside, it is all that it could use.
        """
        most_seconds = result.duration_ms / 1000 * request.limits.cpus
        self._charge(request.caller, most_seconds if result.cpu_ms is None else result.cpu_ms / 1000)

    @contextmanager
    def charging_losses(self, request: RunRequest) -> Iterator[None]:
        """Charge what is run in the block also if its container is lost, which a program can bring about."""
        began_at = self._clock()
        try:
            yield
        except ContainerLost:
            limits, compiler = request.limits, LANGUAGES[request.language].compiler
            most_seconds = limits.timeout_seconds + (compiler.timeout_seconds if compiler else 0)
            seconds = min(self._clock() - began_at, most_seconds)
            self._charge(request.caller, seconds * limits.cpus)
            raise

    def allowance(self, caller: Caller) -> Allowance:
        """What a caller may use, and what is left to him: of that, or of what his address may use, if that is less."""
        with self._lock:
            accounts = [*self._accounts_of(caller).values()]
        bounds = accounts[0].bounds if accounts else Bounds(0, 0)
        runs_left = min((account.runs_left for account in accounts), default=math.inf)
        seconds_left = max(0.0, min((account.seconds_left for account in accounts), default=math.inf))
        return Allowance(
            RunsAtOnce(bounds.runs_at_once or None, None if runs_left == math.inf else int(runs_left)),
            CpuSecondsPerHour(
                bounds.cpu_seconds_per_hour or None,
                None if seconds_left == math.inf else math.floor(seconds_left * 1000) / 1000,
            ),
        )

    def _check(self, caller: Caller, count: int) -> None:
        for (whose, _), account in self._accounts_of(caller).items():
            try:
                account.check(count, whose)
            except QuotaExceeded:
                bound = RUNS_AT_ONCE if account.runs_left < count else CPU_SECONDS
                self._refused[whose, bound] += 1
                raise

    def refusals(self) -> dict[tuple[str, str], int]:
        """How often callers were refused, by whose bound was met (`WHOSE`), and which (`BOUNDS`)."""
        with self._lock:
            return dict(self._refused)

    def _charge(self, caller: Caller, cpu_seconds: float) -> None:
        with self._lock:
            self._book(caller, cpu_seconds=cpu_seconds)

    def _book(self, caller: Caller, *, running: int = 0, cpu_seconds: float = 0.0) -> None:
        for key, account in self._accounts_of(caller).items():
            account.book(running, cpu_seconds)
            self._accounts[key] = account
            if account.is_as_new:
                del self._accounts[key]
        if len(self._accounts) > self._sweep_above:
            self._sweep()

    def _accounts_of(self, caller: Caller) -> dict[Key, Account]:
        """Those that bound a caller, the owner's first, as they are now; a new one is not kept yet."""
        address, now = group(caller.address), self._clock()
        bounds = {}
        if owner := caller.owner or address:
            bounds[YOURS, owner] = self._bounds_of(caller)
        if address and not caller.has_key:
            bounds[YOUR_ADDRESS, address] = self._of_address
        accounts = {key: self._accounts.get(key) or Account(of_key, now) for key, of_key in bounds.items()}
        for key, account in accounts.items():
            account.bring_up(bounds[key], now)
        return accounts

    def _bounds_of(self, caller: Caller) -> Bounds:
        runs, cpu_seconds = caller.runs_at_once, caller.cpu_seconds_per_hour
        return Bounds(
            self._of_owner.runs_at_once if runs is None else runs,
            self._of_owner.cpu_seconds_per_hour if cpu_seconds is None else cpu_seconds,
        )

    def _sweep(self) -> None:
        """Forget the accounts that are as new by now, and of too many others those that have used least."""
        now = self._clock()
        for account in self._accounts.values():
            account.bring_up(account.bounds, now)
        kept = {key: account for key, account in self._accounts.items() if not account.is_as_new}
        idle = sorted((key for key in kept if not kept[key].running), key=lambda key: kept[key].used_seconds)
        for key in idle[: max(0, len(kept) - KEPT_ACCOUNTS)]:
            del kept[key]
        self._accounts = kept
        self._sweep_above = max(SWEEP_ABOVE, 2 * len(kept))
