"""The tables and targets of what owners get. Pure, as `report`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.markdown import TITLES, Target, cells, table

Results = dict[str, Any]
Bar = tuple[str, str, dict[str, float]]

CLASSES = {"opened": "the page open for 15 s", "at_once": "the page just opened"}
NAMES = {"ours": "ours, kept containers", "bare": "bare interpreter on the host", "plain": "`docker run --rm`"}


def targets(results: Results) -> list[Target]:
    """Those that these results can say something about."""
    found: list[Target] = []
    if "kept" in results:
        found += _of_kept(results["kept"])
    if "classroom" in results:
        classroom = results["classroom"]
        for name, title in CLASSES.items():
            load, bare = classroom[name], classroom["bare"]
            refused = load["refused"]["count"] + load["failed"]
            found.append(Target(f"class of 30, {title}: p95 / bare start", load["accepted"]["p95"] / bare["p50"], 10))
            found.append(Target(f"class of 30, {title}: refused or failed", refused, 0, unit=""))
    if "neighbour" in results:
        quiet, beside = (results["neighbour"][name]["accepted"] for name in ("quiet", "beside"))
        found.append(Target("beside a flood, p95 / quiet p50", beside["p95"] / quiet["p50"], 3))
    if "keeping" in results:
        grown = results["keeping"]["after_mb"] - results["keeping"]["before_mb"]
        found.append(Target(f"server memory, growth over {results['keeping']['runs']} kept runs", grown, 10, unit="MB"))
    return found


def _of_kept(kept: Results) -> Iterator[Target]:
    for language, of_plain, of_bare in (("python", 10, 0.7), ("node", 4, 0.6)):
        loads, title = kept[language], TITLES[language]
        ours = loads["ours"]
        for name, bound in (("plain", of_plain), ("bare", of_bare)):
            share = ours["per_second"] / max(0.001, loads[name]["per_second"])
            found = f"{title}, kept, 4 at once: runs/s / {name}"
            yield Target(found, share, bound, at_least=True)
        yield Target(f"{title}, kept, 4 at once: p99 / p50", ours["accepted"]["p99"] / ours["accepted"]["p50"], 6)


def _kept(kept: Results) -> str:
    rows = [
        (TITLES[language], NAMES[name], f"{load['per_second']:.1f}", *cells(load["accepted"]))
        for language, loads in kept.items()
        for name, load in loads.items()
    ]
    head = ("language", "way", "runs/s", "p50", "p90", "p99")
    return "### One owner, 4 clients, each asking again at once\n\n" + table(head, rows)


def _classroom(found: Results) -> str:
    rows = [("a bare start", *cells(found["bare"]), f"{found['bare']['p95']:.1f}", "")]
    for name, title in CLASSES.items():
        load = found[name]
        spread = load["accepted"]
        rows.append((f"a run, {title}", *cells(spread), f"{spread['p95']:.1f}", str(load["refused"]["count"])))
    head = ("", "p50", "p90", "p99", "p95", "refused")
    return "### 30 owners, each a Python hello every 3 s, from their first one on\n\n" + table(head, rows)


def _neighbour(found: Results) -> str:
    rows = [
        (title, *cells(found[name]["accepted"]), f"{found[name]['accepted']['p95']:.1f}")
        for name, title in (("quiet", "alone"), ("beside", "beside an owner who floods with 64 clients"))
    ]
    head = ("an owner who asks once a second", "p50", "p90", "p99", "p95")
    return "### A neighbour who floods\n\n" + table(head, rows)


def _keeping(found: Results) -> str:
    rows = [
        (
            f"{row['count']}",
            *(f"{row[name]:.1f} MB" for name in ("container_mb", "client_mb", "shim_mb", "server_mb")),
        )
        for row in found["kept"]
    ]
    head = ("kept containers", "each, its own memory", "its docker client", "its shim", "the server")
    grown = f"The server after {found['runs']} kept runs: {found['before_mb']:.1f} -> {found['after_mb']:.1f} MB."
    return "### What keeping costs\n\n" + table(head, rows) + "\n\n" + grown


TABLES: dict[str, Callable[[Any], str]] = {
    "kept": _kept,
    "classroom": _classroom,
    "neighbour": _neighbour,
    "keeping": _keeping,
}


def bars(results: Results) -> Iterator[tuple[str, list[Bar]]]:
    """What the plot shows of it: a title, and a name, a colour and a spread for each bar."""
    for language, loads in results.get("kept", {}).items():
        named = [
            (f"{NAMES[name].replace('`', '')}, {load['per_second']:.0f} runs/s", name, load["accepted"])
            for name, load in loads.items()
        ]
        yield f"{TITLES[language]} hello world, one owner, 4 clients, p50 (bar) and p99 (line), ms", named
