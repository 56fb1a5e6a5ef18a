"""Which tests lie where: what needs an engine or a browser has no place beside this file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import ROOT, pytest_collection_modifyitems


def collected(folder: str, *fixtures: str) -> Any:
    """A test as pytest has collected it, in a file of that folder."""
    marks: list[str] = []
    path = ROOT / folder / "test_new.py"
    return SimpleNamespace(nodeid="new", path=path, fixturenames=fixtures, marks=marks, add_marker=marks.append)


@pytest.mark.parametrize("fixture", ["real_engine", "browser"])
def test_what_needs_more_is_refused_here(fixture: str) -> None:
    with pytest.raises(pytest.UsageError, match=f"new uses {fixture}: it belongs to another folder"):
        pytest_collection_modifyitems([collected("tests/unit", "tmp_path", fixture)])


@pytest.mark.parametrize(
    ("folder", "marks"), [("tests/unit", []), ("tests/engine", ["engine"]), ("tests/page", ["page"])]
)
def test_a_folder_is_a_marker(folder: str, marks: list[str]) -> None:
    test = collected(folder)
    pytest_collection_modifyitems([test])
    assert test.marks == marks


def test_a_file_beside_the_folders_is_refused() -> None:
    with pytest.raises(pytest.UsageError, match="lies in none of"):
        pytest_collection_modifyitems([collected("tests")])


def test_each_test_file_has_a_name_of_its_own() -> None:
    """pytest imports them by it."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
