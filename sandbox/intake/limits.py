"""What a request asks for instead of the usual limits, within the operator's bounds, and what it gets. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.errors import InvalidRequest
from sandbox.languages.language import Language
from sandbox.models import AS_USUAL, Limits
from sandbox.settings import Settings

LEAST = {"timeout_seconds": 1, "memory_mb": 32, "output_bytes": 1024, "processes": 16}
"""What a request may ask for at least, unless what it gets without asking is less."""

PIDS = "pids"
"""What `processes` are called inside: threads are among them."""


def limits_of(asked: Mapping[str, float | None], settings: Settings) -> Limits:
    """What a request asks for that names some of those of `LEAST`.

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
    return replace(AS_USUAL, **given)


def limits_in(language: Language, asked: Limits, usual: Limits) -> Limits:
    """What a run may use: what it asks for, and else what is usual in its language.

    With less memory than that of the settings, /dev/shm shrinks in proportion.
    """
    given = {name: value for name, value in vars(asked).items() if value}
    memory_mb = asked.memory_mb or max(usual.memory_mb, language.memory_mb)
    shm_mb = max(1, usual.shm_mb * min(memory_mb, usual.memory_mb) // usual.memory_mb)
    return replace(usual, **{"memory_mb": memory_mb, "shm_mb": shm_mb, **given})
