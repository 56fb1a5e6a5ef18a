"""A program as the whole body of a request, as `curl --upload-file` sends it."""

from __future__ import annotations

from flask import Request
from pydantic import RootModel

from sandbox import languages
from sandbox.errors import InvalidRequest
from sandbox.intake.inputs import check_code
from sandbox.models import RunRequest
from sandbox.settings import Settings
from web.callers import caller_of
from web.route import Body
from web.routes.fields import Code
from web.routes.sizes import CHARACTER_BYTES, code_characters


class Source(RootModel[Code]):
    """A program, in UTF-8. Its media type does not matter."""


def source_bytes(settings: Settings) -> int:
    return code_characters(settings) * CHARACTER_BYTES


def read_source(request: Request, settings: Settings) -> RunRequest:
    """The program that a request to `/run/<language>` asks for.

    :raises InvalidRequest: it can never be run.
    """
    language = languages.resolve((request.view_args or {})["language"])
    try:
        code = request.get_data(cache=False).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The program is not text in UTF-8.", code="bad_text") from None
    caller = caller_of(request)
    check_code(code, settings, caller)
    return RunRequest(language.name, code, caller=caller)


SOURCE_BODY = Body(Source, read_source, source_bytes, media_type="text/plain")
