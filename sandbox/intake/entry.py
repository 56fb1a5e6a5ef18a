"""Which file of an archive is started: the one named, or the only obvious one.

Pure, like `archive`. One member may be looked into, under a tight budget: package.json, for a Node project's `main`.
"""

from __future__ import annotations

import difflib
import io
import json
import zipfile
from collections.abc import Iterator

from sandbox.errors import InvalidRequest
from sandbox.intake.archive import ZIPFILE_PROBLEMS, shown
from sandbox.languages import NODE, Language
from sandbox.models import Archive

MANIFEST_BYTES = 64 << 10
SHOWN_NAMES = 10
COMPARED_NAMES = 100
COMPARED_CHARACTERS = 60
"""What is compared with a misspelt entry: difflib takes cubic time on names made for it."""


def choose_entry(archive: Archive, language: Language, entry: str | None) -> str:
    """The file to start: the one named, or else the only obvious one.

    Obvious is package.json's `main` (Node), else `main.py`, `app.py`, `index.js`, `main.js`; at the top, or in
    the folder that holds everything.

    :raises InvalidRequest: when it is not there, no program of that language, or not obvious.
    """
    if not entry:
        return _obvious_entry(archive, language)
    name = entry if entry in archive.names else entry.strip().removeprefix("./")
    if name not in archive.names:
        similar = difflib.get_close_matches(name[:COMPARED_CHARACTERS], _comparable(archive.names))
        hint = f" Did you mean {' or '.join(map(shown, similar))}?" if similar else ""
        raise InvalidRequest(f"The archive has no file {shown(name)}.{hint}", code="entry_not_found")
    if not name.endswith(language.extensions):
        raise InvalidRequest(f"{shown(name)} does not end in {' or '.join(language.extensions)}.", code="bad_entry")
    return name


def _comparable(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if len(name) <= COMPARED_CHARACTERS][:COMPARED_NAMES]


def _obvious_entry(archive: Archive, language: Language) -> str:
    top = _common_folder(archive.names)
    if language is NODE and (main := _manifest_main(archive, top)):
        return main
    found = [top + name for name in language.entry_names if top + name in archive.names]
    programs = [name for name in archive.names if name.endswith(language.extensions)]
    if not found and len(programs) == 1:
        return programs[0]
    if len(found) != 1:
        raise InvalidRequest(_which(found or programs, language), code="entry_required")
    return found[0]


def _which(choices: list[str], language: Language) -> str:
    if not choices:
        endings = " or ".join(language.extensions)
        return f"The archive has no file that ends in {endings}, and `language` is {language.name}."
    return f"Which file is to be started? Name it as `entry`: {', '.join(map(shown, choices[:SHOWN_NAMES]))}."


def _common_folder(names: tuple[str, ...]) -> str:
    """`project/` when everything lies in the folder `project`, else nothing."""
    tops = {name.partition("/")[0] for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in names) else ""


def _manifest_main(archive: Archive, folder: str) -> str | None:
    """The member that package.json names as `main`, if it does."""
    manifest = f"{folder}package.json"
    if manifest not in archive.names:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(archive.data)) as opened, opened.open(manifest) as file:
            main = json.loads(file.read(MANIFEST_BYTES))["main"]
    except (*ZIPFILE_PROBLEMS, TypeError, RecursionError):
        return None
    if not isinstance(main, str):
        return None
    return next((name for name in _main_candidates(folder, main) if name in archive.names), None)


def _main_candidates(folder: str, main: str) -> Iterator[str]:
    """Where Node looks for a package's main: as it is, with `.js`, and as a folder with an index.js."""
    path = folder + main.removeprefix("./").rstrip("/")
    if path.endswith(NODE.extensions):
        yield path
    yield f"{path}.js"
    yield f"{path}/index.js"
