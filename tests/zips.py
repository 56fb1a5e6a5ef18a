"""Archives for tests: honest ones, and the hostile ones that a checker has to know."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path


def zip_of(files: Mapping[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of the files; a name that ends in a slash becomes a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zip_folder(folder: Path) -> bytes:
    """An archive of everything below the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return zip_of({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})


def with_mode(name: str, mode: int, content: bytes = b"/etc/passwd") -> bytes:
    """An archive with one member of a Unix mode: a link, a device…"""
    member = zipfile.ZipInfo(name)
    member.create_system = 3
    member.external_attr = mode << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, content)
        archive.writestr("main.py", "print(1)")
    return buffer.getvalue()


def symlink(name: str = "link") -> bytes:
    return with_mode(name, stat.S_IFLNK | 0o777)


def device(name: str = "null") -> bytes:
    return with_mode(name, stat.S_IFCHR | 0o666)


def traversal() -> bytes:
    return zip_of({"../escape.py": "print(1)", "main.py": "print(1)"})


def absolute() -> bytes:
    return zip_of({"/tmp/escape.py": "print(1)", "main.py": "print(1)"})


def clash() -> bytes:
    """A name that is a file and a folder."""
    return zip_of({"main.py": "print(1)", "main.py/inner.py": "print(1)"})


def truncated() -> bytes:
    """The last half of an archive: its directory is whole, its members are not there."""
    data = zip_of({"main.py": "print(1)" * 20}, zipfile.ZIP_STORED)
    return data[len(data) // 2 :]


def duplicate(name: str = "main.py") -> bytes:
    """The same name twice. zipfile warns when it writes this, so the second name is patched in."""
    twin = "x" * len(name)
    return zip_of({name: "print(1)", twin: "print(2)"}, zipfile.ZIP_STORED).replace(twin.encode(), name.encode())


def patched(
    data: bytes, member: str, central_offset: int, replacement: bytes, local_offset: int | None = None
) -> bytes:
    """Overwrite bytes of a member's directory entry and, if told where, of its local header."""
    changed = bytearray(data)
    entry = data.rindex(b"PK\1\2", 0, data.rindex(member.encode()))
    changed[entry + central_offset : entry + central_offset + len(replacement)] = replacement
    if local_offset is not None:
        local = struct.unpack_from("<L", data, entry + 42)[0]
        changed[local + local_offset : local + local_offset + len(replacement)] = replacement
    return bytes(changed)


def encrypted() -> bytes:
    """Says that its member is encrypted."""
    return patched(zip_of({"main.py": "print(1)"}), "main.py", 8, b"\x01\x00", 6)


def lying_size(declared: int, actual: int) -> bytes:
    """A member that declares `declared` bytes and inflates to `actual`."""
    data = zip_of({"main.py": "#" * actual})
    return patched(data, "main.py", 24, struct.pack("<L", declared), 22)


def bomb(declared: int = 1 << 31) -> bytes:
    """A small archive that says it unpacks to `declared` bytes."""
    return lying_size(declared, 1000)


def bad_crc() -> bytes:
    """A member whose contents do not match its checksum."""
    return zip_of({"main.py": "print(1)"}, zipfile.ZIP_STORED).replace(b"print(1)", b"print(2)")


def garbled() -> bytes:
    """A member whose compressed bytes are none."""
    data = bytearray(zip_of({"main.py": "print('x' * 99)" * 50}))
    data[37:57] = b"\xff" * 20
    return bytes(data)


def overlapping(count: int = 50) -> bytes:
    """Many directory entries that all point at the same data, as Fifield's zip bombs do."""
    data = zip_of({"a000.py": "#" * 100_000})
    entry_at = data.rindex(b"PK\1\2")
    end_at = data.rindex(b"PK\5\6")
    entry = data[entry_at:end_at]
    directory = b"".join(entry.replace(b"a000", b"a%03d" % number) for number in range(count))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), entry_at, 0)
    return data[:entry_at] + directory + end


def many_entries(count: int) -> bytes:
    """A directory of `count` entries in as few bytes as possible."""
    return zip_of({str(number): b"" for number in range(count)}, zipfile.ZIP_STORED)


def with_zip64_end(data: bytes, prefix: bytes = b"", claimed_bytes: int | None = None) -> bytes:
    """The same archive with the end records of zip64; the plain record claims a directory of `claimed_bytes`."""
    end = data.rindex(b"PK\5\6")
    if data[end - 20 : end - 16] == b"PK\6\7":
        count, size, offset = struct.unpack_from("<3Q", data, end - 76 + 32)
        data = data[: end - 76]
    else:
        count, size, offset = struct.unpack_from("<H2L", data, end + 10)
        data = data[:end]
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, offset + size, 1)
    claimed_bytes = 0xFFFFFFFF if claimed_bytes is None else claimed_bytes
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, claimed_bytes, 0xFFFFFFFF, 0)
    return prefix + data + record + locator + last


HOSTILE_NAMES = [
    "/etc/passwd",
    "../escape.py",
    "a/../../escape.py",
    "a/..",
    "..",
    "./main.py",
    "a//b.py",
    "C:/windows.py",
    "a\\b.py",
    "..\\escape.py",
    "new\nline.py",
    "bell\x07.py",
    "x" * 256,
    "/".join(["d" * 100] * 11),
    "/".join("d" * 40),
]
