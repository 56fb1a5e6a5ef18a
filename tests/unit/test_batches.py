"""What the caller of a batch hears when not all of its programs ended well for the service."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from sandbox.batches import results_of
from sandbox.errors import Busy, ContainerLost, EngineUnavailable, InvalidArchive, PartlyRun, SandboxError
from sandbox.models import RunResult, Status
from web.errors import status_of

RESULT = RunResult("a", "python", Status.OK, "", "", 0)


def ended(*outcomes: RunResult | Exception) -> list[Future[RunResult]]:
    futures = []
    for outcome in outcomes:
        future: Future[RunResult] = Future()
        if isinstance(outcome, RunResult):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)
        futures.append(future)
    return futures


def test_without_problems_the_results_are_in_the_order_asked() -> None:
    other = RunResult("b", "node", Status.OK, "", "", 0)
    assert results_of(ended(RESULT, other)) == [RESULT, other]


@pytest.mark.parametrize("problem", [Busy("Full."), EngineUnavailable("No engine.")])
def test_what_has_run_in_part_is_never_said_not_to_have_been_started(problem: SandboxError) -> None:
    for others in ((RESULT,), (ContainerLost("Lost."),)):
        with pytest.raises(PartlyRun, match=problem.message) as caught:
            results_of(ended(problem, *others))
        assert status_of(type(caught.value)) == 500
    with pytest.raises(type(problem)):
        results_of(ended(problem, Busy("Full.")))


@pytest.mark.parametrize("problem", [ContainerLost("Lost."), InvalidArchive("Damaged."), RuntimeError("a bug")])
def test_any_other_problem_is_told_as_it_is(problem: Exception) -> None:
    with pytest.raises(type(problem)):
        results_of(ended(RESULT, problem, Busy("Full.")))
