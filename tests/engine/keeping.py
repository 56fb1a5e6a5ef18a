"""Runs for owners, whose containers are kept, and what hostile ones do to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from executor import Executor
from sandbox.models import Caller, RunRequest, RunResult

KEPT = Path(__file__).resolve().parent / "kept"
LOOK = (KEPT / "look.py").read_text()


def owned(executor: Executor) -> Callable[..., RunResult]:
    """`run(owner, code, language="python", **fields)` with this executor."""

    def run(owner: str, code: str = "", language: str = "python", **fields: object) -> RunResult:
        request = RunRequest(language=language, code=code, caller=Caller(owner=owner), **fields)  # type: ignore[arg-type]
        return executor.run(request)

    return run


def read_attacks(name: str = "attacks.txt") -> dict[str, tuple[str, str]]:
    """Title -> what becomes of the container, and the source."""
    parts = re.split(r"^#: (\w+): (.+)\n", (KEPT / name).read_text(), flags=re.MULTILINE)[1:]
    attacks = {title: (fate, code) for fate, title, code in zip(parts[::3], parts[1::3], parts[2::3], strict=True)}
    assert len(attacks) * 3 == len(parts), "two attacks have the same title"
    return attacks
