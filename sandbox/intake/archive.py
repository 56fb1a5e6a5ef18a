"""Zip bytes -> a checked list of files. Pure, and it never unpacks: that happens inside a container.

Only the archive's directory is read, in memory. What is refused: whatever is no plain file or folder with an
ordinary relative name, whatever could be read in two ways, and whatever is over a budget.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

from sandbox.errors import InvalidArchive
from sandbox.intake.names import check_name, check_tree, is_litter, shown
from sandbox.models import Archive
from sandbox.settings import Settings

END = struct.Struct("<4s4H2LH")
END_SIGNATURE = b"PK\5\6"
MAX_COMMENT_BYTES = 0xFFFF
END64 = struct.Struct("<4sQ2H2L4Q")
END64_SIGNATURE = b"PK\6\6"
LOCATOR64 = struct.Struct("<4sLQL")
LOCATOR64_SIGNATURE = b"PK\6\7"
CENTRAL_BYTES = 46
CENTRAL_LENGTHS = struct.Struct("<3H")
"""At byte 28 of a directory entry: the lengths of its name, extra field and comment."""
CENTRAL_SIGNATURE = b"PK\1\2"
LOCAL = struct.Struct("<4s5H3L2H")
LOCAL_SIGNATURE = b"PK\3\4"
FLAGS_ENCRYPTED = 0x1 | 0x40 | 0x2000
FLAG_UTF8 = 0x800
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

ZIPFILE_PROBLEMS = (
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Python's zipfile raises on damaged or hostile bytes; UnicodeDecodeError is a ValueError."""


def check_archive(data: bytes, settings: Settings, *, name: str = "archive.zip") -> Archive:
    """The archive, found harmless.

    :raises InvalidArchive: with a code for each kind of fault, and a sentence that names the member.
    """
    directory_start, count = _check_directory(data, settings.max_archive_members)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            agreed = (archive.start_dir, len(members)) == (directory_start, count)
    except ZIPFILE_PROBLEMS as problem:
        raise _damaged_directory() from problem
    if not agreed:
        raise _damaged_directory()
    for member in members:
        _check_member(member)
    _check_layout(data, members, directory_start)
    files = [member for member in members if not member.is_dir()]
    check_tree((member.filename for member in files), (member.filename for member in members if member.is_dir()))
    files = [member for member in files if not is_litter(member.filename)]
    if not files:
        raise no_files()
    unpacked_bytes = sum(member.file_size for member in files)
    check_size(unpacked_bytes, settings)
    return Archive(data, tuple(member.filename for member in files), unpacked_bytes, name)


def check_size(unpacked_bytes: int, settings: Settings) -> None:
    if unpacked_bytes > settings.max_archive_bytes:
        raise InvalidArchive(
            f"Unpacked, the files have {unpacked_bytes} bytes; the limit is {settings.max_archive_bytes}.",
            code="archive_too_large",
        )


def _check_directory(data: bytes, limit: int) -> tuple[int, int]:
    """Where the directory starts and how many entries it has.

    zipfile makes an object of each entry before anybody can count them, and 10 MiB hold 200 000. So the entries
    are counted first, by walking over them, and the walk ends at the limit: the counts that the archive itself
    gives may lie.
    """
    start, end = _find_directory(data)
    position, count = start, 0
    while position < end:
        if count == limit:
            raise too_many(limit)
        if position + CENTRAL_BYTES > end or not data.startswith(CENTRAL_SIGNATURE, position):
            raise _damaged_directory()
        position += CENTRAL_BYTES + sum(CENTRAL_LENGTHS.unpack_from(data, position + 28))
        count += 1
    if position != end:
        raise _damaged_directory()
    return start, count


