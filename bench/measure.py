"""Clocks and loops: how long something takes, alone, paced, or under load. Knows nothing of what it measures."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

REFUSED = (429, 503)
"""Statuses of a service that says no."""


@dataclass(frozen=True)
class Probe:
    """One thing to time."""

    once: Callable[[], float]
    """Does it and returns the milliseconds it took."""
    rest_seconds: float
    """Quiet afterwards, for what goes on behind an answer: removing a container, starting its successor."""


@dataclass(frozen=True)
class Spread:
    """Percentiles of a set of times, in milliseconds."""

    count: int
    p50: float
    p90: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Answer:
    """One request under load: HTTP status (0: the connection failed), its time, and the part spent queueing."""

    status: int
    milliseconds: float
    queued_ms: float = 0.0


@dataclass(frozen=True)
class Load:
    """What a service did under load within the measured seconds."""

    per_second: float
    """Answers with status 200."""
    accepted: Spread
    served: Spread
    """The accepted ones, without the time they said they queued."""
    refused: Spread
    failed: int
    """Neither 200 nor refused."""


def spread(times_ms: Sequence[float]) -> Spread:
    """Percentiles by nearest rank; zeros for no times at all."""
    ordered = sorted(times_ms) or [0.0]

    def rank(share: float) -> float:
        return ordered[math.ceil(share * len(ordered)) - 1]

    return Spread(count=len(times_ms), p50=rank(0.5), p90=rank(0.9), p95=rank(0.95), p99=rank(0.99))


def clocked(call: Callable[[], object]) -> float:
    """Milliseconds that one call takes."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def side_by_side(probes: Mapping[str, Probe], rounds: int) -> dict[str, Spread]:
    """Try every probe once a round, so that slow and quiet times of the machine fall on all of them alike.

    Each round begins with another probe, so that none always has the same one before it.
    """
    times: dict[str, list[float]] = {name: [] for name in probes}
    names = list(probes)
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            times[name].append(probes[name].once())
            time.sleep(probes[name].rest_seconds)
    return {name: spread(values) for name, values in times.items()}


def closed_loop(
    connect: Callable[[], Callable[[], Answer]], concurrency: int, ramp_seconds: float, seconds: float
) -> Load:
    """So many clients, each asking again as soon as it is answered; the ramp is not counted.

    Clients that are refused wait a tenth of a second, or they would do nothing else.
    """
    begin = time.perf_counter() + ramp_seconds
    end = begin + seconds
    answers: list[Answer] = []

    def client() -> None:
        ask = connect()
        while time.perf_counter() < end:
            answer = ask()
            if begin <= time.perf_counter() < end:
                answers.append(answer)
            if answer.status != 200:
                time.sleep(0.1)

    _in_parallel([client] * concurrency)
    return summarize(answers, seconds)


def open_loop(connect: Callable[[], Callable[[], Answer]], per_second: float, seconds: float) -> Load:
    """Requests at a fixed rate, whether or not earlier ones were answered. Rates are over the offering time."""
    answers: list[Answer] = []
    begin = time.perf_counter() + 0.5
    end = begin + seconds
    in_time = 0

    def request(due: float) -> None:
        nonlocal in_time
        ask = connect()
        time.sleep(max(0.0, due - time.perf_counter()))
        answer = ask()
        answers.append(answer)
        in_time += answer.status == 200 and time.perf_counter() < end

    _in_parallel([_bound(request, begin + number / per_second) for number in range(int(per_second * seconds))])
    return replace(summarize(answers, seconds), per_second=in_time / seconds)


def paced(
    connects: Sequence[Callable[[], Callable[[], Answer]]], period_seconds: float, seconds: float
) -> list[Answer]:
    """Clients that ask once each period, evenly spread over it, one at a time each."""
    answers: list[Answer] = []
    begin = time.perf_counter() + 0.5

    def client(connect: Callable[[], Callable[[], Answer]], offset: float) -> None:
        ask = connect()
        due = begin + offset
        while due < begin + seconds:
            time.sleep(max(0.0, due - time.perf_counter()))
            answers.append(ask())
            due = max(due + period_seconds, time.perf_counter())

    share = period_seconds / len(connects)
    _in_parallel([functools.partial(client, connect, number * share) for number, connect in enumerate(connects)])
    return answers


def summarize(answers: Sequence[Answer], seconds: float) -> Load:
    accepted = [answer for answer in answers if answer.status == 200]
    return Load(
        per_second=len(accepted) / seconds,
        accepted=spread([answer.milliseconds for answer in accepted]),
        served=spread([answer.milliseconds - answer.queued_ms for answer in accepted]),
        refused=spread([answer.milliseconds for answer in answers if answer.status in REFUSED]),
        failed=sum(answer.status not in (200, *REFUSED) for answer in answers),
    )


def _bound(call: Callable[[float], None], argument: float) -> Callable[[], None]:
    return lambda: call(argument)


def _in_parallel(calls: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(calls)) as workers:
        for future in [workers.submit(call) for call in calls]:
            future.result()
