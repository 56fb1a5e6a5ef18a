"""What can be told of an executor in numbers. Knows nothing of who shows them."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.admission import Admission
from sandbox.box.supply import Containers, Supply
from sandbox.quotas import Quotas


@dataclass(frozen=True)
class Numbers:
    """Of one moment."""

    places: int
    running: int
    """Places that are taken."""
    queue_size: int
    waiting: int
    """Programs in the queue."""
    quota_refusals: dict[tuple[str, str], int]
    """Since the start, by `quotas.WHOSE` and `quotas.BOUNDS`."""
    containers: Containers


def numbers_of(admission: Admission, quotas: Quotas, supply: Supply) -> Numbers:
    """How things stand, and what has been counted since the start."""
    return Numbers(
        places=admission.slots + admission.spare,
        running=admission.running,
        queue_size=admission.queue_size,
        waiting=admission.waiting,
        quota_refusals=quotas.refusals(),
        containers=supply.numbers(),
    )
