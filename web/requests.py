"""What callers send, checked: bytes and forms become `RunRequest`s, or an `InvalidRequest` a person understands.

Types and unknown fields are pydantic's business (strict: a number is no string). Lengths are checked here, so
that messages can say how long it was and what the limit is. JSON is parsed by pydantic's own parser, which
answers deep nesting and lone surrogates with an error. Of a key given twice, the last one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar

from flask import Request
from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError
from werkzeug.datastructures import FileStorage

from sandbox import languages
from sandbox.errors import InvalidRequest
from sandbox.intake.archive import check_archive
from sandbox.intake.entry import choose_entry
from sandbox.intake.inputs import check_args, check_code, check_stdin
from sandbox.models import RunRequest, Status
from sandbox.settings import Settings
from web.errors import BodyTooLarge, UnsupportedMediaType
from web.limits import form_fields_bytes

SHOWN_PROBLEMS = 3
"""How many of a body's problems one message names."""
SHOWN_NAME_CHARACTERS = 255
"""How much of an upload's file name is kept; it is only ever shown."""
FORM_FIELDS = ("entry", "language", "stdin", "args")
FORM_PARTS = 16
"""More parts than the form has fields, so that a message can still name what is unknown or given twice."""

STRUCTURE_BYTES = 4096
"""How much of a task's JSON may be neither text nor white space, beside a comma for each argument. A valid task has 30
bytes; what has some more gets a message that names it. Each byte could cost a hundred of memory."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some editors on Windows put before JSON; RFC 8259 lets a parser ignore it."""


class Task(BaseModel):
    """One program: the body of `/run`, and each task of a batch."""

    model_config = ConfigDict(strict=True, extra="forbid")

    code: str
    language: str = languages.PYTHON.name
    stdin: str = ""
    args: Annotated[list[str], FailFast()] = Field(default_factory=list)


class Batch(BaseModel):
    """The body of `/run-batch`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    tasks: Annotated[list[Task], FailFast()]


_ARGS = TypeAdapter(Annotated[list[str], FailFast()], config=ConfigDict(strict=True))
Body = TypeVar("Body", bound=BaseModel)


# --- JSON -------------------------------------------------------------------------------------------------


def read_run(request: Request, settings: Settings) -> RunRequest:
    """The program that a request to `/run` asks for.

    :raises InvalidRequest: it can never be run.
    :raises UnsupportedMediaType: it is not JSON.
    """
    task = _read_json(request, Task, structure_bytes(settings))
    return _to_run_request(task, settings, client=request.remote_addr or "")


def read_batch(request: Request, settings: Settings) -> list[RunRequest]:
    """The programs that a request to `/run-batch` asks for.

    :raises InvalidRequest: one of them can never be run; the message has its index.
    :raises UnsupportedMediaType: it is not JSON.
    """
    tasks = _read_json(request, Batch, structure_bytes(settings) * settings.effective_batch_tasks()).tasks
    if not tasks:
        raise InvalidRequest("A batch needs at least one task.", code="no_tasks")
    if len(tasks) > settings.effective_batch_tasks():
        raise InvalidRequest(
            f"The batch has {len(tasks)} tasks; the limit is {settings.effective_batch_tasks()}.", code="too_many_tasks"
        )
    client = request.remote_addr or ""
    return [_to_run_request(task, settings, client, where=f"tasks[{index}]: ") for index, task in enumerate(tasks)]


def structure_bytes(settings: Settings) -> int:
    """How much of a task's JSON may be neither text nor white space."""
    return STRUCTURE_BYTES + settings.max_args


def _read_json(request: Request, model: type[Body], structure_limit: int) -> Body:
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("This route takes JSON: send the header Content-Type: application/json.")
    data = request.get_data(cache=False)
    _check_structure(data, structure_limit)
    try:
        return model.model_validate_json(data.removeprefix(BYTE_ORDER_MARK))
    except ValidationError as problem:
        raise _explain(problem) from None


def _check_structure(data: bytes, limit_bytes: int) -> None:
    """Refuse what is not worth parsing: pydantic keeps a finding for each unknown field, 80 MB for 680 KB of them."""
    if len(data) <= limit_bytes:
        return
    quoted = data.replace(rb"\\", b"").replace(rb"\"", b"")  # now each quotation mark begins or ends a text
    if quoted.count(b'"') <= limit_bytes:
        outside = b"".join(quoted.split(b'"')[::2])
        if len(outside.translate(None, b" \t\r\n")) <= limit_bytes:
            return
    raise InvalidRequest("The body has far more fields or values than this route takes.", code="too_many_values")


def _to_run_request(task: Task, settings: Settings, client: str, where: str = "") -> RunRequest:
    try:
        language = languages.resolve(task.language)
        check_code(task.code, settings)
        check_stdin(task.stdin, settings)
        check_args(task.args, settings)
    except InvalidRequest as problem:
        raise InvalidRequest(where + problem.message, code=problem.code) from problem
    return RunRequest(language.name, task.code, args=tuple(task.args), stdin=task.stdin, client=client)


# --- Form -------------------------------------------------------------------------------------------------


