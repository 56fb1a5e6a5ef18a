"""The fields that several bodies have. Types are checked by pydantic, lengths by `sandbox/intake/inputs.py`,
so that messages can say how long it was and what the limit is; here the limits are only described."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, TypeAdapter

from sandbox import languages
from sandbox.intake.globs import GLOB, MAX_GLOB_CHARACTERS, MAX_GLOBS
from sandbox.intake.inputs import NOT_BLANK
from sandbox.intake.limits import LEAST, PIDS
from sandbox.packs import PACKS
from web.openapi import from_settings

LANGUAGE_NAMES = [name for language in languages.LANGUAGES.values() for name in (language.name, *language.aliases)]

Code = Annotated[str, Field(json_schema_extra={"pattern": NOT_BLANK} | from_settings(maxLength="max_code_characters"))]
Language = Annotated[str, Field(description="In any case.", json_schema_extra={"enum": [*LANGUAGE_NAMES]})]
LANGUAGE = TypeAdapter(Language).json_schema()
PACK = {"enum": ["", *PACKS]}
Pack = Annotated[str, Field(description="In whose image it runs; empty: where it can.", json_schema_extra=PACK)]
Stdin = Annotated[str, Field(json_schema_extra=from_settings(description="At most {max_stdin_bytes} bytes in UTF-8."))]
Arg = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^[^\u0000]*$"} | from_settings(maxLength="max_arg_characters")),
]
Glob = Annotated[str, Field(json_schema_extra={"pattern": GLOB, "maxLength": MAX_GLOB_CHARACTERS})]
Globs = Annotated[
    list[Glob],
    FailFast(),
    Field(
        description="Which files that the program makes are given back: `*` stops at `/`, `**` does not.",
        json_schema_extra={"maxItems": MAX_GLOBS},
    ),
]
Args = Annotated[list[Arg], FailFast(), Field(json_schema_extra=from_settings(maxItems="max_args"))]


def _limit(name: str, description: str | None = None) -> Any:
    least = LEAST["processes" if name == PIDS else name]
    bounds: dict[str, Any] = {"minimum": least} | from_settings(maximum=f"most.{name}")
    return Field(None, description=description, json_schema_extra=bounds)


def _whole(value: object) -> object:
    """JSON has one kind of number, so that 79.0 is whole."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]


class Encoded(BaseModel):
    """Contents that are no text."""

    model_config = ConfigDict(strict=True, extra="forbid")

    base64: str


class Limits(BaseModel):
    """What this run may use; where it says nothing, what every run may."""

    model_config = ConfigDict(strict=True, extra="forbid")

    timeout_seconds: float = _limit("timeout_seconds")
    memory_mb: Whole = _limit("memory_mb")
    output_bytes: Whole = _limit("output_bytes", "Bytes kept of each stream.")
    processes: Whole = _limit("pids", "Processes and threads.")


class LimitsQuery(Limits):
    """The same, in a query, where all is text."""

    model_config = ConfigDict(strict=False)


class _OneProblem:
    """What fits no choice is told in one sentence (`reading.py`), not in one for each."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return handler(source) | {"custom_error_type": "file_type", "custom_error_message": "neither"}


Content = Annotated[str | Encoded, _OneProblem()]
Files = Annotated[
    dict[str, Content],
    Field(
        description="Contents by relative path: text, or bytes in base64. Checked as an archive of them would be.",
        json_schema_extra=from_settings(maxProperties="max_archive_members"),
    ),
]
Entry = Annotated[str, Field(description="The file to run, by its path. Optional when there is an obvious one.")]
