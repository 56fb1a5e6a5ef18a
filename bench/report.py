"""Turns results into tables, a plot and the list of targets. Pure: reads and writes no file, measures nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from bench import report_files, report_owners
from bench.markdown import TITLES, Target, cells, table
from bench.scenarios import BARE_HOST, BATCH, DIRECT, KEPT, ONE, PLAIN, SERVER_ALONE, WARM

BEGIN = "<!-- benchmark: begin (written by `make bench`) -->"
END = "<!-- benchmark: end -->"

Results = dict[str, Any]

COLOURS = {"bare": "#8a94a6", "plain": "#d08c60", "ours": "#2f7dd1"}


def insert(page: str, tables: str) -> str:
    """The page with what stands between the markers replaced.

    :raises ValueError: when a marker is missing.
    """
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"The page lacks the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{tables.strip()}\n\n{END}{after}"


def tables(results: Results) -> str:
    """Everything measured, as markdown."""
    makers: dict[str, Callable[[Any], str]] = {
        "latency": _latency,
        "throughput": _throughput,
        "overload": _overload,
        "sizes": _sizes,
        "memory": _memory,
        **report_owners.TABLES,
        **report_files.TABLES,
    }
    parts = [_machine(results["machine"])]
    rows = [target.row() for target in targets(results)]
    if rows:
        parts.append("### Targets\n\n" + table(("what", "target", "measured", "met"), rows))
    parts += [maker(results[name]) for name, maker in makers.items() if name in results]
    return "\n\n".join(parts) + "\n"


# --- Targets ----------------------------------------------------------------------------------------------


def targets(results: Results) -> list[Target]:
    """Those that these results can say something about."""
    found = []
    if "latency" in results:
        for language, p50, p99, reused in (("python", 0.8, 2.0, 0.55), ("node", 0.35, 1.0, 0.3)):
            times = results["latency"][language]
            bare, warm = times[BARE_HOST], times[WARM]
            title = TITLES[language]
            found.append(Target(f"{title} hello, p50 / bare p50", warm["p50"] / bare["p50"], p50))
            found.append(Target(f"{title} hello, p99 / bare p50", warm["p99"] / bare["p50"], p99))
            if kept := times.get(KEPT):
                found.append(
                    Target(f"{title} hello, kept container, p50 / bare p50", kept["p50"] / bare["p50"], reused)
                )
        times = results["latency"]["python"]
        overhead = times[WARM]["p50"] - times[DIRECT]["p50"]
        found.append(Target("overhead of HTTP, history and JSON, p50, paced", overhead, 1.5, unit="ms"))
    for row in results.get("throughput", ()):
        share = row["ours"]["per_second"] / max(0.001, row["plain"]["per_second"])
        found.append(Target(f"throughput / plain, {row['concurrency']} at once", share, 0.95, at_least=True))
    if "sizes" in results:
        times = results["sizes"]
        alone = times[SERVER_ALONE]["p50"]
        found.append(Target("overhead of HTTP, history and JSON, p50, back to back", alone, 1.5, unit="ms"))
        found.append(Target("batch of 5 / one run, p50, warm", times[BATCH]["p50"] / times[ONE]["p50"], 2))
    if "memory" in results:
        grown = results["memory"]["after_runs_mb"] - results["memory"]["before_mb"]
        found.append(Target(f"server memory, growth over {results['memory']['runs']} runs", grown, 10, unit="MB"))
    return [*found, *report_owners.targets(results), *report_files.targets(results)]


# --- Tables -----------------------------------------------------------------------------------------------


def _machine(machine: dict[str, str]) -> str:
    return (
        f"Measured {machine['date']} on {machine['cpu']}, Linux {machine['kernel']}, {machine['engine']}; the image "
        f"has {machine['python']} and {machine['node']}, the server runs on {machine['server']}. Times in milliseconds."
    )


def _latency(latency: dict[str, Any]) -> str:
    parts = []
    for language, times in latency.items():
        bare = times[BARE_HOST]["p50"]
        rows = [(name, *cells(spread), f"{spread['p50'] / bare:.2f}") for name, spread in times.items()]
        count = next(iter(times.values()))["count"]
        parts.append(
            f"### Hello world in {TITLES[language]}, one at a time, side by side ({count} rounds)\n\n"
            + table(("way", "p50", "p90", "p99", "p50 / bare"), rows)
        )
    return "\n\n".join(parts)


def _throughput(rows: list[dict[str, Any]]) -> str:
    cells = [
        (
            str(row["concurrency"]),
            f"{row['ours']['per_second']:.1f}",
            f"{row['plain']['per_second']:.1f}",
            f"{row['ours']['per_second'] / max(0.001, row['plain']['per_second']):.2f}",
            *(f"{row[side]['accepted'][rank]:.0f}" for rank in ("p50", "p99") for side in ("ours", "plain")),
            str(row["ours"]["refused"]["count"] + row["ours"]["failed"]),
        )
        for row in rows
    ]
    head = ("clients", "ours, runs/s", "plain, runs/s", "ratio", "ours p50", "plain p50", "ours p99", "plain p99")
    return "### Throughput: so many clients, each asking again at once (every run in a fresh container)\n\n" + table(
        (*head, "refused"), cells
    )


def _overload(overload: dict[str, Any]) -> str:
    load, capacity = overload["load"], overload["capacity"]
    rows = [
        ("answered per second at capacity (8 clients)", f"{capacity['per_second']:.1f}"),
        (f"offered per second, for {overload['seconds']:.0f} s", f"{overload['offered_per_second']:.1f}"),
        ("answered per second meanwhile", f"{load['per_second']:.1f}"),
        ("refused (503)", str(load["refused"]["count"])),
        ("failed otherwise", str(load["failed"])),
        ("a refusal takes, p50 / p99", f"{load['refused']['p50']:.1f} / {load['refused']['p99']:.1f} ms"),
        (
            "an accepted run without its queueing, p50 / p99",
            f"{load['served']['p50']:.0f} / {load['served']['p99']:.0f} ms",
        ),
        ("the same at capacity", f"{capacity['served']['p50']:.0f} / {capacity['served']['p99']:.0f} ms"),
        (
            "an accepted run with its queueing, p50 / p99",
            f"{load['accepted']['p50']:.0f} / {load['accepted']['p99']:.0f} ms",
        ),
    ]
    return "### Offered twice what it can do\n\n" + table(("", ""), rows)


def _sizes(times: dict[str, Any]) -> str:
    rows = [(name, *cells(spread)) for name, spread in times.items()]
    return "### Larger things, one at a time\n\n" + table(("what", "p50", "p90", "p99"), rows)


def _memory(found: dict[str, float]) -> str:
    rows = [
        ("server, just started", f"{found['started_mb']:.1f} MB"),
        ("server, after 20 runs", f"{found['before_mb']:.1f} MB"),
        (f"server, after {found['runs']:.0f} more", f"{found['after_runs_mb']:.1f} MB"),
        ("server, after a program that wrote 64 MiB", f"{found['after_flood_mb']:.1f} MB"),
        ("a waiting container, its own memory", f"{found['waiting_container_mb']:.1f} MB"),
        ("its docker client on the host", f"{found['waiting_client_mb']:.1f} MB"),
        ("its shim on the host", f"{found['waiting_shim_mb']:.1f} MB"),
        ("CPU of server and clients at rest", f"{found['cpu_at_rest'] * 100:.2f} % of one CPU"),
    ]
    return "### Memory, and the cost of doing nothing\n\n" + table(("", ""), rows)


# --- The plot ---------------------------------------------------------------------------------------------

WIDTH, LEFT, ROW, SCALE_MS = 860, 300, 26, (1, 10, 100, 1000, 10000)


def plot(results: Results) -> str:
    """Horizontal bars to the median with a line to the 99th percentile, on a logarithmic scale, as SVG."""
    body: list[str] = []
    y = 20
    for language, times in results.get("latency", {}).items():
        body.append(_text(12, y + 14, f"{TITLES[language]} hello world, p50 (bar) and p99 (line), ms", bold=True))
        y += 28
        y = _bars(body, y, [(name.replace("`", ""), _colour(name), spread) for name, spread in times.items()])
    for title, loads in report_owners.bars(results):
        body.append(_text(12, y + 14, title, bold=True))
        y += 28
        y = _bars(body, y, loads)
    rows = results.get("throughput", [])
    if rows:
        body.append(_text(12, y + 14, "Python hello world under load, p50 (bar) and p99 (line), ms", bold=True))
        y += 28
        bars = [
            (f"{side}, {row['concurrency']} clients, {row[side]['per_second']:.1f} runs/s", side, row[side]["accepted"])
            for row in rows
            for side in ("ours", "plain")
        ]
        y = _bars(body, y, bars)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="13">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *body, "</svg>"]) + "\n"


def _bars(body: list[str], y: int, bars: list[tuple[str, str, dict[str, float]]]) -> int:
    bottom = y + ROW * len(bars)
    for tick in SCALE_MS:
        x = _x(tick)
        body.append(f'<line x1="{x:.1f}" y1="{y - 4}" x2="{x:.1f}" y2="{bottom}" stroke="#dde1e7"/>')
        body.append(_text(x, bottom + 14, f"{tick}", anchor="middle", colour="#667"))
    for name, colour, spread in bars:
        middle = y + ROW / 2 - 3
        x50, x99 = _x(spread["p50"]), _x(spread["p99"])
        body.append(_text(LEFT - 10, middle + 5, name, anchor="end"))
        body.append(
            f'<rect x="{LEFT}" y="{middle - 7}" width="{x50 - LEFT:.1f}" height="14" fill="{COLOURS[colour]}"/>'
            f'<line x1="{x50:.1f}" y1="{middle}" x2="{x99:.1f}" y2="{middle}" stroke="{COLOURS[colour]}" '
            'stroke-width="2"/>'
        )
        body.append(_text(x99 + 6, middle + 5, f"{spread['p50']:.1f} / {spread['p99']:.1f}", colour="#445"))
        y += ROW
    return y + 40


def _x(milliseconds: float) -> float:
    """Where on the logarithmic scale, which begins at 1 ms."""
    share = math.log10(max(1.0, milliseconds)) / math.log10(SCALE_MS[-1])
    return LEFT + share * (WIDTH - LEFT - 110)


def _colour(name: str) -> str:
    return "plain" if name == PLAIN else "bare" if name.startswith(("bare", "the floor")) else "ours"


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = "#112", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'
