"""The size of things: what CONTRIBUTING.md asks of functions and modules, counted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import pytest

import web.errors  # noqa: F401 - more classes
from sandbox import errors
from sandbox.engine import client  # noqa: F401 - one more
from sandbox.errors import SandboxError
from tests.conftest import ROOT

SOURCES = sorted(
    path for name in ("executor.py", "app.py", "cli.py", "sandbox", "web", "scripts", "bench")
    for path in (ROOT / name).parent.glob(f"{name}/**/*.py" if (ROOT / name).is_dir() else name)
)  # fmt: skip
MODULE_LINES = 300
POSITIONAL = 4
"""What has more values than that has names for them."""

GIVEN = {"web/serving/channel.py:__init__"}
"""Functions that a library calls by position."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def lines_of(function: Function) -> int:
    """All of it but its decorators and its docstring."""
    doc = function.body[0] if ast.get_docstring(function, clean=False) is not None else None
    doc_lines = (doc.end_lineno or 0) - doc.lineno + 1 if doc else 0
    return (function.end_lineno or 0) - function.lineno + 1 - doc_lines


def crowded(paths: list[Path]) -> list[str]:
    """Functions that take too many values by position."""
    found = []
    for path in paths:
        for function in functions(path):
            names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
            if len([name for name in names if name not in ("self", "cls")]) > POSITIONAL:
                found.append(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}:{function.name}")
    return found


def calls(paths: list[Path]) -> list[str]:
    """Values that are made of too many others without names."""
    return [
        f"{path.name}:{node.lineno}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and len(node.args) > POSITIONAL and is_class(node.func)
    ]


def is_class(function: ast.expr) -> bool:
    """By its name; a table's columns are SQLAlchemy's to order."""
    return isinstance(function, ast.Name) and function.id[:1].isupper() and function.id != "Table"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_has_more_than_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES, "a file that keeps growing wants to be two"


def test_functions_are_short() -> None:
    """Half of them within 8 lines, nine of ten within 25."""
    sizes = [lines_of(function) for path in SOURCES for function in functions(path)]
    deciles = quantiles(sizes, n=10)
    assert deciles[4] <= 8
    assert deciles[8] <= 25


def test_more_than_four_values_have_names() -> None:
    assert set(crowded(SOURCES)) == GIVEN
    assert calls(SOURCES) == []


def test_what_has_too_many_values_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f(self, a, b, c, d, e): ...\ndef g(a, b, c, d): ...\nx = Value(1, 2, 3, 4, 5)\n")
    assert crowded([bad]) == ["bad.py:f"]
    assert calls([bad]) == ["bad.py:3"]


def test_the_tree_of_errors_is_drawn_whole() -> None:
    """Every class below SandboxError stands in the docstring, below its own base."""
    assert drawn(errors.__doc__ or "") == {cls.__name__: cls.__bases__[0].__name__ for cls in descendants(SandboxError)}


def descendants(base: type[SandboxError]) -> Iterator[type[SandboxError]]:
    for cls in base.__subclasses__():
        yield cls
        yield from descendants(cls)


def drawn(doc: str) -> dict[str, str]:
    """Name -> name of the base, from a tree of lines that each indent their name by four."""
    found: dict[str, str] = {}
    above: list[str] = ["SandboxError"]
    for line in doc.splitlines():
        if match := re.match(r"    ([│ ]*)[├└]── (\w+)", line):
            depth = len(match[1]) // 4 + 1
            found[match[2]] = above[depth - 1]
            above[depth:] = [match[2]]
    return found
