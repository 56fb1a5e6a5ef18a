"""What the API looks like, for people and tools: the OpenAPI 3.1 document, and what the page needs to know.

Both are made from the settings, so the limits they name are the limits that hold.
"""

from __future__ import annotations

from typing import Any

from sandbox.intake.inputs import NOT_BLANK
from sandbox.languages import LANGUAGES, PYTHON
from sandbox.models import Status
from sandbox.settings import Settings
from web import requests

Json = dict[str, Any]

VERSION = "1"

ERRORS = {
    "400": "The request cannot be carried out as it stands; the sentence says what is wrong with it.",
    "403": "A page of another origin sent it.",
    "404": "There is no such run.",
    "413": "The body is larger than this route takes.",
    "415": "The body is of a kind that this route does not take.",
    "500": "A bug of ours.",
    "503": "Not now: every place is taken, or the container engine or the history does not answer.",
}


def page_config(settings: Settings) -> Json:
    """What `GET /config` answers."""
    return {
        "languages": [
            {
                "name": language.name,
                "title": language.title,
                "aliases": list(language.aliases),
                "file_name": language.file_name,
                "extensions": list(language.extensions),
                "entry_names": list(language.entry_names),
            }
            for language in LANGUAGES.values()
        ],
        "limits": {
            "timeout_seconds": settings.timeout_seconds,
            "memory_mb": settings.memory_mb,
            "max_code_characters": settings.max_code_characters,
            "max_batch_tasks": settings.effective_batch_tasks(),
            "max_upload_bytes": settings.max_upload_bytes,
            "max_stdin_bytes": settings.max_stdin_bytes,
            "max_args": settings.max_args,
            "max_arg_characters": settings.max_arg_characters,
            "output_bytes": settings.output_bytes,
        },
    }


