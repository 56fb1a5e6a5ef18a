"""The page's own files, in memory, under addresses that name what they hold, so that browsers may keep them for ever.

All of them share one version, a hash over every file: imports between them stay relative. What a version once named
it names for good, since a file that is changed is only read at the next start. So each is compressed but once, as far
as it goes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import brotli
from flask import Flask, Response, abort, request

MIME_TYPES = {".css": "text/css", ".js": "text/javascript", ".json": "application/json", ".svg": "image/svg+xml"}
SOURCES = ("css", "js", "vendor")
BUNDLES = {"css/page.css": "bundle/page.css", "js/main.js": "bundle/main.js"}
"""What is served for all modules and all styles, when it was made from them (`npm run bundle`)."""
COMPRESSED_BYTES = 500
"""Less than this is sent as it is."""
FOR_EVER = "public, max-age=31536000, immutable"


class Assets:
    """The files of a folder."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        self._files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        self.version = _hash(self._files)[:16]
        mark = f"Sources: {sources_hash(self._files)} ".encode()
        is_fresh = all(mark in self._files.get(name, b"") for name in BUNDLES.values())
        self._instead = BUNDLES if is_fresh else {}
        self._compressed: dict[str, bytes] = {}

    def url(self, name: str) -> str:
        """The address of a file, or of the bundle of it and all that it imports."""
        return f"/static/{self.version}/{self._instead.get(name, name)}"

    def answer(self, version: str, name: str, *, takes_brotli: bool = False) -> Response:
        """A file, compressed here for those who take Brotli; `Compress` does it for the others."""
        if version != self.version or name not in self._files:
            abort(404)
        response = Response(self._files[name], mimetype=MIME_TYPES.get(Path(name).suffix, "text/plain"))
        response.headers["Cache-Control"] = FOR_EVER
        if takes_brotli and len(self._files[name]) >= COMPRESSED_BYTES:
            response.set_data(self._brotli(name))
            response.headers["Content-Encoding"] = "br"
        return response

    def _brotli(self, name: str) -> bytes:
        """A twelfth less than what can be afforded for every answer: 0.2 s for the largest file, once."""
        if name not in self._compressed:
            self._compressed[name] = brotli.compress(self._files[name], quality=11)
        return self._compressed[name]


def sources_hash(files: dict[str, bytes]) -> str:
    """What a bundle was made from; scripts/bundle.mjs writes it into its first line."""
    return _hash(
        {
            name: content
            for name, content in files.items()
            if name.startswith(tuple(f"{folder}/" for folder in SOURCES)) and name.endswith((".js", ".css"))
        }
    )


def _hash(files: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()


def install(app: Flask, folder: Path) -> None:
    """Serve the files of a folder; templates get `asset_url`."""
    assets = Assets(folder)

    def static(version: str, name: str) -> Response:
        return assets.answer(version, name, takes_brotli=request.accept_encodings["br"] > 0)

    app.add_url_rule("/static/<version>/<path:name>", view_func=static)
    app.jinja_env.globals["asset_url"] = assets.url
