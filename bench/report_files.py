"""The tables and targets of files and packs. Pure, as `report`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.files import ARTIFACTS_HELLO, AS_FILES, AS_ZIP, BARE, C_TITLE, KEPT, PLAIN_HELLO, PLOT_TITLE, TEN_MB, WAITING
from bench.markdown import Target, cells, table
from bench.scenarios import COLD

Results = dict[str, Any]


def targets(results: Results) -> Iterator[Target]:
    """Those that these results can say something about."""
    if "files" in results:
        yield from _of_files(results["files"])
    if "packs" in results:
        c_hello, plot = results["packs"][C_TITLE], results["packs"][PLOT_TITLE]
        yield Target(f"{C_TITLE}, waiting container / bare", _share(c_hello, WAITING, BARE), 1.3)
        yield Target(f"{PLOT_TITLE}, fresh container / bare", _share(plot, COLD, BARE), 1.3)
        yield Target(f"{PLOT_TITLE}, kept container / bare", _share(plot, KEPT, BARE), 1.3)


def _of_files(found: Results) -> Iterator[Target]:
    times = found["times"]
    yield Target("hello with `artifacts` asked / without, p50", _share(times, ARTIFACTS_HELLO, PLAIN_HELLO), 1.15)
    yield Target("1000 files / zip of 1000 files, p50", _share(times, AS_FILES, AS_ZIP), 1)
    yield Target(f"{TEN_MB}, p50", times[TEN_MB]["p50"], 250, unit="ms")
    yield Target("server memory, growth meanwhile", found["after_mb"] - found["before_mb"], 10, unit="MB")


def _share(times: Results, name: str, of: str) -> float:
    return float(times[name]["p50"] / times[of]["p50"])


def _files(found: Results) -> str:
    rows = [(name, *cells(spread)) for name, spread in found["times"].items()]
    return "### Files in and out, one at a time, side by side\n\n" + table(("what", "p50", "p90", "p99"), rows)


def _packs(found: Results) -> str:
    rows = [
        (title, name, *cells(spread), f"{spread['p50'] / times[BARE]['p50']:.2f}")
        for title, times in found.items()
        for name, spread in times.items()
    ]
    return "### Programs of packs, one at a time, side by side\n\n" + table(
        ("program", "way", "p50", "p90", "p99", "p50 / bare"), rows
    )


TABLES: dict[str, Callable[[Any], str]] = {"files": _files, "packs": _packs}
