"""How many bytes a request may send, computed from the settings: no body that can be valid is refused."""

from __future__ import annotations

from sandbox.settings import Settings

FORM_ROOM_BYTES = 64 << 10
"""Beside the file and the bounded fields: boundaries, headers, file name, entry."""
ESCAPED_CHARACTER_BYTES = 12
"""The longest way to write one character in JSON: a pair of backslash-u escapes."""
ESCAPED_BYTE_BYTES = 6
"""The longest way to write a character that is one byte in UTF-8."""


def run_body_bytes(settings: Settings) -> int:
    """The largest body of `/run` that can be valid, however its characters are escaped."""
    code = settings.max_code_characters * ESCAPED_CHARACTER_BYTES
    stdin = settings.max_stdin_bytes * ESCAPED_BYTE_BYTES
    args = settings.max_args * (settings.max_arg_characters * ESCAPED_CHARACTER_BYTES + 4)
    return code + stdin + args + 4096


def batch_body_bytes(settings: Settings) -> int:
    return run_body_bytes(settings) * settings.effective_batch_tasks()


def form_fields_bytes(settings: Settings) -> int:
    """The most that the form fields of `/run-zip` may hold beside the file."""
    args = settings.max_args * (settings.max_arg_characters * ESCAPED_CHARACTER_BYTES + 4)
    return settings.max_stdin_bytes * 2 + args + FORM_ROOM_BYTES


def zip_body_bytes(settings: Settings) -> int:
    return settings.max_upload_bytes + form_fields_bytes(settings) + FORM_ROOM_BYTES


BODY_LIMITS = {"/run": run_body_bytes, "/run-batch": batch_body_bytes, "/run-zip": zip_body_bytes}


def body_limit(path: str, settings: Settings) -> int:
    """The most bytes that a request to `path` may send. Routes that need no body get some room all the same."""
    return BODY_LIMITS[path](settings) if path in BODY_LIMITS else FORM_ROOM_BYTES
