"""Each scenario of the benchmark runs, and is reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pytest

from bench import files, report, run, scenarios
from tests.conftest import ROOT


def check_latency(found: dict[str, Any]) -> None:
    for language in ("python", "node"):
        ways = found[language]
        assert {scenarios.BARE_HOST, scenarios.BARE_CONTAINER, scenarios.PLAIN, scenarios.FLOOR} < set(ways)
        assert all(times["count"] == 2 and times["p50"] > 1 for times in ways.values())


def check_throughput(found: list[dict[str, Any]]) -> None:
    assert [row["concurrency"] for row in found] == [2]
    assert all(row[side]["failed"] == 0 for row in found for side in ("ours", "plain"))


def check_overload(found: dict[str, Any]) -> None:
    assert found["load"]["failed"] == 0
    assert found["load"]["accepted"]["count"] + found["load"]["refused"]["count"] > 0


def check_sizes(found: dict[str, Any]) -> None:
    assert found["page of the history (50 runs)"]["count"] == 100
    assert all(times["p50"] > 0.1 for times in found.values())


def check_memory(found: dict[str, float]) -> None:
    assert found["waiting_container_mb"] > 1
    assert 20 < found["started_mb"] <= found["after_flood_mb"] + 20


def check_kept(found: dict[str, Any]) -> None:
    assert all(load["failed"] == 0 < load["per_second"] for loads in found.values() for load in loads.values())


def check_classroom(found: dict[str, Any]) -> None:
    for load in (found["opened"], found["at_once"]):
        assert load["failed"] == 0
        assert load["accepted"]["count"] + load["refused"]["count"] == 30
    assert found["bare"]["count"] >= 5


def check_neighbour(found: dict[str, Any]) -> None:
    assert all(found[name]["accepted"]["count"] > 0 == found[name]["failed"] for name in ("quiet", "beside"))


def check_keeping(found: dict[str, Any]) -> None:
    assert [row["count"] for row in found["kept"]] == [1]
    assert found["kept"][0]["container_mb"] > 1


def check_files(found: dict[str, Any]) -> None:
    assert set(found["times"]) == {files.PLAIN_HELLO, files.ARTIFACTS_HELLO, files.AS_ZIP, files.AS_FILES, files.TEN_MB}
    assert 20 < found["before_mb"] <= found["after_mb"] + 20


def check_packs(found: dict[str, Any]) -> None:
    assert [len(times) for times in found.values()] == [3, 3]
    assert all(spread["p50"] > 1 for times in found.values() for spread in times.values())


CHECKS: dict[str, Callable[[Any], None]] = {
    "latency": check_latency,
    "throughput": check_throughput,
    "overload": check_overload,
    "sizes": check_sizes,
    "memory": check_memory,
    "kept": check_kept,
    "classroom": check_classroom,
    "neighbour": check_neighbour,
    "keeping": check_keeping,
    "files": check_files,
    "packs": check_packs,
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(CHECKS))
def test_each_scenario_runs_and_is_reported(real_engine: None, name: str) -> None:
    if os.geteuid() != 0:
        pytest.fail("The benchmark starts the image's interpreter in a chroot, which takes root.", pytrace=False)
    results = bench(name, "--quick", "--json")
    CHECKS[name](results[name])
    assert report.tables(results).count("\n###") >= 1
    assert ElementTree.fromstring(report.plot(results)).tag.endswith("svg")
    assert all(target.row() for target in report.targets(results))


def bench(*arguments: str) -> dict[str, Any]:
    """What `bench/run.py` prints; it is ended in a way that lets it clean up."""
    argv = [sys.executable, "bench/run.py", *arguments]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            output, problems = process.communicate(timeout=240)
        finally:
            process.terminate()
    assert process.returncode == 0, problems
    results: dict[str, Any] = json.loads(output)
    return results


def test_every_scenario_is_tried_here() -> None:
    assert set(CHECKS) == set(run.SCENARIOS)
