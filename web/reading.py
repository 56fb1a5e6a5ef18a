"""Bodies and queries against their models, and pydantic's findings in words that a person reads.

Types and unknown fields are pydantic's business (strict: a number is no string). JSON is parsed by pydantic's own
parser, which answers deep nesting and lone surrogates with an error. Of a key given twice, the last one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError

from sandbox.errors import InvalidRequest
from web.errors import UnsupportedMediaType

SHOWN_PROBLEMS = 3
"""How many of a body's problems one message names."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some editors on Windows put before JSON; RFC 8259 lets a parser ignore it."""

Model = TypeVar("Model", bound=BaseModel)


def read_json(request: Request, model: type[Model], structure_limit: int) -> Model:
    """The body of a request. `structure_limit` is how many of its bytes may be neither text nor white space.

    :raises InvalidRequest: it is not what the model describes.
    :raises UnsupportedMediaType: it is not JSON.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("This route takes JSON: send the header Content-Type: application/json.")
    data = request.get_data(cache=False)
    check_structure(data, structure_limit)
    try:
        return model.model_validate_json(data.removeprefix(BYTE_ORDER_MARK))
    except ValidationError as problem:
        raise _to_invalid_request(problem) from None


def check_structure(data: bytes, limit_bytes: int) -> None:
    """Refuse what is not worth parsing: pydantic keeps a finding for each unknown field, 80 MB for 680 KB of them."""
    if len(data) <= limit_bytes:
        return
    quoted = data.replace(rb"\\", b"").replace(rb"\"", b"")  # now each quotation mark begins or ends a text
    if quoted.count(b'"') <= limit_bytes:
        outside = b"".join(quoted.split(b'"')[::2])
        if len(outside.translate(None, b" \t\r\n")) <= limit_bytes:
            return
    raise InvalidRequest("The body has far more fields or values than this route takes.", code="too_many_values")


def read_query(model: type[Model], values: Mapping[str, str]) -> Model:
    """What the query of a request asks for. An empty text is as good as none.

    :raises InvalidRequest: a parameter is unknown or out of range.
    """
    numbers = {name for name, field in model.model_fields.items() if field.annotation is int}
    try:
        return model.model_validate({name: value for name, value in values.items() if value or name in numbers})
    except ValidationError as problem:
        finding = problem.errors(include_url=False, include_input=False)[0]
        name = path_of(finding["loc"])
        if finding["type"] == "extra_forbidden":
            raise InvalidRequest(f"unknown parameter {name}.", code="unknown_field") from problem
        raise InvalidRequest(f"{name}: {finding['msg']}.", code="bad_query") from problem


# --- Words ------------------------------------------------------------------------------------------------

_KINDS = {
    "string_type": "a string",
    "list_type": "a list",
    "dict_type": "an object",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "model_type": "an object",
    "file_type": 'a string or {"base64": a string}',
}


def _to_invalid_request(problem: ValidationError) -> InvalidRequest:
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
    where = path_of(location)
    if kind == "missing":
        return f"{where} is missing"
    if kind == "extra_forbidden":
        return f"unknown field {where}"
    return f"{where} must be {_KINDS.get(kind, 'of another type')}"


def path_of(location: Iterable[int | str]) -> str:
    """`("tasks", 2, "code")` as `tasks[2].code`; keys that callers made up are shortened and escaped."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if part.isidentifier() and len(part) <= 40 else repr(part[:40])
            text += f".{shown}" if text else shown
    return text or "the body"


def refuse_unknown(names: list[str]) -> None:
    """:raises InvalidRequest: when there are names; it tells the first of them."""
    if names:
        shown = ", ".join(path_of([name]) for name in names[:SHOWN_PROBLEMS])
        raise InvalidRequest(f"unknown field {shown}.", code="unknown_field")
