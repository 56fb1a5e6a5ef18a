"""Files that programs have made, to be fetched one by one."""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import quote

from flask import Response, request

from sandbox.errors import HistoryError, NotFound
from sandbox.store.artifacts import ArtifactFiles
from sandbox.store.history import History
from web.callers import caller_of
from web.route import Routes

READ_BYTES = 1 << 16
NUMBER = re.compile("[0-9]{1,4}")
PLAIN = re.compile("[0-9A-Za-z._ -]+")

POLICY = "default-src 'none'; sandbox"
"""For a browser that shows the file although it is told not to."""


def install(routes: Routes, history: History, files: ArtifactFiles) -> None:
    @routes.add(
        "GET",
        "/runs/<run_id>/artifacts/<number>",
        answers=bytes,
        errors=(NotFound, HistoryError),
        media_type="application/octet-stream",
    )
    def fetch_artifact(run_id: str, number: str) -> Response:
        """A file that a past run gave back, by its place in `artifacts`; its media type is the one told there."""
        artifacts = history.artifacts(caller_of(request), run_id)
        place = int(number) if NUMBER.fullmatch(number) else len(artifacts)
        if place >= len(artifacts):
            raise NotFound("No such file of that run is in the history.")
        artifact, file = artifacts[place], files.open(run_id, place)
        response = Response(iter(partial(file.read, READ_BYTES), b""), content_type=artifact["media_type"])
        response.call_on_close(file.close)
        response.content_length = artifact["bytes"]
        response.headers["Content-Disposition"] = f"attachment; {_name_of(artifact['path'])}"
        response.headers["Content-Security-Policy"] = POLICY
        return response


def _name_of(path: str) -> str:
    """What it is called, as the header has it: https://www.rfc-editor.org/rfc/rfc6266#section-4.3"""
    name = path.rpartition("/")[2]
    return f'filename="{name}"' if PLAIN.fullmatch(name) else f"filename*=UTF-8''{quote(name, safe='')}"