def read_zip(request: Request, settings: Settings) -> RunRequest:
    """The archive that a request to `/run-zip` asks to run, checked, and its entry chosen.

    :raises InvalidRequest: it can never be run.
    :raises BodyTooLarge: the archive has too many bytes.
    :raises UnsupportedMediaType: it is not a multipart form.
    """
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("This route takes a form with a file: send multipart/form-data (curl: -F).")
    request.max_form_memory_size = form_fields_bytes(settings)
    request.max_form_parts = FORM_PARTS
    fields, upload = _fields(request), _upload(request)
    language = languages.resolve(fields.get("language", languages.PYTHON.name))
    # Browsers turn every line end of a form field into CRLF.
    stdin = fields.get("stdin", "").replace("\r\n", "\n")
    args = _parse_args(fields.get("args", ""), settings)
    check_stdin(stdin, settings)
    check_args(args, settings)
    data = upload.stream.read(settings.max_upload_bytes + 1)
    if len(data) > settings.max_upload_bytes:
        raise BodyTooLarge(f"The archive is larger than the limit of {settings.max_upload_bytes} bytes.")
    archive = check_archive(data, settings, name=(upload.filename or "")[:SHOWN_NAME_CHARACTERS])
    entry = choose_entry(archive, language, fields.get("entry") or None)
    client = request.remote_addr or ""
    return RunRequest(language.name, archive=archive, entry=entry, args=tuple(args), stdin=stdin, client=client)


def _fields(request: Request) -> dict[str, str]:
    _refuse_unknown(sorted({*request.form, *request.files} - {"file", *FORM_FIELDS}))
    misplaced = next((name for name in request.files if name != "file"), None)
    if misplaced is not None:
        raise InvalidRequest(f"{misplaced} must be a text field, not a file.", code="wrong_type")
    for name, values in request.form.lists():
        if len(values) > 1:
            raise InvalidRequest(f"{name} is given {len(values)} times; once is enough.", code="repeated_field")
    return request.form.to_dict()


def _upload(request: Request) -> FileStorage:
    if "file" in request.form:
        raise InvalidRequest("file must be an uploaded file (curl: -F file=@project.zip).", code="wrong_type")
    uploads = request.files.getlist("file")
    if len(uploads) > 1:
        raise InvalidRequest(f"file is given {len(uploads)} times; send one archive.", code="repeated_field")
    if not uploads or not uploads[0].filename:
        raise InvalidRequest("file is missing: choose a zip archive to upload.", code="missing_field")
    return uploads[0]


def _parse_args(text: str, settings: Settings) -> list[str]:
    if not text.strip():
        return []
    _check_structure(text.encode(), structure_bytes(settings))
    try:
        return _ARGS.validate_json(text)
    except ValidationError as problem:
        raise InvalidRequest(
            'args must be a JSON list of strings, such as ["-n", "3"].', code="wrong_type"
        ) from problem


# --- Words for pydantic's findings ------------------------------------------------------------------------

_KINDS = {
    "string_type": "a string",
    "list_type": "a list",
    "model_type": "an object",
}


def _explain(problem: ValidationError) -> InvalidRequest:
    """What is wrong with a body, as `tasks[2].code must be a string`."""
    findings = problem.errors(include_url=False, include_input=False)
    first = findings[0]["type"]
    if first == "json_invalid":
        return InvalidRequest(f"The body is not valid JSON: {findings[0]['ctx']['error']}.", code="malformed_json")
    sentences = [_sentence(finding["type"], finding["loc"]) for finding in findings[:SHOWN_PROBLEMS]]
    if len(findings) > SHOWN_PROBLEMS:
        sentences.append(f"and {len(findings) - SHOWN_PROBLEMS} more problems")
    code = {"missing": "missing_field", "extra_forbidden": "unknown_field"}.get(first, "wrong_type")
    return InvalidRequest("; ".join(sentences) + ".", code=code)


def _sentence(kind: str, location: tuple[int | str, ...]) -> str:
    where = _path(location)
    if kind == "missing":
        return f"{where} is missing"
    if kind == "extra_forbidden":
        return f"unknown field {where}"
    return f"{where} must be {_KINDS.get(kind, 'of another type')}"


def _path(location: Iterable[int | str]) -> str:
    """`("tasks", 2, "code")` as `tasks[2].code`; keys that callers made up are shortened and escaped."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if part.isidentifier() and len(part) <= 40 else repr(part[:40])
            text += f".{shown}" if text else shown
    return text or "the body"


def _refuse_unknown(names: list[str]) -> None:
    if names:
        shown = ", ".join(_path([name]) for name in names[:SHOWN_PROBLEMS])
        raise InvalidRequest(f"unknown field {shown}.", code="unknown_field")


# --- Query ------------------------------------------------------------------------------------------------


HISTORY_DEFAULT_ROWS = 50
HISTORY_MAX_ROWS = 200
HISTORY_QUERY_CHARACTERS = 200
RUN_ID_CHARACTERS = 64


class HistoryQuery(BaseModel):
    """The query of `GET /history`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(HISTORY_DEFAULT_ROWS, ge=1, le=HISTORY_MAX_ROWS)
    before: str = Field("", max_length=RUN_ID_CHARACTERS)
    q: str = Field("", max_length=HISTORY_QUERY_CHARACTERS)
    language: str = ""
    status: Status | None = None


def read_history_query(values: Mapping[str, str]) -> HistoryQuery:
    """What part of the history is asked for. An empty filter is as good as none.

    :raises InvalidRequest: a parameter is unknown or out of range.
    """
    try:
        return HistoryQuery.model_validate({name: value for name, value in values.items() if value or name == "limit"})
    except ValidationError as problem:
        finding = problem.errors(include_url=False, include_input=False)[0]
        name = _path(finding["loc"])
        if finding["type"] == "extra_forbidden":
            raise InvalidRequest(f"unknown parameter {name}.", code="unknown_field") from problem
        raise InvalidRequest(f"{name}: {finding['msg']}.", code="bad_query") from problem
