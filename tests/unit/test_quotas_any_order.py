"""Quotas: what holds whatever happens in whatever order. The clock is the test's."""

from __future__ import annotations

from contextlib import ExitStack

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sandbox.errors import QuotaExceeded
from sandbox.models import Caller, RunRequest
from tests.owners import ADA, HOUR, Clock, may_run, quotas, result, use


@given(st.lists(st.tuples(st.floats(0, 5000), st.floats(0, 500)), max_size=30), st.floats(0.01, 1e4))
def test_the_bucket_never_gives_more_than_its_hour_and_what_comes_back(
    steps: list[tuple[float, float]], cpu: float
) -> None:
    """Whoever uses what he is admitted for has at no time used more than a burst, what came back, and a last run."""
    clock = Clock()
    counting = quotas(clock, cpu=cpu)
    started, used, last = clock.now, 0.0, 0.0
    for pause, wanted in steps:
        clock.now += pause
        before = counting.allowance(ADA).cpu_seconds_per_hour.left
        admitted = may_run(counting, ADA)
        assert admitted or before == 0
        if admitted:
            use(counting, ADA, wanted)
            used, last = used + wanted, wanted
        assert used - last <= cpu + (clock.now - started) / HOUR * cpu + 1e-6
        assert 0 <= (counting.allowance(ADA).cpu_seconds_per_hour.left or 0) <= cpu


ADDRESSES = ["192.0.2.1", "2001:db8::1", "2001:db8::2"]
OWNERS = ["", "page:a", "page:b", "page:c", "key:k"]


class AnyOrder(RuleBasedStateMachine):
    """Whatever starts and ends in whatever order, no bound is exceeded and all of it is given back."""

    RUNS, WORTH = 3, 2

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.quotas = quotas(self.clock, runs=self.RUNS, cpu=50, owners=self.WORTH)
        self.held: list[tuple[Caller, int, ExitStack]] = []

    @rule(address=st.sampled_from(ADDRESSES), owner=st.sampled_from(OWNERS), count=st.integers(1, 4))
    def enter(self, address: str, owner: str, count: int) -> None:
        caller, stack = Caller(address, owner), ExitStack()
        allowed = self.quotas.allowance(caller)
        try:
            stack.enter_context(self.quotas.counted(caller, count))
        except QuotaExceeded:
            assert count > (allowed.runs_at_once.left or 0) or allowed.cpu_seconds_per_hour.left == 0
        else:
            assert count <= (allowed.runs_at_once.left or 0)
            self.held.append((caller, count, stack))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), seconds=st.floats(0, 40))
    def leave(self, data: st.DataObject, seconds: float) -> None:
        held = data.draw(st.sampled_from(self.held))
        self.held.remove(held)
        self.quotas.charge(RunRequest("python", caller=held[0]), result(cpu_ms=seconds * 1000))
        held[2].close()

    @rule(seconds=st.floats(0, 3600))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def sweep(self) -> None:
        self.quotas._sweep()

    @invariant()
    def nobody_has_more_than_he_may(self) -> None:
        for caller in {caller for caller, _, _ in self.held}:
            mine = self.count(caller.owner or "nobody", caller.address[:8])
            assert self.quotas.allowance(caller).runs_at_once.limit == self.RUNS
            assert mine <= self.RUNS
        for start in ("192.0.2.", "2001:db8"):
            assert self.count("", start) <= self.RUNS * self.WORTH

    def count(self, owner: str, start: str) -> int:
        """Programs of an owner, `nobody` at that address, or all but a key's there."""
        found = 0
        for caller, count, _ in self.held:
            at_address = caller.address.startswith(start)
            if owner == "":
                found += count * (at_address and not caller.has_key)
            elif owner == "nobody":
                found += count * (at_address and not caller.owner)
            else:
                found += count * (caller.owner == owner)
        return found

    def teardown(self) -> None:
        for _, _, stack in self.held:
            stack.close()
        self.clock.now += 1000 * HOUR
        self.quotas._sweep()
        assert not self.quotas._accounts


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=100, stateful_step_count=30, deadline=None)
