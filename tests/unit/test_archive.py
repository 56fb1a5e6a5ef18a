"""An archive is refused for what it is, with a name for the fault, and never unpacked on the host."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sandbox.errors import InvalidArchive, InvalidRequest
from sandbox.intake.archive import check_archive
from sandbox.intake.entry import choose_entry
from sandbox.languages import LANGUAGES
from sandbox.settings import Settings
from tests import zips

SETTINGS = Settings(max_archive_members=20, max_archive_bytes=10_000)


def refusal(data: bytes, settings: Settings = SETTINGS) -> str:
    """The code under which the archive is refused."""
    with pytest.raises(InvalidArchive) as caught:
        check_archive(data, settings)
    assert caught.value.message.endswith(".")
    assert len(caught.value.message) < 300
    return caught.value.code


# --- Accepted ---------------------------------------------------------------------------------------------


def test_files_and_sub_folders_are_listed_in_order() -> None:
    archive = check_archive(zips.zip_of({"main.py": "x", "pkg/": "", "pkg/é.py": "yy", "data.bin": b"\0"}), SETTINGS)
    assert archive.names == ("main.py", "pkg/é.py", "data.bin")
    assert archive.unpacked_bytes == 4


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_stored_and_deflated_members_are_accepted(compression: int) -> None:
    assert check_archive(zips.zip_of({"main.py": "x" * 1000}, compression), SETTINGS).names == ("main.py",)


def test_what_macos_adds_is_left_out() -> None:
    archive = check_archive(
        zips.zip_of({"main.py": "", "__MACOSX/._main.py": "", "a/.DS_Store": "", "a/b.py": ""}), SETTINGS
    )
    assert archive.names == ("main.py", "a/b.py")


def test_an_archive_may_stand_behind_other_bytes() -> None:
    assert check_archive(b"#!/bin/sh\n" + zips.zip_of({"main.py": ""}), SETTINGS).names == ("main.py",)


def test_an_archive_inside_the_archive_is_a_file_like_any_other() -> None:
    inner = zips.zip_of({f"{number}.py": "" for number in range(20)}, zipfile.ZIP_STORED)
    outer = zips.zip_of({"main.py": "", "inner.zip": inner}, zipfile.ZIP_STORED)
    assert check_archive(outer, SETTINGS).names == ("main.py", "inner.zip")


def test_the_end_records_of_zip64_are_understood() -> None:
    data = zips.zip_of({"main.py": "x", "lib.py": ""})
    assert check_archive(zips.with_zip64_end(data), SETTINGS).names == ("main.py", "lib.py")


@pytest.mark.parametrize(
    "name",
    ["x" * 254, "x" * 255, "/".join(["d" * 203] * 4 + ["e" * 207]), "/".join(["d" * 204] * 5), "/".join("d" * 32)],
)
def test_names_may_be_this_long_and_deep(name: str) -> None:
    assert check_archive(zips.zip_of({name: ""}), SETTINGS).names == (name,)


@pytest.mark.parametrize("name", ["x" * 256, "\u00e9" * 128, "/".join(["d" * 204] * 5) + "x", "/".join("d" * 33)])
def test_names_may_not_be_longer_or_deeper(name: str) -> None:
    assert refusal(zips.zip_of({name: ""})) == "bad_member_name"


# --- Refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"PK", b"hello", b"\x1f\x8b" + b"\0" * 100, b"PK\5\6", b"\0" * 5000])
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    assert refusal(data) == "not_a_zip"


@pytest.mark.parametrize("name", zips.HOSTILE_NAMES)
def test_a_hostile_name_is_refused(name: str) -> None:
    assert refusal(zips.zip_of({name: "", "main.py": ""})) == "bad_member_name"


def test_a_name_that_hides_behind_a_nul_is_refused() -> None:
    data = zips.zip_of({"main.pyX../../x": ""}, zipfile.ZIP_STORED).replace(b"main.pyX", b"main.py\0")
    assert refusal(data) == "bad_member_name"


def test_a_name_in_an_unknown_encoding_is_refused() -> None:
    data = zips.zip_of({"caf\u00e9.py": ""}, zipfile.ZIP_STORED)
    assert refusal(zips.patched(data, "caf\u00e9.py", 8, b"\0\0", 6)) == "bad_member_name"


def test_a_name_that_is_not_utf8_although_it_says_so_is_refused() -> None:
    data = zips.zip_of({"caf\u00e9.py": ""}, zipfile.ZIP_STORED)
    assert refusal(data.replace("\u00e9".encode(), b"\xe9\xe9")) == "corrupt_archive"


def test_a_name_that_zipfile_reads_in_two_ways_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As newer Pythons do, which take the name from an extra field."""
    data = zips.zip_of({"main.py": ""})

    def members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
        archive.filelist[0].filename = "../escape.py"
        return archive.filelist

    monkeypatch.setattr(zipfile.ZipFile, "infolist", members)
    assert refusal(data) == "bad_member_name"


