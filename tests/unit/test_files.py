"""Files of a request are accepted and refused as a zip of them would be, and become what it would have become."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from sandbox.errors import InvalidArchive, InvalidRequest
from sandbox.intake.archive import check_archive
from sandbox.intake.files import Files, archive_of, project_of
from sandbox.languages import LANGUAGES
from sandbox.settings import Settings
from tests import zips
from tests.trees import Tree, any_trees, trees

SETTINGS = Settings(max_archive_members=6, max_archive_bytes=1024)
PYTHON = LANGUAGES["python"]


def refusal(files: Files) -> tuple[str, str]:
    """Code and sentence with which these files are refused."""
    with pytest.raises(InvalidArchive) as caught:
        archive_of(files, SETTINGS)
    assert caught.value.message.isprintable() and len(caught.value.message) < 300
    return caught.value.code, caught.value.message


def verdict(files: Files, *, zipped: bool) -> object:
    """What is found of the files: their names and how many bytes they have, or why they are refused."""
    try:
        archive = check_archive(zips.zip_of(files), SETTINGS) if zipped else archive_of(files, SETTINGS)
    except InvalidArchive as problem:
        return problem.code, problem.message
    return archive.names, archive.unpacked_bytes


@given(any_trees)
@hypothesis_settings(max_examples=400, deadline=None, database=None)
def test_files_get_the_verdict_of_a_zip_of_them(files: Tree) -> None:
    files = {name: content for name, content in files.items() if not name.endswith("/")}
    assert verdict(files, zipped=False) == verdict(files, zipped=True)


@given(trees)
@hypothesis_settings(max_examples=200, deadline=None, database=None)
def test_the_archive_of_files_holds_them_and_passes_its_own_check(files: Tree) -> None:
    archive = archive_of(files, Settings())
    checked = check_archive(archive.data, Settings())
    assert (checked.names, checked.unpacked_bytes) == (archive.names, archive.unpacked_bytes)
    with zipfile.ZipFile(io.BytesIO(archive.data)) as opened:
        assert opened.testzip() is None
        found = {name: opened.read(name) for name in archive.names}
    assert found == {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}


@pytest.mark.parametrize("name", [*zips.HOSTILE_NAMES, "", "/", "folder/", "nul\0.py", "half\ud800.py"])
def test_a_hostile_name_is_refused(name: str) -> None:
    assert refusal({"main.py": "", name: ""})[0] == "bad_member_name"


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({}, "empty_archive", "no files"),
        ({".DS_Store": ""}, "empty_archive", "no files"),
        ({str(number): "" for number in range(7)}, "too_many_members", "more than 6"),
        ({"a": "x" * 600, "b": "é" * 213}, "archive_too_large", "1026 bytes; the limit is 1024"),
        ({"a": "", "a/b": ""}, "conflicting_members", "'a' is both a file and a folder"),
        ({"a/b/c": "", "a/b": ""}, "conflicting_members", "'a/b'"),
        ({"a.py": "\ud800"}, "bad_text", "'a.py' contains half a character"),
    ],
)
def test_what_is_wrong_with_files_is_named(files: Files, code: str, words: str) -> None:
    found, sentence = refusal(files)
    assert found == code
    assert words in sentence


def test_as_many_files_and_bytes_as_the_limits_say_are_accepted() -> None:
    assert len(archive_of({str(number): "x" * 170 for number in range(6)}, SETTINGS).names) == 6


def test_more_files_than_a_zip_can_count_are_an_archive_all_the_same() -> None:
    archive = archive_of({str(number): b"" for number in range(70_000)}, Settings(max_archive_members=100_000))
    with zipfile.ZipFile(io.BytesIO(archive.data)) as opened:
        assert len(opened.namelist()) == 70_000


def test_code_is_one_of_the_files_and_started_unless_an_entry_is_named() -> None:
    files = {"lib.py": "X = 1", "main.py": "import lib"}
    archive, entry = project_of(files, PYTHON, SETTINGS, code="import lib")
    assert (archive.names, entry) == (("lib.py", "main.py", "user_code.py"), "user_code.py")
    assert project_of(files, PYTHON, SETTINGS, code="import lib", entry="main.py")[1] == "main.py"
    assert project_of(files, PYTHON, SETTINGS)[1] == "main.py"


def test_code_and_a_file_of_its_name_exclude_each_other() -> None:
    with pytest.raises(InvalidRequest) as caught:
        project_of({"user_code.py": ""}, PYTHON, SETTINGS, code="1")
    assert caught.value.code == "duplicate_member"
    assert "'user_code.py'" in caught.value.message
