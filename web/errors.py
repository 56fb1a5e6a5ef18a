"""From exception to HTTP: one table, and the handlers that apply it to every answer of the application.

A body is always `{"error": sentence, "code": slug}`. What is not in the table is our bug: it is logged with its
traceback, and the client gets a sentence without any of it.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Annotated

from flask import Flask, Response, g, request
from pydantic import Field
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.http import HTTP_STATUS_CODES

from sandbox.errors import (
    Busy,
    Cancelled,
    ContainerLost,
    EngineError,
    InvalidRequest,
    NotFound,
    PartlyRun,
    QuotaExceeded,
    SandboxError,
    StoreError,
)

log = logging.getLogger(__name__)

CHALLENGE = 'Bearer realm="Safe Code Executor"'
"""What `WWW-Authenticate` says: https://www.rfc-editor.org/rfc/rfc6750#section-3"""


class Unauthorized(SandboxError):
    """Who asks has to say who he is."""

    code = "unauthorized"


class KeyRequired(Unauthorized):
    """This server answers only those who have a key."""

    code = "key_required"


class WrongKey(Unauthorized):
    """What was given as a key is none, or none any more."""

    code = "wrong_key"


class OperatorOnly(SandboxError):
    """Only an operator may do this."""

    code = "operator_only"


class ForeignOrigin(SandboxError):
    """A page of another site asked the reader's browser to change something here."""

    code = "foreign_origin"


class BodyTooLarge(SandboxError):
    """The body has more bytes than this route takes."""

    code = "body_too_large"


class UnsupportedMediaType(SandboxError):
    """The body is of a kind that this route does not take."""

    code = "unsupported_media_type"


STATUS_OF: dict[type[SandboxError], int] = {
    InvalidRequest: 400,
    Unauthorized: 401,
    ForeignOrigin: 403,
    OperatorOnly: 403,
    NotFound: 404,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    QuotaExceeded: 429,
    Busy: 503,
    Cancelled: 503,
    ContainerLost: 500,
    PartlyRun: 500,
    EngineError: 503,
    StoreError: 503,
    SandboxError: 500,
}
"""The most specific class counts. 503 of a run says that it was not started: whoever gets it may try another server."""

SENTENCES: dict[int, tuple[str, str]] = {
    400: ("bad_request", "The request is not one this server understands."),
    404: ("not_found", "There is nothing at this address. GET /openapi.json lists the routes."),
    405: ("method_not_allowed", "This address does not take that method."),
    408: ("request_timeout", "The request took too long to arrive."),
    413: ("body_too_large", "A field of the form is too large, or the form has too many parts."),
    414: ("uri_too_long", "The address is too long."),
    415: ("unsupported_media_type", "This route does not take a body of that kind."),
    431: ("headers_too_large", "The request headers are too large."),
    500: ("internal", "Something went wrong on our side. It has been logged."),
    501: ("not_implemented", "The request uses a transfer encoding this server does not know."),
    503: ("busy", "Too many uploads are under way."),
}
"""HTTP status -> slug and sentence, for errors that HTTP software raises on its own."""


to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""A value as JSON on one line. (`json.dumps` makes a new encoder at each call.)"""


@dataclass(frozen=True)
class Error:
    """What every answer holds that is not what was asked for: a sentence to read, a word to switch on."""

    error: str
    code: Annotated[str, Field(pattern="^[a-z0-9_]+$")]


def body(error: str, code: str) -> dict[str, str]:
    """The JSON of every error."""
    return {**vars(Error(error, code))}


def too_large_sentence(limit_bytes: int) -> str:
    return f"The request body is too large; the limit here is {limit_bytes} bytes."


def status_of(kind: type[SandboxError]) -> int:
    return next(STATUS_OF[cls] for cls in kind.__mro__ if cls in STATUS_OF)


def answer(problem: SandboxError) -> Response:
    """The answer that tells the caller about `problem`, with `Retry-After` when waiting helps."""
    status = status_of(type(problem))
    if status >= 500 and not isinstance(problem, Busy):
        log.warning("%s: %s (%r)", problem.code, problem.message, problem.__cause__)
    response = _error_response(problem.message, problem.code, status)
    if problem.retry_after_seconds:
        response.headers["Retry-After"] = str(problem.retry_after_seconds)
    if isinstance(problem, Unauthorized):
        response.headers["WWW-Authenticate"] = CHALLENGE
    return response


def answer_http(problem: HTTPException) -> Response:
    """The answer for what Flask and Werkzeug raise: unknown routes, wrong methods, oversized bodies."""
    status = problem.code or 500
    if status == 413 and (request.content_length or 0) > (limit := request.max_content_length or 0):
        return answer(BodyTooLarge(too_large_sentence(limit)))
    name = HTTP_STATUS_CODES.get(status, "Error")
    slug, sentence = SENTENCES.get(status, (name.lower().replace(" ", "_"), f"{name}."))
    response = _error_response(sentence, slug, status)
    if isinstance(problem, MethodNotAllowed) and problem.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(problem.valid_methods))
    return response


def answer_bug(problem: Exception) -> Response:
    """The answer for everything nobody foresaw."""
    log.error("a request failed unexpectedly", exc_info=problem)
    slug, sentence = SENTENCES[500]
    return _error_response(sentence, slug, 500)


def _error_response(sentence: str, code: str, status: int) -> Response:
    g.error_code = code  # to be counted
    return json_response(body(sentence, code), status)


def json_response(value: object, status: int = 200) -> Response:
    """`value` as JSON in UTF-8."""
    return Response(to_json(value), status, mimetype="application/json")


def install(app: Flask) -> None:
    app.register_error_handler(SandboxError, answer)
    app.register_error_handler(HTTPException, answer_http)
    app.register_error_handler(Exception, answer_bug)
