"""What the API looks like, for tools: the OpenAPI 3.1 document, made from what the routes declare.

The schemas are pydantic's, of the same types that check what comes in and describe what goes out. Limits come from
the settings by one hook: a field names them with `from_settings`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from sandbox.errors import InvalidRequest, KeysError, SandboxError
from sandbox.models import RunId
from sandbox.settings import Settings
from web.errors import BodyTooLarge, Error, ForeignOrigin, Unauthorized, UnsupportedMediaType, status_of
from web.route import Route

Json = dict[str, Any]

VERSION = "1"
REF = "#/components/schemas/{model}"
RUN_ID = TypeAdapter(RunId).json_schema()
ANY_TEXT = {"type": "string", "minLength": 1}

EVERY_ROUTE = (InvalidRequest, ForeignOrigin, SandboxError)
EVERY_CALLER = (Unauthorized, KeysError)
EVERY_BODY = (BodyTooLarge, UnsupportedMediaType)

ERRORS = {
    "400": "The request cannot be carried out as it stands; the sentence says what is wrong with it.",
    "401": "No key where one is needed, or one that is not known here.",
    "403": "A page of another origin sent it, or it is for operators only.",
    "404": "There is no such run.",
    "413": "The body is larger than this route takes.",
    "415": "The body is of a kind that this route does not take.",
    "429": "Not now: the caller has as many programs as he may have at once, or has used up his CPU time.",
    "500": "A bug of ours.",
    "503": "Not now: every place is taken, or the container engine or the database does not answer.",
}

RETRY_AFTER = {"Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}}
HEADERS: dict[str, Json] = {
    "401": {"WWW-Authenticate": {"description": "What to send.", "schema": {"type": "string"}}},
    "429": RETRY_AFTER,
    "503": RETRY_AFTER,
}

STREAMED = (
    "How the run ended. With `Accept: text/event-stream`: the events `started`, `stdout` and `stderr` while "
    "it runs, then `result`, or `error` when it failed after the stream was opened."
)


def describe(routes: Iterable[Route], settings: Settings, cookie: str) -> Json:
    """The OpenAPI document of a server with these routes. `cookie` is the name of its cookie."""
    routes = list(routes)
    schemas, components = _schemas(routes, settings)
    paths: Json = {}
    for route in routes:
        path = re.sub("<(.*?)>", r"{\1}", route.path)
        security = _security(settings) if route.needs_caller else []
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas) | {"security": security}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safe Code Executor",
            "version": VERSION,
            "summary": "Runs untrusted programs in containers.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "headers": {"RunId": {"description": "The id of the run.", "schema": _finished(RUN_ID, settings)}},
            "responses": {status: _error_response(status) for status in ERRORS},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "As `cli.py key add` has printed it."},
                "cookie": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "Set by `POST /sign-in`."},
            },
        },
    }


# --- Operations -------------------------------------------------------------------------------------------


def _operation(route: Route, schemas: dict[Any, Json]) -> Json:
    answers = {"200": _answer(route, schemas[route, "answers"])}
    errors = (*EVERY_ROUTE, *(EVERY_CALLER if route.needs_caller else ()), *(EVERY_BODY if route.body else ()))
    for status in sorted({str(status_of(error)) for error in (*errors, *route.errors)}):
        answers[status] = {"$ref": f"#/components/responses/{status}"}
    first, *others = route.name.split("_")
    operation: Json = {
        "operationId": first + "".join(map(str.title, others)),
        "summary": route.summary,
        "responses": answers,
    }
    if parameters := _parameters(route, schemas):
        operation["parameters"] = parameters
    if route.body:
        content = {route.body.media_type: {"schema": schemas[route, "body"]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _security(settings: Settings) -> list[Json]:
    """Ways to be let in, any of them; `{}` is as nobody."""
    return [*([] if settings.require_key else [{}]), {"key": []}, {"cookie": []}]


def _answer(route: Route, schema: Json) -> Json:
    answer: Json = {"description": "Done.", "content": {route.media_type: {"schema": schema}}}
    if route.streams:
        answer["description"] = STREAMED
        answer["headers"] = {"X-Run-Id": {"$ref": "#/components/headers/RunId"}}
        answer["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return answer


def _error_response(status: str) -> Json:
    response: Json = {
        "description": ERRORS[status],
        "content": {"application/json": {"schema": {"$ref": REF.format(model=Error.__name__)}}},
    }
    if header := HEADERS.get(status):
        response["headers"] = header
    return response


def _parameters(route: Route, schemas: dict[Any, Json]) -> list[Json]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": route.variables.get(name, ANY_TEXT)}
        for name in re.findall("<(.*?)>", route.path)
    ]
    query = schemas[route, "query"]["properties"] if route.query else {}
    in_query = [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in query.items()]
    return in_path + in_query


# --- Schemas ----------------------------------------------------------------------------------------------


def from_settings(**keywords: str) -> Json:
    """For a field's `json_schema_extra`: keywords whose value is a setting of that name, or a text with names in it."""
    return {HOOK: {**keywords}}


HOOK = "x-settings"


class _Generator(GenerateJsonSchema):
    """Fields of answers are always there, whatever they are when nobody sets them."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Json:
        return self.generate_inner(schema["schema"]) if self.mode == "serialization" else super().default_schema(schema)


def _schemas(routes: list[Route], settings: Settings) -> tuple[dict[Any, Json], dict[str, Json]]:
    """The schema of each part of each route, and what they refer to by name."""
    parts: list[tuple[Any, Any, TypeAdapter[Any]]] = [(None, "serialization", TypeAdapter(Error))]
    for route in routes:
        parts.append(((route, "answers"), "serialization", TypeAdapter(route.answers)))
        if route.body:
            parts.append(((route, "body"), "validation", TypeAdapter(route.body.model)))
    schemas, components = TypeAdapter.json_schemas(parts, ref_template=REF, schema_generator=_Generator)
    of_parts = {key: _finished(schema, settings) for (key, _), schema in schemas.items()}
    of_queries = {
        (route, "query"): _finished(route.query.model_json_schema(), settings) for route in routes if route.query
    }
    return of_parts | of_queries, _finished(components["$defs"], settings)


def _finished(schema: Any, settings: Settings) -> Any:
    """A schema of pydantic's with the settings put in; without titles made from names, and defaults that are none."""
    if isinstance(schema, list):
        return [_finished(item, settings) for item in schema]
    if not isinstance(schema, dict):
        return schema
    done = {
        name: _finished(value, settings)
        for name, value in schema.items()
        if name != HOOK and not (name == "title" and isinstance(value, str)) and (name, value) != ("default", None)
    }
    return done | {name: _setting(value, settings) for name, value in schema.get(HOOK, {}).items()}


def _setting(name: str, settings: Settings) -> Any:
    if "{" in name:
        return name.format(**settings.model_dump())
    value = functools.reduce(getattr, name.split("."), settings)
    return value() if callable(value) else value
