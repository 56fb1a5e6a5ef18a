"""The bodies of `/run` and `/run-batch`: one program, or several."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any

from flask import Request
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from sandbox import languages
from sandbox.errors import InvalidArchive, InvalidRequest
from sandbox.intake.files import project_of
from sandbox.intake.globs import check_globs
from sandbox.intake.inputs import check_args, check_code, check_stdin
from sandbox.intake.limits import limits_of
from sandbox.intake.names import shown
from sandbox.intake.packs import check_pack
from sandbox.models import AS_USUAL, Caller, RunRequest
from sandbox.settings import Settings
from web.callers import caller_of
from web.openapi import from_settings
from web.reading import read_json
from web.route import Body
from web.routes.fields import Args, Code, Content, Encoded, Entry, Files, Globs, Language, Limits, Pack, Stdin
from web.routes.sizes import structure_bytes, task_bytes

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
    artifacts: Globs = Field(default_factory=list)
    limits: Limits | None = None
    pack: Pack = ""

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
            check_code(task.code, settings, caller)
        check_stdin(task.stdin, settings)
        check_args(task.args, settings)
        check_pack(task.pack, language)
        check_globs(task.artifacts)
        limits = limits_of(vars(task.limits), settings) if task.limits else AS_USUAL
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
        artifacts=tuple(task.artifacts),
        limits=limits,
        pack=task.pack,
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