def _find_directory(data: bytes) -> tuple[int, int]:
    """Start and end of the directory, found as zipfile finds them."""
    end = data.rfind(END_SIGNATURE, max(0, len(data) - END.size - MAX_COMMENT_BYTES))
    if end < 0 or end + END.size > len(data):
        raise InvalidArchive("The upload is not a zip archive.", code="not_a_zip")
    _, disk, start_disk, _, _, size, _, _ = END.unpack_from(data, end)
    locator = end - LOCATOR64.size
    if locator >= 0 and data.startswith(LOCATOR64_SIGNATURE, locator):
        # It overrides the record behind it, whatever that one says. zipfile looks for it right before its
        # locator, newer ones where the locator points: it has to be the same place.
        end = locator - END64.size
        if end < 0 or LOCATOR64.unpack_from(data, locator)[2] != end or not data.startswith(END64_SIGNATURE, end):
            raise _damaged_directory()
        _, _, _, _, disk, start_disk, _, _, size, _ = END64.unpack_from(data, end)
    if disk or start_disk:
        raise InvalidArchive("The archive is one part of several.", code="corrupt_archive")
    if size > end:
        raise _damaged_directory()
    return end - size, end


def too_many(limit: int) -> InvalidArchive:
    return InvalidArchive(f"There are more than {limit} files and folders.", code="too_many_members")


def no_files() -> InvalidArchive:
    return InvalidArchive("There are no files in it.", code="empty_archive")


def _damaged_directory() -> InvalidArchive:
    return InvalidArchive("The archive's directory is damaged.", code="corrupt_archive")


# --- One member -------------------------------------------------------------------------------------------


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    label = shown(name)
    if member.flag_bits & FLAGS_ENCRYPTED:
        raise InvalidArchive(f"{label} is encrypted.", code="encrypted_archive")
    if member.compress_type not in METHODS:
        # The other methods need dictionaries that are large beside a container's memory.
        raise InvalidArchive(
            f"{label} is compressed by a method other than stored and deflate.", code="unsupported_compression"
        )
    if not name.isascii() and not member.flag_bits & FLAG_UTF8:
        raise InvalidArchive(
            f"The name {label} is not marked as UTF-8; pack the archive again with a tool that does that.",
            code="bad_member_name",
        )
    check_name(name)
    if member.filename != name:
        # From Python 3.13 on, zipfile prefers the name in an extra field (0x7075), which nobody has checked.
        raise InvalidArchive(f"{label} has two different names.", code="bad_member_name")
    kind = stat.S_IFMT(member.external_attr >> 16)
    expected = stat.S_IFDIR if member.is_dir() else stat.S_IFREG
    if kind not in (0, expected):
        raise InvalidArchive(f"{label} is no plain file or folder (a link or a device, say).", code="bad_member_type")
    if member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size:
        raise InvalidArchive(f"The sizes given for {label} contradict each other.", code="corrupt_archive")


# --- All members together ---------------------------------------------------------------------------------


def _check_layout(data: bytes, members: list[zipfile.ZipInfo], directory_start: int) -> None:
    """Every member has a header of its own with the same name, before the directory, and no two share bytes.

    Bombs that inflate the same bytes again and again do share: https://www.bamsoftware.com/hacks/zipbomb/
    """
    end = 0
    for member in sorted(members, key=lambda each: each.header_offset):
        start = member.header_offset
        header = data[start : start + LOCAL.size] if start >= 0 else b""
        if len(header) < LOCAL.size or not header.startswith(LOCAL_SIGNATURE):
            raise InvalidArchive(f"{shown(member.filename)} has no data.", code="corrupt_archive")
        name_bytes, extra_bytes = LOCAL.unpack(header)[-2:]
        name_start = start + LOCAL.size
        name = data[name_start : name_start + name_bytes]
        if start < end:
            raise InvalidArchive(f"{shown(member.filename)} shares its bytes with another.", code="corrupt_archive")
        if name != member.orig_filename.encode():
            raise InvalidArchive(f"{shown(member.filename)} has two different names.", code="corrupt_archive")
        end = name_start + name_bytes + extra_bytes + member.compress_size
    if end > directory_start:
        raise InvalidArchive("The archive is cut short, or a member's size is wrong.", code="corrupt_archive")
