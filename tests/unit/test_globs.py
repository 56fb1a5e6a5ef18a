"""Globs: which the host accepts, and which paths they name inside."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine.image import GUEST
from sandbox.errors import InvalidRequest
from sandbox.intake.globs import MAX_GLOB_CHARACTERS, MAX_GLOBS, check_globs

Glob: Any = runpy.run_path(str(GUEST / "globs.py"))["Glob"]

CHARACTERS = "ab./é"


@pytest.mark.parametrize(
    ("glob", "named", "others"),
    [
        ("*.png", ["a.png", ".png", "é*.png"], ["out/a.png", "a.png.gz", "a_png"]),
        ("out/*", ["out/a", "out/a.b"], ["out", "out/a/b", "in/out/a"]),
        ("out/**", ["out/a", "out/a/b.c/d"], ["out", "in/out/a"]),
        ("**", ["a", "a/b", "a/b/c"], []),
        ("**/*.png", ["a.png", "b/a.png", "c/b/a.png"], ["a.jpg", "a.png/b"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "ab", "a/x/y"]),
        ("**.png", ["a.png", "b/a.png"], ["a.jpg"]),
        ("a**/b", ["a/b", "ax/y/b"], ["b", "x/a/b"]),
        ("?.txt", ["a.txt", "é.txt"], [".txt", "ab.txt", "/.txt"]),
        ("plot.png", ["plot.png"], ["plotxpng", "a/plot.png", "plot.png2"]),
        ("a[1].png", ["a[1].png"], ["a1.png"]),
        ("***/***", ["a", "a/b", "a/b/c"], []),
        ("*/*/*", ["a/b/c"], ["a/b", "a/b/c/d"]),
    ],
)
def test_a_glob_names_these_paths_and_not_those(glob: str, named: list[str], others: list[str]) -> None:
    made = Glob(glob)
    assert [path for path in named if not made.matches(path)] == []
    assert [path for path in others if made.matches(path)] == []


def expression(glob: str) -> str:
    """The same as a regular expression."""
    made = ""
    for part in re.findall(r"(?:(?<=/)|^)\*\*+/|\*+|.", glob):
        if part.endswith("*/"):
            made += "(?:.*/)?"
        elif part.startswith("**"):
            made += ".*"
        else:
            made += {"*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
    return made


@given(st.text(CHARACTERS + "*?*?**", max_size=12), st.text(CHARACTERS, max_size=12))
def test_a_glob_is_what_the_regular_expression_is(glob: str, path: str) -> None:
    assert Glob(glob).matches(path) == bool(re.fullmatch(expression(glob), path, re.DOTALL))


@given(st.lists(st.sampled_from(["*a", "**/", "?", "*/", "**b"]), min_size=20, max_size=60), st.data())
def test_no_glob_takes_long(parts: list[str], data: st.DataObject) -> None:
    """A path of a thousand characters takes a thousand steps; an expression that backtracks would take for ever."""
    path = data.draw(st.sampled_from(["a" * 1024, "a/" * 512, "ab" * 512]))
    Glob("".join(parts)[:MAX_GLOB_CHARACTERS] + "z").matches(path)


@given(st.text(max_size=50))
def test_any_text_is_a_glob_or_refused_with_a_sentence(text: str) -> None:
    try:
        check_globs([text])
    except InvalidRequest as problem:
        assert problem.code == "bad_artifact" and problem.message.startswith("artifacts[0] ")
    else:
        Glob(text).matches("a/b.png")


@pytest.mark.parametrize(
    "glob",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "./a",
        "out/",
        "a//b",
        ".hidden",
        "a/.*",
        "a\nb",
        "a\0b",
        "a\\b",
        "x" * (MAX_GLOB_CHARACTERS + 1),
    ],
)
def test_what_can_name_no_file_that_is_given_back_is_refused(glob: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_globs(["*.png", glob])
    assert caught.value.code == "bad_artifact" and caught.value.message.startswith("artifacts[1] ")


def test_there_may_be_so_many_globs_and_no_more() -> None:
    check_globs(["x" * MAX_GLOB_CHARACTERS] * MAX_GLOBS)
    with pytest.raises(InvalidRequest) as caught:
        check_globs(["x"] * (MAX_GLOBS + 1))
    assert (caught.value.code, caught.value.message) == (
        "too_many_artifacts",
        "There are 17 artifacts; the limit is 16.",
    )
