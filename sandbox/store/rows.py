"""From a run to the text and numbers that the history stores, and back to what callers are shown.

Text is kept as it came, except that NUL becomes U+2400 and a lone surrogate a question mark: PostgreSQL stores
neither, and SQLite measures and cuts text at the first NUL. Of output, what is longer than the bytes that a stream may
keep is cut: bytes that are no UTF-8 have become three each. The time of a run is when it was asked for: now, less
what it and its wait in the queue took.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.models import RunRequest, RunResult, artifact_url

LONG_FIELDS = ("code", "stdin", "output", "error")
TEXT_FIELDS = (*LONG_FIELDS, "entry", "archive", "args")

RUN_FIELDS = (
    "id",
    "timestamp",
    "owner",
    "kind",
    "language",
    "code",
    "entry",
    "archive",
    "args",
    "stdin",
    "output",
    "error",
)
"""What callers are shown of a run that has a column of its own, but for the status, in this order."""

COMPILER_FIELDS = ("output", "error")
COMPILER_BYTES = 16 << 10
"""How much is kept of each of what a compiler said."""

SHORT_CHARACTERS = 2000
"""How much of a long field a listing shows."""

HEAD_CHARACTERS = 8192
"""How much of a long field is in its run's row. A search looks at nothing else."""

PATH_FIELDS = ("artifacts", "artifacts_omitted")
PATH_BYTES = 128
"""What each path in these is reckoned to take beside itself."""

ROW_BYTES = 512
"""What a run is reckoned to take beside its text."""

MARK_BYTES = 1024
"""Room in output and errors beside what the program wrote: marks of what was dropped, sentences of ours."""


def to_row(request: RunRequest, result: RunResult, field_bytes: int) -> dict[str, Any]:
    """A run with all of its text, but for what output or errors have beyond `field_bytes`."""
    output, error = _bounded(storable(result.output), field_bytes), _bounded(storable(result.error), field_bytes)
    started = datetime.now(UTC) - timedelta(milliseconds=result.duration_ms + result.queued_ms)
    archive = request.archive
    fields = result.to_json() | {
        "output": output,
        "error": error,
        "truncated": result.truncated or len(output) < len(result.output) or len(error) < len(result.error),
        "artifacts": _artifacts(result),
    }
    if result.compile:
        said = {name: _bounded(storable(getattr(result.compile, name)), COMPILER_BYTES) for name in COMPILER_FIELDS}
        fields["compile"] |= said
    columns = {name: fields.pop(name) for name in ("id", "language", "status", "output", "error")}
    return columns | {
        "timestamp": started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "kind": ("zip" if archive.name else "files") if archive else "code",
        "code": storable(request.code),
        "entry": storable(request.entry),
        "archive": storable(archive.name) if archive else "",
        "args": storable(json.dumps(request.args, ensure_ascii=False)),
        "stdin": storable(request.stdin),
        "owner": storable(request.caller.owner),
        "result": fields,
    }


def _artifacts(result: RunResult) -> list[dict[str, Any]]:
    """The files that it gave back, without their contents."""
    return [
        {
            "path": artifact.path,
            "bytes": artifact.bytes,
            "media_type": artifact.media_type,
            "url": artifact_url(result.id, number),
        }
        for number, artifact in enumerate(result.artifacts)
    ]


def storable(text: str) -> str:
    return text.replace("\0", "␀").encode("utf-8", errors="replace").decode()


def _bounded(text: str, max_bytes: int) -> str:
    """The text, or its beginning and end when it has more bytes than that in UTF-8."""
    data = text.encode()
    if len(data) <= max_bytes:
        return text
    half = (max_bytes - MARK_BYTES) // 2
    mark = f"\n[… {len(data) - 2 * half} bytes not kept …]\n"
    return data[:half].decode(errors="ignore") + mark + data[-half:].decode(errors="ignore")


def parted(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What a row with all of its text is stored as: as `runs` and as `run_rests`, the latter empty if not needed."""
    said = row.get("result", {}).get("compile") or {}
    texts = [*(row[name] for name in TEXT_FIELDS), *(said[name] for name in COMPILER_FIELDS if said)]
    paths = [each["path"] for name in PATH_FIELDS for each in row.get("result", {}).get(name, ())]
    stored_bytes = ROW_BYTES + sum(len(text.encode()) for text in texts) + sum(map(_path_bytes, paths))
    heads = {name: row[name][:HEAD_CHARACTERS] for name in LONG_FIELDS}
    rests = {name: row[name][HEAD_CHARACTERS:] for name in LONG_FIELDS}
    return {**row, **heads, "stored_bytes": stored_bytes}, rests if any(rests.values()) else {}


def _path_bytes(path: str) -> int:
    return PATH_BYTES + len(path.encode())


def to_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """What callers are shown of a run."""
    return {**_fields(row, RUN_FIELDS), "shortened": []}


def _fields(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    fields = {name: row[name] for name in names}
    fields["args"] = json.loads(row["args"])
    # The result has the code; here it gets its place, before the status.
    fields |= {"exit_code": None, "status": row["status"], **row["result"]}
    # What ran before results had these:
    fields.setdefault("runs_before", 0)
    fields.setdefault("compile", None)
    for name in ("output", "error"):
        fields.setdefault(f"{name}_bytes", len(row[name].encode()))
    for name in PATH_FIELDS:
        fields.setdefault(name, [])
    return fields


def shortened(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows as JSON, with long fields last, cut and named."""
    names = [name for name in RUN_FIELDS if name not in LONG_FIELDS]
    shown = []
    for row in rows:
        texts = {name: row[name][:SHORT_CHARACTERS] for name in LONG_FIELDS}
        cut = [name for name in LONG_FIELDS if len(row[name]) > SHORT_CHARACTERS]
        shown.append({**_fields(row, names), **texts, "shortened": cut})
    return shown