@pytest.mark.parametrize("name", ["\ue000" * 200 + "/..", "\U0010ffff" * 60 + "/..", "'\"" * 90 + "/.."])
def test_a_refusal_shows_little_of_a_strange_name(name: str) -> None:
    assert refusal(zips.zip_of({name: ""})) == "bad_member_name"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR])
def test_only_plain_files_and_folders_are_accepted(kind: int) -> None:
    assert refusal(zips.with_mode("member", kind | 0o777)) == "bad_member_type"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (zips.symlink(), "bad_member_type"),
        (zips.device(), "bad_member_type"),
        (zips.traversal(), "bad_member_name"),
        (zips.absolute(), "bad_member_name"),
        (zips.bomb(), "archive_too_large"),
        (zips.truncated(), "corrupt_archive"),
        (zips.clash(), "conflicting_members"),
        (zips.encrypted(), "encrypted_archive"),
        (zips.zip_of({"main.py": "x" * 99}, zipfile.ZIP_BZIP2), "unsupported_compression"),
        (zips.zip_of({"main.py": "x" * 99}, zipfile.ZIP_LZMA), "unsupported_compression"),
        (zips.duplicate(), "duplicate_member"),
        (zips.zip_of({"a": "", "a/b": ""}), "conflicting_members"),
        (zips.zip_of({"a/b": "", "a": ""}), "conflicting_members"),
        (zips.zip_of({"a/b/c": "", "a/b": ""}), "conflicting_members"),
        (zips.zip_of({"a/": "", "a": ""}), "conflicting_members"),
        (zips.zip_of({"a": "", "a/b/": ""}), "conflicting_members"),
        (zips.overlapping(10), "corrupt_archive"),
        (zips.zip_of({}), "empty_archive"),
        (zips.zip_of({"folder/": ""}), "empty_archive"),
        (zips.zip_of({"__MACOSX/x": ""}), "empty_archive"),
        (zips.zip_of({"main.py": "x" * 99}, zipfile.ZIP_STORED)[40:], "corrupt_archive"),
        (zips.patched(zips.zip_of({"main.py": ""}), "main.py", 42, struct.pack("<L", 1 << 30)), "corrupt_archive"),
        (zips.patched(zips.zip_of({"main.py": ""}), "main.py", 20, struct.pack("<L", 1 << 30)), "corrupt_archive"),
        (zips.zip_of({"main.py": ""}).replace(b"main.py", b"evil.py", 1), "corrupt_archive"),
    ],
)
def test_a_faulty_archive_is_refused_by_the_name_of_its_fault(data: bytes, code: str) -> None:
    assert refusal(data) == code


@pytest.mark.parametrize("size", [9_999, 10_000])
def test_what_fits_unpacked_is_accepted(size: int) -> None:
    assert check_archive(zips.zip_of({"main.py": "x" * size}), SETTINGS).unpacked_bytes == size


def test_what_does_not_fit_unpacked_is_refused() -> None:
    assert refusal(zips.zip_of({"main.py": "x" * 10_001})) == "archive_too_large"
    assert refusal(zips.zip_of({"a.py": "x" * 5_000, "b.py": "x" * 5_001})) == "archive_too_large"


@pytest.mark.parametrize("count", [19, 20])
def test_so_many_members_are_accepted(count: int) -> None:
    assert len(check_archive(zips.many_entries(count), SETTINGS).names) == count


