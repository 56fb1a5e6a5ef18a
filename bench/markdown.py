"""What every table of a report is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

TITLES = {"python": "Python", "node": "Node.js"}


@dataclass(frozen=True)
class Target:
    """One promise: a measured number and its bound."""

    what: str
    measured: float
    bound: float
    at_least: bool = False
    unit: str = "x"

    @property
    def met(self) -> bool:
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def row(self) -> tuple[str, ...]:
        sign = ">=" if self.at_least else "<="
        unit = self.unit if self.unit == "x" else f" {self.unit}"
        met = "yes" if self.met else "**no**"
        return (self.what, f"{sign} {self.bound:g}{unit}", f"{self.measured:.2f}{unit}", met)


def cells(spread: dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{spread[rank]:.1f}" for rank in ("p50", "p90", "p99"))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
