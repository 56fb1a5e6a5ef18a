"""How many bytes valid fields can take in a body, computed from the settings: none that can be valid is refused."""

from __future__ import annotations

from sandbox.intake.globs import MAX_GLOB_CHARACTERS, MAX_GLOBS
from sandbox.settings import Settings
from sandbox.store.keys import MOST_CODE_CHARACTERS

CHARACTER_BYTES = 4
"""The longest character in UTF-8."""
ESCAPED_CHARACTER_BYTES = 12
"""The longest way to write one character in JSON: a pair of backslash-u escapes."""
ESCAPED_BYTE_BYTES = 6
"""The longest way to write a character that is one byte in UTF-8."""
STRUCTURE_BYTES = 4096
"""How much of a task's JSON may be neither text nor white space, beside a comma for each argument. A valid task has 30
bytes; what has some more gets a message that names it. Each byte could cost a hundred of memory."""
FILE_STRUCTURE_BYTES = 6
"""The same, of each file: the quotation marks of `"name":{"base64":"…"}`, which are more than what is beside them."""


def code_characters(settings: Settings) -> int:
    """The longest code that anybody may send: the server finds the bound of a body before it knows whose it is."""
    return max(settings.max_code_characters, MOST_CODE_CHARACTERS)


def task_bytes(settings: Settings) -> int:
    """The largest task that can be valid, however its characters are escaped, but for its files."""
    code = code_characters(settings) * ESCAPED_CHARACTER_BYTES
    stdin = settings.max_stdin_bytes * ESCAPED_BYTE_BYTES
    return code + stdin + args_bytes(settings) + globs_bytes() + 4096


def args_bytes(settings: Settings) -> int:
    """The longest list of arguments, as JSON."""
    return settings.max_args * (settings.max_arg_characters * ESCAPED_CHARACTER_BYTES + 4)


def globs_bytes() -> int:
    """The longest list of globs, as JSON."""
    return MAX_GLOBS * (MAX_GLOB_CHARACTERS * ESCAPED_CHARACTER_BYTES + 4)


def structure_bytes(settings: Settings) -> int:
    """How much of a task's JSON may be neither text nor white space."""
    return STRUCTURE_BYTES + settings.max_args + MAX_GLOBS + settings.max_archive_members * FILE_STRUCTURE_BYTES
