"""The fields that several bodies have. Types are checked by pydantic, lengths by `sandbox/intake/inputs.py`,
so that messages can say how long it was and what the limit is; here the limits are only described."""

from __future__ import annotations

from typing import Annotated

from pydantic import FailFast, Field

from sandbox import languages
from sandbox.intake.inputs import NOT_BLANK
from web.openapi import from_settings

LANGUAGE_NAMES = [name for language in languages.LANGUAGES.values() for name in (language.name, *language.aliases)]

Code = Annotated[str, Field(json_schema_extra={"pattern": NOT_BLANK} | from_settings(maxLength="max_code_characters"))]
Language = Annotated[str, Field(description="In any case.", json_schema_extra={"enum": [*LANGUAGE_NAMES]})]
Stdin = Annotated[str, Field(json_schema_extra=from_settings(description="At most {max_stdin_bytes} bytes in UTF-8."))]
Arg = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^[^\u0000]*$"} | from_settings(maxLength="max_arg_characters")),
]
Args = Annotated[list[Arg], FailFast(), Field(json_schema_extra=from_settings(maxItems="max_args"))]
