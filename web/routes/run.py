"""Run programs, one or several, and stop them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from flask import Response, request

from executor import Executor, new_run_id
from sandbox.errors import Busy, Cancelled, ContainerLost, EngineError, NotFound, PartlyRun, QuotaExceeded
from sandbox.intake.limits import limits_of
from sandbox.models import RunRequest, RunResult
from sandbox.settings import Settings
from web import streaming
from web.callers import caller_of
from web.route import Routes, client_gone, to_response
from web.routes.fields import LANGUAGE, LimitsQuery
from web.routes.forms import ZIP_BODY
from web.routes.source import SOURCE_BODY
from web.routes.tasks import BATCH_BODY, RUN_BODY

RUN_ERRORS = (QuotaExceeded, Busy, Cancelled, EngineError, ContainerLost)


@dataclass(frozen=True)
class BatchResult:
    """The results, in the order of the tasks."""

    results: list[RunResult]


@dataclass(frozen=True)
class RunCancelled:
    """The run ends."""

    cancelled: Literal[True] = True


def install(routes: Routes, settings: Settings, executor: Executor) -> None:
    @routes.add("POST", "/run", body=RUN_BODY, answers=RunResult, errors=RUN_ERRORS, streams=True)
    def run(run_request: RunRequest) -> Response:
        """Run a program of one file or several."""
        return answer_run(run_request)

    @routes.add("POST", "/run-zip", body=ZIP_BODY, answers=RunResult, errors=RUN_ERRORS, streams=True)
    def run_zip(run_request: RunRequest) -> Response:
        """Run one file of a zip archive."""
        return answer_run(run_request)

    @routes.add(
        "PUT",
        "/run/<language>",
        body=SOURCE_BODY,
        query=LimitsQuery,
        answers=RunResult,
        errors=RUN_ERRORS,
        streams=True,
        variables={"language": LANGUAGE},
    )
    def run_source(run_request: RunRequest, query: LimitsQuery, language: str) -> Response:
        """Run a program that is the body, as `curl --upload-file` sends it."""
        return answer_run(replace(run_request, limits=limits_of(vars(query), settings)))

    def answer_run(run_request: RunRequest) -> Response:
        run_id = new_run_id()
        if streaming.is_wanted(request):
            response = streaming.answer(executor, run_request, run_id, client_gone())
        else:
            response = to_response(executor.run(run_request, run_id=run_id, gone=client_gone()), RunResult)
        response.headers["X-Run-Id"] = run_id
        return response

    @routes.add("POST", "/run-batch", body=BATCH_BODY, answers=BatchResult, errors=(*RUN_ERRORS, PartlyRun))
    def run_batch(run_requests: list[RunRequest]) -> BatchResult:
        """Run programs in parallel. The results come in the order of the tasks."""
        return BatchResult(executor.run_many(run_requests, gone=client_gone()))

    @routes.add("DELETE", "/runs/<run_id>", answers=RunCancelled, errors=(NotFound,))
    def cancel_run(run_id: str) -> RunCancelled:
        """Stop a run that is waiting or running; its result has the status `cancelled`."""
        if not executor.cancel(run_id, caller_of(request)):
            raise NotFound("No run of that id is waiting or running.")
        return RunCancelled()
