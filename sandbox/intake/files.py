"""Files by their names -> the archive that a zip of them would have been. Pure.

The checks and their words are those of an archive. It is written here rather than by zipfile, which takes five times
as long, and stored, not compressed: it goes no farther than into a container.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from sandbox.errors import InvalidArchive
from sandbox.intake.archive import (
    CENTRAL_SIGNATURE,
    END,
    END_SIGNATURE,
    FLAG_UTF8,
    LOCAL,
    LOCAL_SIGNATURE,
    check_size,
    no_files,
    too_many,
)
from sandbox.intake.entry import choose_entry
from sandbox.intake.names import check_name, check_tree, is_litter, shown
from sandbox.languages.language import Language
from sandbox.models import Archive
from sandbox.settings import Settings

CENTRAL = struct.Struct("<4s4B4H3L5H2L")
VERSION, STORED, MIDNIGHT, FIRST_OF_1980 = 20, 0, 0, 0x21

Files = Mapping[str, str | bytes]
"""Path -> contents; text is written in UTF-8."""


def project_of(
    files: Files, language: Language, settings: Settings, *, entry: str = "", code: str = ""
) -> tuple[Archive, str]:
    """The archive of these files, and which of them is started. `code` is one more, and started if nothing else is.

    :raises InvalidRequest: as an archive of these files, or an entry of it, would be refused.
    """
    if code:
        if language.file_name in files:
            raise InvalidArchive(
                f"{shown(language.file_name)} is there twice: it is the name of `code`.", code="duplicate_member"
            )
        files = {**files, language.file_name: code}
        entry = entry or language.file_name
    archive = archive_of(files, settings)
    return archive, choose_entry(archive, language, entry)


def archive_of(files: Files, settings: Settings) -> Archive:
    """An archive of these files. It has no name.

    :raises InvalidArchive: with the code that an archive of them would have got.
    """
    if len(files) > settings.max_archive_members:
        raise too_many(settings.max_archive_members)
    for name in files:
        check_name(name)
        if name.endswith("/"):
            raise InvalidArchive(f"The name {shown(name)} is that of a folder.", code="bad_member_name")
    check_tree(files)
    contents = {name: _bytes_of(name, content) for name, content in files.items() if not is_litter(name)}
    if not contents:
        raise no_files()
    unpacked_bytes = sum(map(len, contents.values()))
    check_size(unpacked_bytes, settings)
    return Archive(b"".join(_zip_of(contents)), tuple(contents), unpacked_bytes, name="")


def _bytes_of(name: str, content: str | bytes) -> bytes:
    try:
        return content.encode() if isinstance(content, str) else content
    except UnicodeEncodeError:
        raise InvalidArchive(f"{shown(name)} contains half a character.", code="bad_text") from None


def _zip_of(contents: Mapping[str, bytes]) -> Iterator[bytes]:
    """The parts of a zip: each file after a header, then the directory."""
    directory, offset = [], 0
    for path, content in contents.items():
        name, size, check = path.encode(), len(content), zlib.crc32(content)
        facts = (FLAG_UTF8, STORED, MIDNIGHT, FIRST_OF_1980, check, size, size, len(name), 0)
        yield LOCAL.pack(LOCAL_SIGNATURE, VERSION, *facts) + name
        yield content
        directory.append(CENTRAL.pack(CENTRAL_SIGNATURE, VERSION, 0, VERSION, 0, *facts, 0, 0, 0, 0, offset) + name)
        offset += LOCAL.size + len(name) + size
    entries = b"".join(directory)
    yield entries
    count = min(len(contents), 0xFFFF)  # nobody goes by it
    yield END.pack(END_SIGNATURE, 0, 0, count, count, len(entries), offset, 0)
