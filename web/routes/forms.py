"""The form that `/run-zip` takes: an archive, and what else a program can be given."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Request
from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError, WithJsonSchema
from werkzeug.datastructures import FileStorage

from sandbox import languages
from sandbox.errors import InvalidRequest
from sandbox.intake.archive import check_archive
from sandbox.intake.entry import choose_entry
from sandbox.intake.globs import check_globs
from sandbox.intake.inputs import check_args, check_stdin
from sandbox.intake.limits import limits_of
from sandbox.intake.packs import check_pack
from sandbox.models import RunRequest
from sandbox.settings import Settings
from web.callers import caller_of
from web.errors import BodyTooLarge, UnsupportedMediaType
from web.reading import check_structure, refuse_unknown
from web.route import Body
from web.routes.fields import Entry, Language, Limits, Pack, Stdin
from web.routes.sizes import STRUCTURE_BYTES, args_bytes, globs_bytes, structure_bytes

SHOWN_NAME_CHARACTERS = 255
"""How much of an upload's file name is kept; it is only ever shown."""
FORM_PARTS = 16
"""More parts than the form has fields, so that a message can still name what is unknown or given twice."""
FORM_ROOM_BYTES = 64 << 10
"""Beside the file and the bounded fields: boundaries, headers, file name, entry."""

_STRINGS = TypeAdapter(Annotated[list[str], FailFast()], config=ConfigDict(strict=True))
_FILE = {"type": "string", "format": "binary", "description": "A zip archive."}


class ArchiveForm(BaseModel):
    """The body of `/run-zip`."""

    model_config = ConfigDict(extra="forbid")

    file: Annotated[Any, WithJsonSchema(_FILE)]
    entry: Entry = ""
    language: Language = languages.DEFAULT
    stdin: Stdin = ""
    args: str = Field("", description="A JSON list of strings.")
    artifacts: str = Field("", description="A JSON list of strings: globs of the files to give back.")
    pack: Pack = ""
    limits: str = Field("", description="A JSON object, as `limits` of `/run`.")


def form_fields_bytes(settings: Settings) -> int:
    """The most that the form fields of `/run-zip` may hold beside the file."""
    return settings.max_stdin_bytes * 2 + args_bytes(settings) + globs_bytes() + FORM_ROOM_BYTES


def form_body_bytes(settings: Settings) -> int:
    return settings.max_upload_bytes + form_fields_bytes(settings) + FORM_ROOM_BYTES


def read_zip(request: Request, settings: Settings) -> RunRequest:
    """The archive that a request to `/run-zip` asks to run, checked, and its entry chosen.

    :raises InvalidRequest: it can never be run.
    :raises BodyTooLarge: the archive has too many bytes.
    :raises UnsupportedMediaType: it is not a multipart form.
    """
    form = _read_form(request, settings)
    language = languages.resolve(form.language)
    # Browsers turn every line end of a form field into CRLF.
    stdin = form.stdin.replace("\r\n", "\n")
    args = _parse_strings("args", form.args, '["-n", "3"]', settings)
    artifacts = _parse_strings("artifacts", form.artifacts, '["*.png"]', settings)
    check_stdin(stdin, settings)
    check_args(args, settings)
    check_pack(form.pack, language)
    check_globs(artifacts)
    limits = limits_of(vars(_parse_limits(form.limits)), settings)
    data = form.file.stream.read(settings.max_upload_bytes + 1)
    if len(data) > settings.max_upload_bytes:
        raise BodyTooLarge(f"The archive is larger than the limit of {settings.max_upload_bytes} bytes.")
    archive = check_archive(data, settings, name=(form.file.filename or "")[:SHOWN_NAME_CHARACTERS])
    entry = choose_entry(archive, language, form.entry or None)
    return RunRequest(
        language.name,
        archive=archive,
        entry=entry,
        args=tuple(args),
        stdin=stdin,
        artifacts=tuple(artifacts),
        limits=limits,
        pack=form.pack,
        caller=caller_of(request),
    )


def _read_form(request: Request, settings: Settings) -> ArchiveForm:
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("This route takes a form with a file: send multipart/form-data (curl: -F).")
    request.max_form_memory_size = form_fields_bytes(settings)
    request.max_form_parts = FORM_PARTS
    return ArchiveForm.model_validate({**_fields(request), "file": _upload(request)})


def _fields(request: Request) -> dict[str, str]:
    # A part without a name comes as None.
    refuse_unknown(sorted({name or "" for name in (*request.form, *request.files)} - {*ArchiveForm.model_fields}))
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


def _parse_strings(name: str, text: str, example: str, settings: Settings) -> list[str]:
    if not text.strip():
        return []
    check_structure(text.encode(), structure_bytes(settings))
    try:
        return _STRINGS.validate_json(text)
    except ValidationError as problem:
        raise InvalidRequest(
            f"{name} must be a JSON list of strings, such as {example}.", code="wrong_type"
        ) from problem


def _parse_limits(text: str) -> Limits:
    check_structure(text.encode(), STRUCTURE_BYTES)
    try:
        return Limits.model_validate_json(text or "{}")
    except ValidationError as problem:
        raise InvalidRequest(
            'limits must be a JSON object of numbers, such as {"memory_mb": 256}.', code="wrong_type"
        ) from problem


ZIP_BODY = Body(ArchiveForm, read_zip, form_body_bytes, media_type="multipart/form-data")
