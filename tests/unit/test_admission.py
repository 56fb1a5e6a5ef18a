"""Admission: who runs, who waits, who gives up. No containers; time only where a deadline is the claim."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.admission import POLL_SECONDS, Admission
from sandbox.errors import Busy, Cancelled
from sandbox.models import Caller
from tests.turns import PATIENT, enter, granted, in_background, never

# --- Places -----------------------------------------------------------------------------------------------


def test_no_more_run_at_once_than_there_are_places() -> None:
    admission = Admission(slots=2, queue_size=10, queue_seconds=PATIENT)
    tickets = [enter(admission, "a") for _ in range(5)]
    assert [granted(ticket) for ticket in tickets] == [True, True, False, False, False]
    assert (admission.running, admission.waiting) == (2, 3)


def test_a_place_given_back_goes_to_the_next_in_line() -> None:
    admission = Admission(slots=1, queue_size=10, queue_seconds=PATIENT)
    first, second, third = (enter(admission, "a") for _ in range(3))
    admission.leave(first)
    assert granted(second)
    assert not granted(third)


def test_a_free_place_costs_no_waiting() -> None:
    admission = Admission(slots=1, queue_size=0, queue_seconds=0)
    with enter(admission, "a") as ticket:
        assert ticket.wait(never) < 50


def test_the_time_in_the_queue_is_told_in_milliseconds() -> None:
    admission = Admission(slots=1, queue_size=1, queue_seconds=PATIENT)
    first, second = enter(admission, "a"), enter(admission, "a")
    timer = threading.Timer(0.3, admission.leave, [first])
    timer.start()
    waited = second.wait(never)
    timer.join()
    assert 250 <= waited < 3000


def test_leaving_twice_gives_one_place_back_once() -> None:
    admission = Admission(slots=1, queue_size=10, queue_seconds=PATIENT)
    first, second, third = (enter(admission, "a") for _ in range(3))
    admission.leave(first)
    admission.leave(first)
    assert granted(second)
    assert not granted(third)
    assert admission.running == 1


def test_a_program_that_fails_gives_its_place_back() -> None:
    admission = Admission(slots=1, queue_size=0, queue_seconds=PATIENT)
    with pytest.raises(ZeroDivisionError), enter(admission, "a") as ticket:
        ticket.wait(never)
        raise ZeroDivisionError
    assert admission.running == 0


# --- Fairness ---------------------------------------------------------------------------------------------


def test_free_places_go_round_the_addresses() -> None:
    admission = Admission(slots=1, queue_size=20, queue_seconds=PATIENT)
    running = enter(admission, "noisy")
    waiting = [enter(admission, address) for address in ("noisy", "noisy", "noisy", "quiet", "third", "quiet")]
    order = []
    while waiting:
        admission.leave(running)
        (running,) = (ticket for ticket in waiting if granted(ticket))
        waiting.remove(running)
        order.append(running.batch.address)
    assert order == ["noisy", "quiet", "third", "noisy", "quiet", "noisy"]


def test_an_address_with_fifty_waiting_delays_a_newcomer_by_one_run() -> None:
    admission = Admission(slots=1, queue_size=64, queue_seconds=PATIENT)
    running = enter(admission, "noisy")
    crowd = [enter(admission, "noisy") for _ in range(50)]
    newcomer = enter(admission, "quiet")
    admission.leave(running)
    admission.leave(crowd[0])
    assert granted(newcomer)


def test_the_places_of_an_address_go_round_its_owners() -> None:
    admission = Admission(slots=1, queue_size=20, queue_seconds=PATIENT)
    running = enter(admission, "school", "ada")
    waiting = [enter(admission, "school", owner) for owner in ("ada", "ada", "ada", "bob", "cy", "bob")]
    waiting.append(enter(admission, "home", "dan"))
    order = []
    while waiting:
        admission.leave(running)
        (running,) = (ticket for ticket in waiting if granted(ticket))
        waiting.remove(running)
        order.append(running.batch.owner)
    assert order == ["ada", "dan", "bob", "cy", "ada", "bob", "ada"]


def test_fifty_owners_at_one_address_delay_another_by_one_run() -> None:
    admission = Admission(slots=1, queue_size=64, queue_seconds=PATIENT)
    running = enter(admission, "noisy")
    crowd = [enter(admission, f"2001:db8::{number}", f"page:{number}") for number in range(50)]
    newcomer = enter(admission, "2001:db8:0:1::1", "page:newcomer")
    admission.leave(running)
    admission.leave(crowd[0])
    assert granted(newcomer)


def test_an_owner_has_a_share_of_each_address_he_comes_from() -> None:
    admission = Admission(slots=1, queue_size=20, queue_seconds=PATIENT)
    running = enter(admission, "home", "key:ada")
    crowd = [enter(admission, "home", "key:ada") for _ in range(5)]
    elsewhere = enter(admission, "school", "key:ada")
    admission.leave(running)
    admission.leave(crowd[0])
    assert granted(elsewhere)


# --- Giving up --------------------------------------------------------------------------------------------


def test_the_deadline_ends_the_waiting() -> None:
    admission = Admission(slots=1, queue_size=5, queue_seconds=0.3)
    enter(admission, "a")
    late = enter(admission, "a")
    started = time.monotonic()
    with pytest.raises(Busy), late:
        late.wait(never)
    assert 0.25 <= time.monotonic() - started < 2
    assert (admission.running, admission.waiting) == (1, 0)


def test_a_place_that_comes_free_at_the_deadline_is_not_lost() -> None:
    admission = Admission(slots=1, queue_size=5, queue_seconds=0)
    first, lucky = enter(admission, "a"), enter(admission, "a")

    def frees_the_place() -> bool:
        admission.leave(first)
        return False

    with lucky:
        lucky.wait(frees_the_place)
        assert admission.running == 1
    assert admission.running == 0


def test_a_caller_that_went_away_leaves_the_queue() -> None:
    admission = Admission(slots=1, queue_size=5, queue_seconds=PATIENT)
    first = enter(admission, "a")
    vanished, patient = enter(admission, "a"), enter(admission, "b")
    started = time.monotonic()
    with pytest.raises(Cancelled), vanished:
        vanished.wait(lambda: True)
    assert time.monotonic() - started < POLL_SECONDS * 10
    assert admission.waiting == 1
    admission.leave(first)
    assert granted(patient)
    assert admission.running == 1


# --- The end ----------------------------------------------------------------------------------------------


def test_closing_refuses_those_who_wait_and_lets_those_who_run_finish() -> None:
    admission = Admission(slots=1, queue_size=5, queue_seconds=PATIENT)
    running, waiting = enter(admission, "a"), enter(admission, "b")
    admission.close()
    with pytest.raises(Busy, match="shutting down"), waiting:
        waiting.wait(never)
    with pytest.raises(Busy, match="shutting down"):
        enter(admission, "c")
    assert not admission.wait_idle(0.01)
    leaver = in_background(lambda: admission.leave(running))
    assert admission.wait_idle(5)
    leaver.join()


def test_closing_lets_a_batch_that_has_begun_go_on() -> None:
    admission = Admission(slots=1, queue_size=5, queue_seconds=PATIENT)
    first, second = admission.enter(Caller("a"), [0] * 2)
    admission.close()
    admission.leave(first)
    assert granted(second)
    assert not admission.wait_idle(0.01)
    admission.leave(second)
    assert admission.wait_idle(0)


# --- With threads -----------------------------------------------------------------------------------------


def test_every_place_comes_back_exactly_once_under_concurrency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.admission.POLL_SECONDS", 0.01)
    admission = Admission(slots=3, queue_size=16, queue_seconds=0.25)
    running, most, lock = 0, 0, threading.Lock()

    def visit(number: int) -> str:
        nonlocal running, most
        dice = random.Random(number)
        try:
            ticket = enter(admission, f"address {number % 2}", f"owner {number % 4}")
            with ticket:
                ticket.wait(lambda: dice.random() < 0.5)
                with lock:
                    running += 1
                    most = max(most, running)
                time.sleep(dice.random() * 0.005)
                with lock:
                    running -= 1
                return "ran"
        except (Busy, Cancelled) as refusal:
            time.sleep(dice.random() * 0.02)
            return type(refusal).__name__

    with ThreadPoolExecutor(24) as callers:
        outcomes = list(callers.map(visit, range(600)))
    assert most == 3
    assert set(outcomes) == {"ran", "Busy", "Cancelled"}
    assert (admission.running, admission.waiting) == (0, 0)
    assert all(granted(enter(admission, "last")) for _ in range(3)), "a place was lost"
