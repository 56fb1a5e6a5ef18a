"""What the benchmark prints is what it measured."""

from __future__ import annotations

import time

import pytest

from bench import measure, report
from bench.markdown import Target
from tests.conftest import ROOT


def test_percentiles_are_of_the_times_given() -> None:
    found = measure.spread([float(number) for number in range(100, 0, -1)])
    assert (found.count, found.p50, found.p90, found.p99) == (100, 50.0, 90.0, 99.0)


def test_no_times_make_an_empty_spread() -> None:
    assert measure.spread([]) == measure.Spread(0, 0.0, 0.0, 0.0, 0.0)


def test_side_by_side_tries_each_once_a_round_and_never_in_the_same_order_twice_running() -> None:
    tried: list[str] = []

    def probe(name: str) -> measure.Probe:
        def once() -> float:
            tried.append(name)
            return 1.0

        return measure.Probe(once, 0)

    found = measure.side_by_side({"a": probe("a"), "b": probe("b"), "c": probe("c")}, 2)
    assert "".join(tried) == "abcbca"
    assert {name: times.count for name, times in found.items()} == {"a": 2, "b": 2, "c": 2}


def test_refusals_and_failures_are_no_throughput() -> None:
    answers = [measure.Answer(200, 30, 20), measure.Answer(503, 2), measure.Answer(0, 1), measure.Answer(200, 40, 10)]
    load = measure.summarize(answers, 2.0)
    assert (load.per_second, load.refused.count, load.failed) == (1.0, 1, 1)
    assert (load.accepted.p99, load.served.p99) == (40, 30)


def test_an_offered_rate_does_not_wait_for_answers() -> None:
    def connect() -> measure.Answer:
        time.sleep(0.3)
        return measure.Answer(200, 300)

    load = measure.open_loop(lambda: connect, per_second=20, seconds=1)
    assert load.accepted.count == 20


def test_a_client_that_fails_ends_the_measurement() -> None:
    def ask() -> measure.Answer:
        raise TimeoutError("the engine hangs")

    with pytest.raises(TimeoutError):
        measure.closed_loop(lambda: ask, concurrency=3, ramp_seconds=0, seconds=0.1)


@pytest.mark.parametrize(("measured", "at_least", "met"), [(1.0, False, True), (1.1, False, False), (1.1, True, True)])
def test_a_target_is_met_on_its_side_of_the_bound(measured: float, at_least: bool, met: bool) -> None:
    target = Target("what", measured, 1.0, at_least=at_least)
    assert target.met is met
    assert ("**no**" in target.row()[3]) is not met


def test_the_tables_replace_only_what_stands_between_the_markers() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.insert(page, "new\n") == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    with pytest.raises(ValueError, match="lacks"):
        report.insert("no markers", "new")


def test_the_page_of_the_docs_has_the_markers() -> None:
    assert report.insert((ROOT / "docs" / "performance.md").read_text(), "x")
