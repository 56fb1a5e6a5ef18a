"""Which file of an archive is started: the one named, or the only obvious one.

Pure, like `archive`. One member may be looked into, under a tight budget: the manifest of a language that has one.
"""

from __future__ import annotations

import difflib
import io
import zipfile

from sandbox.errors import InvalidRequest
from sandbox.intake.archive import ZIPFILE_PROBLEMS
from sandbox.intake.names import shown
from sandbox.languages.language import Language, Manifest
from sandbox.models import Archive

MANIFEST_BYTES = 64 << 10
SHOWN_NAMES = 10
COMPARED_NAMES = 100
COMPARED_CHARACTERS = 60
"""What is compared with a misspelt entry: difflib takes cubic time on names made for it."""


def choose_entry(archive: Archive, language: Language, entry: str | None) -> str:
    """The file to start: the one named, with or without the folder that holds everything, or else the only obvious one.

    Obvious is what the language's manifest names, else one of its `entry_names`; at the top, or in the folder that
    holds everything. Else the only program there is.

    :raises InvalidRequest: when it is not there, no program of that language, or not obvious.
    """
    if not entry:
        return _obvious_entry(archive, language)
    plain = entry.strip().removeprefix("./")
    names = (entry, plain, archive.folder + plain)
    name = next((name for name in names if name in archive.names), plain)
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
    top = archive.folder
    if language.manifest and (main := _main_of(archive, top, language.manifest)):
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


def _main_of(archive: Archive, folder: str, manifest: Manifest) -> str | None:
    """The member that the manifest of that folder names as the one to start, if it does."""
    name = folder + manifest.name
    if name not in archive.names:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(archive.data)) as opened, opened.open(name) as file:
            content = file.read(MANIFEST_BYTES)
    except ZIPFILE_PROBLEMS:
        return None
    return next((folder + main for main in manifest.main_of(content) if folder + main in archive.names), None)
