"""What a request asks for instead of the usual limits, within the operator's bounds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.errors import InvalidRequest
from sandbox.models import Limits
from sandbox.settings import Settings

LEAST = {"timeout_seconds": 1, "memory_mb": 32, "output_bytes": 1024, "processes": 16}
"""What a request may ask for at least, unless what it gets without asking is less."""

PIDS = "pids"
"""What `processes` are called inside: threads are among them."""


def limits_of(asked: Mapping[str, float | None], settings: Settings) -> Limits | None:
    """The limits of a run whose request names some of those of `LEAST`. None: those of the settings.

    With less memory, /dev/shm shrinks in proportion.

    :raises InvalidRequest: with the bounds of the first that is outside them.
    """
    usual, most = settings.limits, settings.most
    given: dict[str, Any] = {}
    for name, value in asked.items():
        if value is not None:
            field = PIDS if name == "processes" else name
            lowest, highest = min(LEAST[name], getattr(usual, field)), getattr(most, field)
            if not lowest <= value <= highest:
                raise InvalidRequest(f"limits.{name} may be from {lowest:g} to {highest:.9g}.", code="bad_limits")
            given[field] = value
    limits = replace(usual, **given)
    if limits.memory_mb < usual.memory_mb:
        limits = replace(limits, shm_mb=max(1, usual.shm_mb * limits.memory_mb // usual.memory_mb))
    return limits if given else None
