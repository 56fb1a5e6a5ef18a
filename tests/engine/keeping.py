"""Runs for owners, whose containers are kept."""

from __future__ import annotations

from collections.abc import Callable

from executor import Executor
from sandbox.models import Caller, RunRequest, RunResult


def owned(executor: Executor) -> Callable[..., RunResult]:
    """`run(owner, code, language="python", **fields)` with this executor."""

    def run(owner: str, code: str = "", language: str = "python", **fields: object) -> RunResult:
        request = RunRequest(language=language, code=code, caller=Caller(owner=owner), **fields)  # type: ignore[arg-type]
        return executor.run(request)

    return run
