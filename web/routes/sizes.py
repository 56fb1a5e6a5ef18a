"""How many bytes valid fields can take in a body, computed from the settings: none that can be valid is refused."""

from __future__ import annotations

from sandbox.settings import Settings

ESCAPED_CHARACTER_BYTES = 12
"""The longest way to write one character in JSON: a pair of backslash-u escapes."""
ESCAPED_BYTE_BYTES = 6
"""The longest way to write a character that is one byte in UTF-8."""
STRUCTURE_BYTES = 4096
"""How much of a task's JSON may be neither text nor white space, beside a comma for each argument. A valid task has 30
bytes; what has some more gets a message that names it. Each byte could cost a hundred of memory."""


def args_bytes(settings: Settings) -> int:
    """The longest list of arguments, as JSON."""
    return settings.max_args * (settings.max_arg_characters * ESCAPED_CHARACTER_BYTES + 4)


def structure_bytes(settings: Settings) -> int:
    """How much of a task's JSON may be neither text nor white space."""
    return STRUCTURE_BYTES + settings.max_args
