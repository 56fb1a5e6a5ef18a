"""Bodies that are posted to the API."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

Refused = Callable[..., tuple[int, str, str]]
"""Posts a body to a path, as JSON if no content type is named; the status, code and sentence of the refusal."""

UNKNOWN_KEYS = b"{%s}" % b",".join(b'"%06x":1' % number for number in range(62_000))


def make_zip(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (files or {"main.py": "print(1)"}).items():
            archive.writestr(name, content)
    return buffer.getvalue()


def form(data: bytes | None = None, **fields: Any) -> dict[str, Any]:
    archive = make_zip(**{"main.py": "print(1)"}) if data is None else data
    return {"file": (io.BytesIO(archive), "project.zip"), **fields}
