"""What a batch comes to, from what each of its programs came to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from sandbox.errors import Busy, ContainerLost, EngineError, PartlyRun
from sandbox.models import RunResult


def results_of(futures: Sequence[Future[RunResult]]) -> list[RunResult]:
    """The results, when all have ended.

    :raises PartlyRun: some were not run, and others were.
    :raises SandboxError: otherwise, the first problem that any of them met.
    """
    problems = [problem for future in futures if (problem := future.exception())]
    if not problems:
        return [future.result() for future in futures]
    has_run = len(problems) < len(futures) or any(isinstance(problem, ContainerLost) for problem in problems)
    first = problems[0]
    if has_run and isinstance(first, (Busy, EngineError)) and not isinstance(first, ContainerLost):
        raise PartlyRun(first)
    raise first
