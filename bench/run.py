"""Measures this project beside what it is compared with, and writes it down: `make bench`.

    python -m bench.run                 everything; about 45 minutes on a quiet machine
    python -m bench.run --quick         a few of each, to see that it works; writes nothing
    python -m bench.run latency sizes   only these

Writes docs/benchmark.json, docs/benchmark.svg, and the tables in docs/performance.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that `python bench/run.py` works as well

from bench import effort as efforts  # noqa: E402
from bench import files, owners, report, scenarios  # noqa: E402
from sandbox.engine.image import Image  # noqa: E402
from sandbox.settings import Settings, load  # noqa: E402

JSON_FILE = ROOT / "docs" / "benchmark.json"
SVG_FILE = ROOT / "docs" / "benchmark.svg"
PAGE = ROOT / "docs" / "performance.md"

SCENARIOS: dict[str, Callable[[Settings, efforts.Effort], Any]] = {
    "latency": scenarios.latency,
    "throughput": scenarios.throughput,
    "overload": scenarios.overload,
    "sizes": scenarios.sizes,
    "memory": scenarios.memory,
    "kept": owners.kept,
    "classroom": owners.classroom,
    "neighbour": owners.neighbour,
    "keeping": owners.keeping,
    "files": files.files,
    "packs": files.packs,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Measure, compare, write down.")
    parser.add_argument("scenario", nargs="*", help=f"which of {', '.join(SCENARIOS)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="a few of each, to see that it works; writes nothing")
    parser.add_argument("--json", action="store_true", help="print what was measured as JSON instead of tables")
    parser.add_argument("--rounds", type=int, help="how often each way of running hello world is timed")
    options = parser.parse_args(arguments)
    unknown = set(options.scenario) - set(SCENARIOS)
    if unknown:
        parser.error(f"unknown scenario {', '.join(sorted(unknown))}")

    # Unwinds, so that servers and containers go as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    settings = load()
    Image.of(settings).check()
    if os.geteuid() != 0:
        print("Run this as root: it starts the image's interpreter outside of a container, in a chroot.")
        return 1
    effort = efforts.QUICK if options.quick else efforts.FULL
    if options.rounds:
        effort = dataclasses.replace(effort, rounds=options.rounds)

    results = {} if options.quick else earlier()
    results["machine"] = machine(settings)
    for name in options.scenario or list(SCENARIOS):
        results[name] = measure(name, settings, effort)
        if not options.quick:  # after each: what was measured is not lost when the next one is interrupted
            write_down(results)
    print(json.dumps(results) if options.json else report.tables(results))
    return 0


def measure(name: str, settings: Settings, effort: efforts.Effort) -> Any:
    started = time.monotonic()
    print(f"{name} …", end=" ", flush=True, file=sys.stderr)
    found = json.loads(json.dumps(SCENARIOS[name](settings, effort), default=dataclasses.asdict))
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return found


def write_down(results: dict[str, Any]) -> None:
    JSON_FILE.write_text(json.dumps(results, indent=2) + "\n")
    SVG_FILE.write_text(report.plot(results))
    PAGE.write_text(report.insert(PAGE.read_text(), report.tables(results)))


def earlier() -> dict[str, Any]:
    """What was measured before, for the scenarios that are not measured now."""
    found: dict[str, Any] = json.loads(JSON_FILE.read_text()) if JSON_FILE.exists() else {}
    return found


def machine(settings: Settings) -> dict[str, str]:
    """What the numbers were taken on."""
    models = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    image = Image.of(settings)
    engine_version = image.client.ask("version", "--format", "{{.Server.Version}}")

    def version(program: str) -> str:
        argv = [settings.docker, "run", "--rm", "--network", "none", "--entrypoint", program, image.name, "--version"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": f"{os.cpu_count()} x {models[0] if models else os.uname().machine}",
        "kernel": os.uname().release.split("-")[0],
        "engine": f"{Path(settings.docker).name} {engine_version.strip()}",
        "python": version("python3"),
        "node": f"Node.js {version('node')}",
        "server": f"Python {sys.version.split()[0]}",
    }


if __name__ == "__main__":
    sys.exit(main())