def describe(settings: Settings) -> Json:
    """The OpenAPI document of this server."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safe Code Executor",
            "version": VERSION,
            "summary": "Runs untrusted programs, each in a container of its own.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {**_run_paths(), **_history_paths(), **_service_paths()},
        "components": {
            "schemas": _schemas(settings),
            "headers": {"RunId": {"description": "The id of the run.", "schema": _ref("RunId")}},
            "responses": {status: _error_response(status) for status in ERRORS},
        },
    }


# --- Paths ------------------------------------------------------------------------------------------------


def _run_paths() -> Json:
    return {
        "/run": {
            "post": _operation("run", "Run a single-file program.", _run_answer(), "413 415 503", body=_ref("Task"))
        },
        "/run-zip": {
            "post": _operation(
                "runZip",
                "Run one file of a zip archive.",
                _run_answer(),
                "413 415 503",
                body=_ref("ArchiveForm"),
                media_type="multipart/form-data",
            )
        },
        "/run-batch": {
            "post": _operation(
                "runBatch",
                "Run programs in parallel. The results come in the order of the tasks.",
                _answer(_object({"results": _list_of("Result")})),
                "413 415 503",
                body=_ref("Batch"),
            )
        },
        "/runs/{id}": {
            "parameters": [_id_parameter()],
            "delete": _operation(
                "cancelRun",
                "Stop a run that is waiting or running; its result has the status `cancelled`.",
                _answer(_object({"cancelled": {"const": True}})),
                "404",
            ),
        },
    }


def _history_paths() -> Json:
    deleted = _answer(_object({"deleted": {"type": "integer", "minimum": 0}}))
    listing = _object({"history": _list_of("HistoryRow"), "next": {"type": ["string", "null"]}})
    return {
        "/history": {
            "get": {
                **_operation(
                    "listHistory", "Past runs, newest first; long fields shortened.", _answer(listing), "404 503"
                ),
                "parameters": _history_parameters(),
            },
            "delete": _operation("clearHistory", "Forget all past runs.", deleted, "503"),
        },
        "/history/{id}": {
            "parameters": [_id_parameter()],
            "get": _operation("showRun", "One past run, whole.", _answer(_ref("HistoryRow")), "404 503"),
            "delete": _operation("deleteRun", "Forget one past run.", deleted, "404 503"),
        },
    }


def _service_paths() -> Json:
    status = _answer(_object({"status": {"type": "string"}}))
    anything = _answer({"type": "object"})
    return {
        "/config": {"get": _operation("showConfig", "Languages and limits of this server.", anything)},
        "/healthz": {"get": _operation("showHealth", "Whether the server answers.", status)},
        "/readyz": {"get": _operation("showReadiness", "Whether programs can be run.", status, "503")},
        "/openapi.json": {"get": _operation("showOpenapi", "This document.", anything)},
    }


def _operation(
    name: str, summary: str, answer: Json, errors: str = "", body: Json | None = None, media_type: str = ""
) -> Json:
    answers = {"200": answer}
    for status in ["400", "403", *errors.split(), "500"]:
        answers[status] = {"$ref": f"#/components/responses/{status}"}
    operation: Json = {"operationId": name, "summary": summary, "responses": answers}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {media_type or "application/json": {"schema": body}}}
    return operation


def _answer(schema: Json) -> Json:
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}


def _run_answer() -> Json:
    answer = _answer(_ref("Result"))
    answer["description"] = (
        "How the run ended. With `Accept: text/event-stream`: the events `started`, `stdout` and `stderr` while "
        "it runs, then `result`, or `error` when it failed after the stream was opened."
    )
    answer["headers"] = {"X-Run-Id": {"$ref": "#/components/headers/RunId"}}
    answer["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return answer


def _error_response(status: str) -> Json:
    response: Json = {
        "description": ERRORS[status],
        "content": {"application/json": {"schema": _ref("Error")}},
    }
    if status == "503":
        response["headers"] = {
            "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}
        }
    return response


def _id_parameter() -> Json:
    return {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _history_parameters() -> list[Json]:
    schemas: dict[str, Json] = {
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": requests.HISTORY_MAX_ROWS,
            "default": requests.HISTORY_DEFAULT_ROWS,
        },
        "before": {"type": "string", "maxLength": requests.RUN_ID_CHARACTERS},
        "q": {"type": "string", "maxLength": requests.HISTORY_QUERY_CHARACTERS},
        "language": {"enum": [*_language_names(), ""]},
        "status": {"enum": [*(status.value for status in Status), ""]},
    }
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in schemas.items()]


# --- Schemas ----------------------------------------------------------------------------------------------


def _schemas(settings: Settings) -> dict[str, Json]:
    args: Json = {
        "type": "array",
        "maxItems": settings.max_args,
        "items": {"type": "string", "maxLength": settings.max_arg_characters, "pattern": r"^[^\u0000]*$"},
    }
    code = {"type": "string", "maxLength": settings.max_code_characters, "pattern": NOT_BLANK}
    stdin = {"type": "string", "description": f"At most {settings.max_stdin_bytes} bytes in UTF-8."}
    language = {"$ref": "#/components/schemas/Language", "default": PYTHON.name}
    task = _object({"code": code, "language": language, "stdin": stdin, "args": args}, required=["code"])
    form = {
        "file": {"type": "string", "format": "binary", "description": "A zip archive."},
        "entry": {"type": "string", "description": "The file to run. Optional when there is an obvious one."},
        "language": language,
        "stdin": stdin,
        "args": {"type": "string", "description": "A JSON list of strings."},
    }
    tasks = {**_list_of("Task"), "minItems": 1, "maxItems": settings.effective_batch_tasks()}
    return {
        "RunId": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "Language": {"type": "string", "enum": _language_names(), "description": "In any case."},
        "Status": {"type": "string", "enum": [status.value for status in Status]},
        "Task": {**task, "additionalProperties": False},
        "Batch": {**_object({"tasks": tasks}), "additionalProperties": False},
        "ArchiveForm": {**_object(form, required=["file"]), "additionalProperties": False},
        "Result": _object(_result_fields()),
        "HistoryRow": _object({**_result_fields(), **_history_fields()}),
        "Error": _object({"error": {"type": "string"}, "code": {"type": "string", "pattern": "^[a-z0-9_]+$"}}),
    }


def _language_names() -> list[str]:
    return [name for language in LANGUAGES.values() for name in (language.name, *language.aliases)]


def _result_fields() -> dict[str, Json]:
    return {
        "id": _ref("RunId"),
        "language": {"type": "string"},
        "status": _ref("Status"),
        "output": {"type": "string"},
        "error": {"type": "string"},
        "exit_code": {"type": "integer"},
        "signal": {"type": ["string", "null"]},
        "truncated": {"type": "boolean"},
        "duration_ms": {"type": "number"},
        "cpu_ms": {"type": ["number", "null"]},
        "memory_kb": {"type": ["integer", "null"]},
        "queued_ms": {"type": "number"},
    }


def _history_fields() -> dict[str, Json]:
    text = {"type": "string"}
    return {
        "timestamp": {"type": "string", "format": "date-time"},
        "kind": {"type": "string", "enum": ["code", "zip"]},
        "code": text,
        "entry": text,
        "archive": text,
        "stdin": text,
        "args": {"type": "array", "items": text},
        "shortened": {"type": "array", "items": text, "description": "Fields that are cut in this listing."},
    }


def _object(fields: dict[str, Json], required: list[str] | None = None) -> Json:
    return {"type": "object", "properties": fields, "required": list(fields) if required is None else required}


def _list_of(name: str) -> Json:
    return {"type": "array", "items": _ref(name)}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
