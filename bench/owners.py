"""What owners get: kept containers under load, a class, a neighbour who floods, and what keeping costs."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from bench.effort import Effort
from bench.measure import Answer, Load, closed_loop, paced, spread, summarize
from bench.plain import HELLO, BareLoop, bare_loops, bare_on_host, plain_run
from bench.service import Client, Service, connection, new_owner, service, waiting_cost
from sandbox.engine.flags import options_for
from sandbox.settings import Settings

CLIENTS = 4
PUPILS = 30
PERIOD_SECONDS = 3.0
FLOODING = 64
KEPT = (1, 10, 100)
WAYS = ("ours", "bare", "plain")


def kept(settings: Settings, effort: Effort) -> dict[str, dict[str, Load]]:
    """Closed loop of one owner, bare interpreters, plain containers; of the repeats, that with the median ours/bare."""
    image = options_for(settings, podman=False).image
    found = {}
    with service(settings.docker) as ours, bare_loops(settings.docker, image, CLIENTS) as loops:
        for language in HELLO:
            cookie = new_owner(ours)
            ways: dict[str, Callable[[], Callable[[], Answer]]] = {
                "ours": connection(ours, HELLO[language], language, "hello\n", cookie=cookie),
                "bare": _bare(loops, language),
                "plain": functools.partial(_plain, settings, language),
            }
            rounds = [_round(ways, effort, number) for number in range(effort.repeats)]
            rounds.sort(key=lambda loads: loads["ours"].per_second / max(0.001, loads["bare"].per_second))
            found[language] = rounds[(len(rounds) - 1) // 2]
    return found


def _bare(loops: list[BareLoop], language: str) -> Callable[[], Callable[[], Answer]]:
    """Each client has a loop of its own."""
    free = itertools.cycle(loops)

    def connect() -> Callable[[], Answer]:
        loop = next(free)
        return lambda: Answer(200, loop.run(language))

    return connect


def _plain(settings: Settings, language: str) -> Callable[[], Answer]:
    return lambda: Answer(200, plain_run(settings, language))


def _round(ways: dict[str, Callable[[], Callable[[], Answer]]], effort: Effort, number: int) -> dict[str, Load]:
    loads = {}
    for name in WAYS if number % 2 == 0 else reversed(WAYS):
        loads[name] = closed_loop(ways[name], CLIENTS, effort.ramp_seconds, effort.load_seconds)
        time.sleep(effort.ramp_seconds)
    return loads


def classroom(settings: Settings, effort: Effort) -> dict[str, Any]:
    """So many owners behind one address, each with a hello every three seconds, from their first one on.

    Once they begin a moment after they have opened the page, as people do, and once in that very second.
    """
    with bare_on_host(settings.docker, options_for(settings, podman=False).image) as loop:
        bare = spread([loop.run("python") for _ in range(max(5, effort.rounds // 2))])
    found = {"bare": asdict(bare)}
    for name, pause_seconds in (("opened", effort.opening_seconds), ("at_once", 0)):
        with service(settings.docker) as ours:
            cookies = [new_owner(ours) for _ in range(PUPILS)]
            pupils = [connection(ours, HELLO["python"], "python", "hello\n", cookie=cookie) for cookie in cookies]
            time.sleep(pause_seconds)
            answers = paced(pupils, PERIOD_SECONDS, effort.classroom_seconds)
        found[name] = asdict(summarize(answers, effort.classroom_seconds))
    return found


def neighbour(settings: Settings, effort: Effort) -> dict[str, Any]:
    """An owner who asks once a second: alone, and beside one who floods with many clients."""
    with service(settings.docker) as ours:
        quiet_one = connection(ours, HELLO["python"], "python", "hello\n", cookie=new_owner(ours))
        flooding_one = connection(ours, HELLO["python"], "python", "hello\n", cookie=new_owner(ours))
        quiet = paced([quiet_one], 1.0, effort.neighbour_seconds)
        seconds = effort.neighbour_seconds + 4
        flood = threading.Thread(target=closed_loop, args=(flooding_one, FLOODING, 0.0, seconds))
        flood.start()
        time.sleep(2)
        beside = paced([quiet_one], 1.0, effort.neighbour_seconds)
        flood.join()
    return {
        name: asdict(summarize(answers, effort.neighbour_seconds))
        for name, answers in (("quiet", quiet), ("beside", beside))
    }


def keeping(settings: Settings, effort: Effort) -> dict[str, Any]:
    """Memory for so many kept containers, and of the server over many runs."""
    found: dict[str, Any] = {"kept": []}
    with service(settings.docker, pool="", keep_idle_seconds=3000, keep_age_seconds=3000) as ours:
        owners: list[str] = []
        for count in KEPT[: effort.kept_sizes]:
            owners += [_first_run(ours) for _ in range(count - len(owners))]
            time.sleep(1)
            cost = waiting_cost(ours)
            found["kept"].append({"count": len(ours.containers()), "server_mb": ours.rss_mb(), **asdict(cost)})
    with service(settings.docker) as ours:
        cookie = new_owner(ours)
        soak(ours, cookie, effort.soak_runs)
        found["before_mb"] = ours.rss_mb()
        soak(ours, cookie, effort.kept_soak_runs)
        found["after_mb"] = ours.rss_mb()
    return found | {"runs": effort.kept_soak_runs}


def _first_run(target: Service) -> str:
    cookie = new_owner(target)
    Client(target, cookie).run(HELLO["python"], "python", "hello\n")
    return cookie


def soak(target: Service, cookie: str, runs: int) -> None:
    """So many runs of one owner by four clients."""
    left = iter(range(runs))
    lock = threading.Lock()

    def worker() -> None:
        client = Client(target, cookie)
        while True:
            with lock:
                if next(left, None) is None:
                    return
            client.run(HELLO["python"], "python", "hello\n")

    threads = [threading.Thread(target=worker) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
