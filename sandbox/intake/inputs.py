"""What a program may be given: how long its code, its standard input and its arguments may be.

The one place for it; every door checks here. The messages say how long it was and what the limit is.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.errors import InvalidRequest
from sandbox.models import Caller
from sandbox.settings import Settings

NOBODY = Caller()

NOT_BLANK = r"[^\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""What code must hold, as a pattern: a character that `str.strip` keeps. Each dialect's `\\S` is another set."""


def most_code_characters(caller: Caller, settings: Settings) -> int:
    """How long code of this caller may be."""
    return caller.max_code_characters or settings.max_code_characters


def check_code(code: str, settings: Settings, caller: Caller = NOBODY) -> None:
    if not code.strip():
        raise InvalidRequest("There is no code to run.", code="empty_code")
    limit = most_code_characters(caller, settings)
    if len(code) > limit:
        raise InvalidRequest(f"The code has {len(code)} characters; the limit is {limit}.", code="code_too_long")


def check_stdin(stdin: str, settings: Settings) -> None:
    length = len(stdin.encode())
    if length > settings.max_stdin_bytes:
        raise InvalidRequest(
            f"stdin has {length} bytes in UTF-8; the limit is {settings.max_stdin_bytes}.", code="stdin_too_long"
        )


def check_args(args: Sequence[str], settings: Settings) -> None:
    if len(args) > settings.max_args:
        raise InvalidRequest(f"There are {len(args)} args; the limit is {settings.max_args}.", code="too_many_args")
    for index, argument in enumerate(args):
        if len(argument) > settings.max_arg_characters:
            raise InvalidRequest(
                f"args[{index}] has {len(argument)} characters; the limit is {settings.max_arg_characters}.",
                code="arg_too_long",
            )
        if "\0" in argument:
            raise InvalidRequest(f"args[{index}] contains a NUL, which no argument can.", code="bad_arg")
