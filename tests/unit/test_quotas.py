"""Quotas: programs at once and CPU seconds an hour, by owner and by address. The clock is the test's."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from sandbox.errors import Busy, ContainerLost
from sandbox.models import Caller, RunRequest
from sandbox.quotas import SWEEP_ABOVE, CpuSecondsPerHour, RunsAtOnce
from sandbox.settings import Settings, load
from sandbox.store.keys import Keys
from tests.fakes import FakeExecutor, web_app
from tests.owners import ADA, BOB, HOUR, KEY, NOBODY, Clock, may_run, quotas, refusal, result, use


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_refusals_are_counted_by_whose_bound_was_met_and_which(clock: Clock) -> None:
    counting = quotas(clock, runs=3, cpu=100, owners=1)
    assert counting.refusals() == {}
    with counting.counted(ADA, 3):
        assert not may_run(counting, ADA)
        assert not may_run(counting, BOB)
    use(counting, ADA, 100)
    assert not may_run(counting, ADA, 3)
    assert not may_run(counting, ADA, 4)
    assert counting.refusals() == {
        ("yours", "runs_at_once"): 2,
        ("your address", "runs_at_once"): 1,
        ("yours", "cpu_seconds_per_hour"): 1,
    }


# --- Programs at once ---------------------------------------------------------------------------------------


def test_an_owner_has_as_many_programs_at_once_as_the_setting_says(clock: Clock) -> None:
    counting = quotas(clock, runs=3)
    with counting.counted(ADA), counting.counted(ADA), counting.counted(ADA):
        assert not may_run(counting, ADA)
        assert may_run(counting, BOB)
    assert may_run(counting, ADA, 3)


def test_a_batch_counts_whole_or_not_at_all(clock: Clock) -> None:
    counting = quotas(clock, runs=3)
    with counting.counted(ADA):
        assert not may_run(counting, ADA, 3)
        assert may_run(counting, ADA, 2)


def test_one_who_is_refused_elsewhere_is_not_counted_any_more(clock: Clock) -> None:
    counting = quotas(clock, runs=1)
    with pytest.raises(Busy), counting.counted(ADA):
        raise Busy("Full.")
    assert may_run(counting, ADA)


def test_the_sentence_about_programs_names_the_bound_and_what_to_do(clock: Clock) -> None:
    counting = quotas(clock, runs=3)
    with counting.counted(ADA, 3):
        refused = refusal(counting, ADA)
    assert refused.message.startswith("At most 3 programs of yours may run or wait at once; 3 do,")
    assert refused.message.endswith("Try again when one has ended.")
    assert (refused.code, refused.retry_after_seconds) == ("quota", 1)


def test_whoever_asks_for_more_than_the_bound_is_not_told_to_wait(clock: Clock) -> None:
    refused = refusal(quotas(clock, runs=3), ADA, 4)
    assert refused.message.endswith("4 more would be too many. Send fewer together.")
    assert refused.retry_after_seconds == 0


# --- CPU seconds --------------------------------------------------------------------------------------------


def test_a_run_is_admitted_while_anything_is_left_and_none_while_in_debt(clock: Clock) -> None:
    counting = quotas(clock, cpu=100)
    use(counting, ADA, 99.9)
    use(counting, ADA, 36)
    assert not may_run(counting, ADA)
    assert may_run(counting, BOB)


@pytest.mark.parametrize(("cpu", "used"), [(100.0, 100.0), (100.0, 135.9), (3600.0, 3601.5), (0.5, 9.0), (7.3, 10.01)])
def test_after_the_seconds_that_it_says_something_is_left_again(clock: Clock, cpu: float, used: float) -> None:
    counting = quotas(clock, cpu=cpu)
    use(counting, ADA, used)
    refused = refusal(counting, ADA)
    assert f"used up the limit of {cpu:g} CPU seconds an hour" in refused.message
    assert refused.message.endswith(f"Try again in {refused.retry_after_seconds} seconds.")
    clock.now += refused.retry_after_seconds - 1.001
    assert not may_run(counting, ADA)
    clock.now += 1.001
    assert may_run(counting, ADA)


def test_an_hours_worth_is_there_at_the_start_and_comes_back_in_an_hour(clock: Clock) -> None:
    counting = quotas(clock, cpu=100)
    use(counting, ADA, 100)
    clock.now += HOUR / 4
    assert counting.allowance(ADA).cpu_seconds_per_hour == CpuSecondsPerHour(100, 25)
    clock.now += 10 * HOUR
    assert counting.allowance(ADA).cpu_seconds_per_hour == CpuSecondsPerHour(100, 100)


def test_who_was_killed_from_outside_is_charged_what_he_could_have_used(clock: Clock) -> None:
    counting = quotas(clock, cpu=100)
    request = RunRequest("python", caller=ADA, limits=load(cpus=2.0).limits)
    counting.charge(request, result(cpu_ms=None, duration_ms=15_000))
    assert counting.allowance(ADA).cpu_seconds_per_hour.left == 70


def test_who_has_his_container_lost_is_charged_too(clock: Clock) -> None:
    counting = quotas(clock, cpu=100)
    request = RunRequest("python", caller=ADA, limits=load(cpus=2.0).limits)
    with pytest.raises(ContainerLost), counting.charging_losses(request):
        clock.now += 9
        raise ContainerLost("Lost.")
    assert 82 <= counting.allowance(ADA).cpu_seconds_per_hour.left < 83  # type: ignore[operator]


def test_what_a_compiler_used_before_the_container_was_lost_is_charged_too(clock: Clock) -> None:
    counting = quotas(clock, cpu=100)
    with pytest.raises(ContainerLost), counting.charging_losses(RunRequest("c", caller=ADA, limits=load().limits)):
        clock.now += 18
        raise ContainerLost("Lost.")
    assert 82 <= counting.allowance(ADA).cpu_seconds_per_hour.left < 83  # type: ignore[operator]


def test_who_never_started_is_charged_nothing(clock: Clock) -> None:
    counting = quotas(clock, cpu=100)
    with pytest.raises(Busy), counting.counted(ADA), counting.charging_losses(RunRequest("python", caller=ADA)):
        clock.now += 30
        raise Busy("Full.")
    counting.charge(RunRequest("python", caller=ADA), result())
    assert counting.allowance(ADA).cpu_seconds_per_hour.left == 100


# --- Whose --------------------------------------------------------------------------------------------------


def test_nobody_is_counted_by_his_address(clock: Clock) -> None:
    counting = quotas(clock, cpu=100)
    use(counting, Caller("2001:db8::1"), 100)
    assert not may_run(counting, Caller("2001:db8::2"))
    assert may_run(counting, Caller("2001:db8:0:1::1"))
    use(counting, Caller("::ffff:192.0.2.1"), 100)
    assert not may_run(counting, NOBODY)
    assert may_run(counting, ADA)


def test_a_page_is_the_same_owner_from_every_address(clock: Clock) -> None:
    counting = quotas(clock, cpu=100)
    use(counting, ADA, 100)
    assert not may_run(counting, Caller("198.51.100.1", ADA.owner))


def test_a_key_has_its_own_numbers(clock: Clock) -> None:
    counting = quotas(clock, runs=3, cpu=100)
    rich = Caller("192.0.2.1", "key:rich", runs_at_once=5, cpu_seconds_per_hour=1000)
    assert may_run(counting, rich, 5) and not may_run(counting, rich, 6)
    use(counting, rich, 999)
    assert may_run(counting, rich)
    poor = Caller("192.0.2.1", "key:poor", runs_at_once=1, cpu_seconds_per_hour=1)
    assert not may_run(counting, poor, 2)
    use(counting, poor, 1)
    assert not may_run(counting, poor)


def test_a_key_made_anew_with_other_numbers_owes_what_it_owed(clock: Clock) -> None:
    counting = quotas(clock)
    use(counting, Caller("", "key:a", cpu_seconds_per_hour=100), 100)
    assert counting.allowance(Caller("", "key:a", cpu_seconds_per_hour=150)).cpu_seconds_per_hour.left == 50


def test_zero_is_no_bound(clock: Clock) -> None:
    counting = quotas(clock, runs=0, cpu=0)
    use(counting, ADA, 1e6)
    assert may_run(counting, ADA, 1000)
    allowed = counting.allowance(ADA)
    assert allowed.runs_at_once == RunsAtOnce(None, None)
    assert allowed.cpu_seconds_per_hour == CpuSecondsPerHour(None, None)
    assert may_run(quotas(clock, runs=1), Caller("", "key:a", runs_at_once=0), 1000)


def test_this_process_itself_has_no_bounds(clock: Clock) -> None:
    counting = quotas(clock, runs=1, cpu=1)
    use(counting, Caller(), 1e6)
    assert may_run(counting, Caller(), 1000)


# --- An address ---------------------------------------------------------------------------------------------


def page(number: int, address: str = "192.0.2.1") -> Caller:
    return Caller(address, f"page:{number}")


def test_all_owners_at_an_address_have_a_few_owners_worth_together(clock: Clock) -> None:
    counting = quotas(clock, runs=3, owners=2)
    with ExitStack() as stack:
        for number in range(6):
            stack.enter_context(counting.counted(page(number)))
        refused = refusal(counting, page(7))
        assert refused.message.startswith("At most 6 programs of your address may run or wait at once; 6 do")
        assert not may_run(counting, NOBODY)
        assert may_run(counting, page(7, "192.0.2.2"))


def test_new_cookies_give_an_address_no_more_cpu_time(clock: Clock) -> None:
    counting = quotas(clock, cpu=100, owners=2)
    for number in range(3):
        use(counting, page(number), 70)
    refused = refusal(counting, page(7))
    assert refused.message.startswith("Programs of your address have used up the limit of 200 CPU seconds an hour.")
    assert refused.retry_after_seconds == 10 * HOUR / 200 + 1
    clock.now += refused.retry_after_seconds
    assert may_run(counting, page(7))


def test_keys_do_not_count_at_their_address(clock: Clock) -> None:
    counting = quotas(clock, cpu=100, owners=1)
    use(counting, ADA, 100)
    assert not may_run(counting, BOB)
    assert may_run(counting, KEY)
    use(counting, Caller("198.51.100.1", "key:agent"), 100)
    assert may_run(counting, Caller("198.51.100.1", "page:x"))


def test_an_address_without_a_bound_has_none(clock: Clock) -> None:
    counting = quotas(clock, cpu=100, owners=0)
    for number in range(100):
        use(counting, page(number), 100)
    assert may_run(counting, page(100))


# --- What is left -------------------------------------------------------------------------------------------


def test_what_is_left_goes_by_the_narrower_of_both_bounds_and_never_below_nothing(clock: Clock) -> None:
    counting = quotas(clock, runs=3, cpu=100, owners=2)
    use(counting, ADA, 130)
    with counting.counted(BOB, 3), counting.counted(NOBODY, 2):
        allowed = counting.allowance(page(7))
        assert allowed.runs_at_once == RunsAtOnce(3, 1)
        assert allowed.cpu_seconds_per_hour == CpuSecondsPerHour(100, 70)
        assert counting.allowance(BOB).runs_at_once == RunsAtOnce(3, 0)
        assert counting.allowance(ADA).cpu_seconds_per_hour == CpuSecondsPerHour(100, 0)


def test_a_caller_is_told_what_is_left_to_him(settings: Settings, executor: FakeExecutor) -> None:
    app = web_app(settings, executor)
    key = Keys(app.extensions["database"]).add("ada", runs_at_once=3, cpu_seconds_per_hour=7200)
    executor.quotas.charge(RunRequest("python", caller=Caller("127.0.0.1")), result(cpu_ms=600_000))
    with executor.quotas.counted(Caller("127.0.0.1", "key:ada")):
        nobody = app.test_client().get("/me").get_json()
        ada = app.test_client().get("/me", headers={"Authorization": f"Bearer {key}"}).get_json()
    app.extensions["database"].close()
    assert nobody["owner"] == "" and nobody["runs_at_once"] == {"limit": 64, "left": 64}
    assert nobody["cpu_seconds_per_hour"]["limit"] == 3600.0
    assert 3000 <= nobody["cpu_seconds_per_hour"]["left"] < 3060
    assert ada["runs_at_once"] == {"limit": 3, "left": 2}
    assert ada["cpu_seconds_per_hour"] == {"limit": 7200.0, "left": 7200.0}


# --- Memory -------------------------------------------------------------------------------------------------


def test_owners_whose_seconds_are_back_are_forgotten(clock: Clock) -> None:
    counting = quotas(clock, cpu=3600, owners=0)
    for number in range(5000):
        use(counting, page(number), 0.02)
        clock.now += 0.01
        assert len(counting._accounts) <= SWEEP_ABOVE + 1


def test_who_has_used_nothing_is_forgotten_at_once(clock: Clock) -> None:
    counting = quotas(clock)
    for number in range(100):
        may_run(counting, page(number))
        counting.allowance(page(number))
        refusal(counting, page(number), 4)
    assert not counting._accounts


@pytest.mark.parametrize("of", ["cookies", "addresses"])
def test_any_number_of_them_does_not_fill_the_memory(clock: Clock, of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when nothing comes back. Those that owe most, and those that run, stay."""
    monkeypatch.setattr("sandbox.quotas.SWEEP_ABOVE", 10)
    monkeypatch.setattr("sandbox.quotas.KEPT_ACCOUNTS", 50)
    counting = quotas(clock, cpu=1, owners=0)
    use(counting, ADA, 50)
    with counting.counted(BOB):
        for number in range(2000):
            use(counting, page(number) if of == "cookies" else Caller(f"2001:db8:0:{number:x}::1"), 0.5)
            assert len(counting._accounts) <= 101
        assert not may_run(counting, ADA)
        assert counting.allowance(BOB).runs_at_once.left == 2
