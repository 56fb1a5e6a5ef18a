"""How long to measure: in full, or to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int
    load_seconds: float
    ramp_seconds: float
    concurrency: tuple[int, ...]
    repeats: int
    sizes_rounds: int
    soak_runs: int
    rest_seconds: float
    refill_seconds: float
    """Rest after a probe that takes a container. Starting one takes about half of it."""
    overload_seconds: float
    classroom_seconds: float
    opening_seconds: float
    """Between opening the page and the first run."""
    neighbour_seconds: float
    kept_sizes: int
    """How many of the numbers of kept containers are tried."""
    kept_soak_runs: int


FULL = Effort(
    rounds=100,
    load_seconds=10,
    ramp_seconds=3,
    concurrency=(1, 4, 16, 64),
    repeats=3,
    sizes_rounds=20,
    soak_runs=1000,
    rest_seconds=20,
    refill_seconds=0.7,
    overload_seconds=60,
    classroom_seconds=60,
    opening_seconds=15,
    neighbour_seconds=30,
    kept_sizes=3,
    kept_soak_runs=20_000,
)
QUICK = Effort(
    rounds=2,
    load_seconds=3,  # a container on a busy machine takes one
    ramp_seconds=0.2,
    concurrency=(2,),
    repeats=1,
    sizes_rounds=1,
    soak_runs=5,
    rest_seconds=1,
    refill_seconds=0.3,
    overload_seconds=1,
    classroom_seconds=3,
    opening_seconds=1,
    neighbour_seconds=2,
    kept_sizes=1,
    kept_soak_runs=5,
)