@pytest.mark.parametrize("count", [21, 1000])
def test_more_members_are_refused(count: int) -> None:
    assert refusal(zips.many_entries(count)) == "too_many_members"


@pytest.fixture(scope="module")
def huge() -> bytes:
    return zips.many_entries(100_000)


@pytest.mark.parametrize("claimed_bytes", [None, 0, 46])
def test_a_directory_of_a_hundred_thousand_entries_is_never_parsed(
    monkeypatch: pytest.MonkeyPatch, huge: bytes, claimed_bytes: int | None
) -> None:
    """Not even when the plain end record claims a small directory, and zip64's, which counts, the whole one."""
    data = zips.with_zip64_end(huge, claimed_bytes=claimed_bytes)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was parsed"))
    assert refusal(data) == "too_many_members"


def test_an_archive_of_several_parts_is_refused() -> None:
    data = bytearray(zips.zip_of({"main.py": ""}))
    end = data.rindex(b"PK\5\6")
    data[end + 4 : end + 8] = struct.pack("<HH", 1, 1)
    assert refusal(bytes(data)) == "corrupt_archive"


@pytest.mark.parametrize("extra_bytes", [1, 30])
def test_a_member_that_reaches_into_the_directory_is_refused(extra_bytes: int) -> None:
    data = zips.zip_of({"main.py": "print(1)"}, zipfile.ZIP_STORED)
    sizes = struct.pack("<LL", 8 + extra_bytes, 8 + extra_bytes)
    assert refusal(zips.patched(data, "main.py", 20, sizes, 18)) == "corrupt_archive"


def test_zip64_records_that_can_be_found_in_two_places_are_refused() -> None:
    assert refusal(zips.with_zip64_end(zips.zip_of({"main.py": ""}), prefix=b"#!/bin/sh\n")) == "corrupt_archive"


def test_a_count_that_lies_does_not_help() -> None:
    data = bytearray(zips.many_entries(1000))
    end = data.rindex(b"PK\5\6")
    data[end + 8 : end + 12] = struct.pack("<HH", 1, 1)
    assert refusal(bytes(data)) == "too_many_members"


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_arbitrary_bytes_are_accepted_or_refused_but_never_crash(data: bytes, as_directory: bool) -> None:
    if as_directory:
        data += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, min(len(data), 60), max(0, len(data) - 60), 0)
    try:
        check_archive(data, SETTINGS)
    except InvalidArchive:
        return


@hypothesis_settings(max_examples=500, deadline=None)
@given(st.data(), st.booleans())
def test_a_mutated_archive_is_accepted_or_refused_but_never_crashes(choices: st.DataObject, zip64: bool) -> None:
    original = zips.zip_of({"main.js": "log(1)" * 20, "package.json": '{"main": "main.js"}', "\u00e9/": ""})
    data = bytearray(zips.with_zip64_end(original) if zip64 else original)
    for _ in range(choices.draw(st.integers(1, 8))):
        data[choices.draw(st.integers(0, len(data) - 1))] = choices.draw(st.integers(0, 255))
    try:
        archive = check_archive(bytes(data), SETTINGS)
    except InvalidArchive:
        return
    assert all(not name.startswith("/") and ".." not in name.split("/") for name in archive.names)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert set(archive.names) <= set(opened.namelist())
    with contextlib.suppress(InvalidRequest):
        assert choose_entry(archive, LANGUAGES["node"], None) in archive.names


SAFE_NAMES = st.lists(
    st.text("abcXYZ019_-. \u00e9\u4e16", min_size=1, max_size=12).filter(lambda name: name.strip(".")),
    min_size=1,
    max_size=3,
).map("/".join)


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.dictionaries(SAFE_NAMES, st.binary(max_size=50), min_size=1, max_size=8))
def test_ordinary_names_come_through_unchanged(files: dict[str, bytes]) -> None:
    folders = {name.rsplit("/", depth)[0] for name in files for depth in range(1, name.count("/") + 1)}
    files = {name: content for name, content in files.items() if name not in folders}
    assert check_archive(zips.zip_of(files), SETTINGS).names == tuple(files)
