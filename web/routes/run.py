"""Run programs, one or several, and stop them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import Request, Response, request
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from executor import Executor, new_run_id
from sandbox import languages
from sandbox.errors import Busy, Cancelled, EngineError, InvalidArchive, InvalidRequest, NotFound, QuotaExceeded
from sandbox.intake.files import project_of
from sandbox.intake.inputs import check_args, check_code, check_stdin
from sandbox.intake.names import shown
from sandbox.models import Caller, RunRequest, RunResult
from sandbox.settings import Settings
from web import streaming
from web.callers import caller_of
from web.openapi import from_settings
from web.reading import read_json
from web.route import Body, Routes, client_gone, to_response
from web.routes.fields import Args, Code, Content, Encoded, Entry, Files, Language, Stdin
from web.routes.forms import ArchiveForm, form_body_bytes, read_zip
from web.routes.sizes import structure_bytes, task_bytes

RUN_ERRORS = (QuotaExceeded, Busy, Cancelled, EngineError)
TASKS = {"minItems": 1} | from_settings(maxItems="effective_batch_tasks")

ABSENT = object()
"""What stands for `code` where none was given."""


class Task(BaseModel):
    """One program: the body of `/run`, and each task of a batch. It has `code`, or `files`, or both."""

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"anyOf": [{"required": ["code"]}, {"required": ["files"]}]}
    )

    files: Files = Field(default_factory=dict)
    entry: Entry = ""
    code: Code = Field(default_factory=lambda: ABSENT, validate_default=True)
    language: Language = languages.DEFAULT
    stdin: Stdin = ""
    args: Args = Field(default_factory=list)

    @field_validator("code", mode="before")
    @classmethod
    def _is_needed_without_files(cls, code: Any, info: ValidationInfo) -> Any:
        if code is ABSENT and info.data.get("files") == {}:
            raise PydanticCustomError("missing", "neither code nor files")
        return "" if code is ABSENT else code


class Batch(BaseModel):
    """The body of `/run-batch`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    tasks: Annotated[list[Task], FailFast(), Field(json_schema_extra=TASKS)]


@dataclass(frozen=True)
class BatchResult:
    """The results, in the order of the tasks."""

    results: list[RunResult]


@dataclass(frozen=True)
class RunCancelled:
    """The run ends."""

    cancelled: Literal[True] = True


def install(routes: Routes, executor: Executor) -> None:
    @routes.add("POST", "/run", body=RUN_BODY, answers=RunResult, errors=RUN_ERRORS, streams=True)
    def run(run_request: RunRequest) -> Response:
        """Run a single-file program."""
        return answer_run(run_request)

    @routes.add("POST", "/run-zip", body=ZIP_BODY, answers=RunResult, errors=RUN_ERRORS, streams=True)
    def run_zip(run_request: RunRequest) -> Response:
        """Run one file of a zip archive."""
        return answer_run(run_request)

    def answer_run(run_request: RunRequest) -> Response:
        run_id = new_run_id()
        if streaming.is_wanted(request):
            response = streaming.answer(executor, run_request, run_id, client_gone())
        else:
            response = to_response(executor.run(run_request, run_id=run_id, gone=client_gone()), RunResult)
        response.headers["X-Run-Id"] = run_id
        return response

    @routes.add("POST", "/run-batch", body=BATCH_BODY, answers=BatchResult, errors=RUN_ERRORS)
    def run_batch(run_requests: list[RunRequest]) -> BatchResult:
        """Run programs in parallel. The results come in the order of the tasks."""
        return BatchResult(executor.run_many(run_requests, gone=client_gone()))

    @routes.add("DELETE", "/runs/<run_id>", answers=RunCancelled, errors=(NotFound,))
    def cancel_run(run_id: str) -> RunCancelled:
        """Stop a run that is waiting or running; its result has the status `cancelled`."""
        if not executor.cancel(run_id, caller_of(request)):
            raise NotFound("No run of that id is waiting or running.")
        return RunCancelled()


# --- Bodies -----------------------------------------------------------------------------------------------


def run_body_bytes(settings: Settings) -> int:
    """The largest body of `/run`: its files, as JSON, may take what an archive may."""
    return task_bytes(settings) + settings.max_upload_bytes


def batch_body_bytes(settings: Settings) -> int:
    """The files of all tasks together may take that."""
    return task_bytes(settings) * settings.effective_batch_tasks() + settings.max_upload_bytes


def read_run(request: Request, settings: Settings) -> RunRequest:
    """The program that a request to `/run` asks for.

    :raises InvalidRequest: it can never be run.
    :raises UnsupportedMediaType: it is not JSON.
    """
    task = read_json(request, Task, structure_bytes(settings))
    return _to_run_request(task, settings, caller_of(request))


def read_batch(request: Request, settings: Settings) -> list[RunRequest]:
    """The programs that a request to `/run-batch` asks for.

    :raises InvalidRequest: one of them can never be run; the message has its index.
    :raises UnsupportedMediaType: it is not JSON.
    """
    tasks = read_json(request, Batch, structure_bytes(settings) * settings.effective_batch_tasks()).tasks
    if not tasks:
        raise InvalidRequest("A batch needs at least one task.", code="no_tasks")
    if len(tasks) > settings.effective_batch_tasks():
        raise InvalidRequest(
            f"The batch has {len(tasks)} tasks; the limit is {settings.effective_batch_tasks()}.", code="too_many_tasks"
        )
    caller = caller_of(request)
    return [_to_run_request(task, settings, caller, where=f"tasks[{index}]: ") for index, task in enumerate(tasks)]


def _to_run_request(task: Task, settings: Settings, caller: Caller, where: str = "") -> RunRequest:
    archive, entry = None, ""
    try:
        language = languages.resolve(task.language)
        if task.code or not task.files:
            check_code(task.code, settings)
        check_stdin(task.stdin, settings)
        check_args(task.args, settings)
        if task.files or task.entry:
            files = contents_of(task.files)
            archive, entry = project_of(files, language, settings, entry=task.entry, code=task.code)
    except InvalidRequest as problem:
        raise InvalidRequest(where + problem.message, code=problem.code) from problem
    return RunRequest(
        language.name,
        task.code,
        archive=archive,
        entry=entry,
        args=tuple(task.args),
        stdin=task.stdin,
        caller=caller,
    )


def contents_of(files: Mapping[str, Content]) -> dict[str, str | bytes]:
    """:raises InvalidArchive: what was to be base64 is none."""
    return {name: _decoded(name, file) if isinstance(file, Encoded) else file for name, file in files.items()}


def _decoded(name: str, file: Encoded) -> bytes:
    try:
        return base64.b64decode("".join(file.base64.split()), validate=True)
    except ValueError:
        raise InvalidArchive(f"The contents of {shown(name)} are not valid base64.", code="bad_base64") from None


RUN_BODY = Body(Task, read_run, run_body_bytes)
BATCH_BODY = Body(Batch, read_batch, batch_body_bytes)
ZIP_BODY = Body(ArchiveForm, read_zip, form_body_bytes, media_type="multipart/form-data")
