"""A language is a file; names are found however they are written."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import InvalidRequest
from sandbox.languages import DEFAULT, LANGUAGES, resolve
from sandbox.languages.python import needs_science
from sandbox.packs import PACKS, add_with

PYTHON, NODE, BASH = (LANGUAGES[name] for name in ("python", "node", "bash"))


@pytest.mark.parametrize("name", ["python", "py", "python3", "Python", "PY", " python "])
def test_python_goes_by_many_names(name: str) -> None:
    assert resolve(name) is PYTHON


@pytest.mark.parametrize("name", ["node", "js", "javascript", "nodejs", "Node", "JavaScript"])
def test_node_goes_by_many_names(name: str) -> None:
    assert resolve(name) is NODE


@pytest.mark.parametrize("name", ["", "cobol", "python2", "zsh", "../python", "py\0"])
def test_an_unknown_language_is_told_the_known_ones(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve(name)
    assert caught.value.code == "unsupported_language"
    known = caught.value.message.partition("Known: ")[2].removesuffix(".").split(", ")
    assert known == sorted(known)
    assert set(known) == {name for each in LANGUAGES.values() for name in (each.name, *each.aliases)}
    assert {"python", "py", "node", "js", "bash", "sh"} <= set(known)


def test_a_very_long_name_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve("x" * 100_000)
    assert len(caught.value.message) < 400


def test_no_alias_means_two_languages() -> None:
    names = [name for language in LANGUAGES.values() for name in (language.name, *language.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["bash", "sh", "shell", "Bash"])
def test_bash_goes_by_many_names(name: str) -> None:
    assert resolve(name) is BASH


def test_a_language_without_a_waiting_interpreter_fits_none() -> None:
    assert BASH.waiting is None and not BASH.fits_waiting(BASH.proof)


def test_an_entry_is_never_taken_for_an_option() -> None:
    assert PYTHON.command("-cprint(42)") == ["python3", "/app/-cprint(42)"]
    assert BASH.command("-c.sh") == ["bash", "/app/-c.sh"]
    assert NODE.command("--eval=1.js", ("-p",)) == ["node", "/app/--eval=1.js", "-p"]


@pytest.mark.parametrize(
    "code",
    [
        "# -*- coding: latin-1 -*-\nprint(1)",
        "#!/usr/bin/env python\n# vim: set fileencoding=utf-8 :\nprint(1)",
        "\t# coding=utf-8",
        "\ufeff# coding: utf-8",
        "# coding: latin-1\r\nprint(1)",
        "x = 1 # coding: latin-1",
    ],
)
def test_a_source_that_may_declare_an_encoding_gets_its_own_interpreter(code: str) -> None:
    assert not PYTHON.fits_waiting(code)


@pytest.mark.parametrize("code", ["print(1)", "\n\n# coding: latin-1\n", "coding = 1", "# a comment\nprint(1)"])
def test_other_sources_take_a_waiting_interpreter(code: str) -> None:
    assert PYTHON.fits_waiting(code)


def test_node_has_no_such_declaration() -> None:
    assert NODE.fits_waiting("// coding: latin-1")


def test_a_package_json_names_the_places_where_node_would_look() -> None:
    assert NODE.manifest and NODE.manifest.name == "package.json"
    assert NODE.manifest.main_of(b'{"main": "./lib"}') == ("lib.js", "lib/index.js")
    assert NODE.manifest.main_of(b'{"main": "a.mjs"}') == ("a.mjs", "a.mjs.js", "a.mjs/index.js")


@pytest.mark.parametrize("manifest", [b"", b"\xff", b"[" * 65536, b"null", b'{"main": {}}', b'{"name": "x"}'])
def test_a_strange_package_json_names_none(manifest: bytes) -> None:
    assert NODE.manifest and NODE.manifest.main_of(manifest) == ()


def test_the_default_language_is_offered_first() -> None:
    assert next(iter(LANGUAGES)) == DEFAULT == "python"


def test_every_language_is_in_the_image_that_is_always_there_or_in_a_pack_that_has_a_recipe() -> None:
    assert {language.pack for language in LANGUAGES.values()} <= {"", *PACKS}
    assert not PYTHON.pack and not NODE.pack


def test_nothing_waits_for_a_language_of_a_pack_unless_the_settings_say_so() -> None:
    assert all(language.pool == 0 for language in LANGUAGES.values() if language.pack)


def test_the_command_that_adds_packs_is_one_that_a_shell_takes() -> None:
    assert add_with("scripts") == "make packs PACKS=scripts"
    assert add_with("a", "b") == 'make packs PACKS="a b"'


def test_a_compiler_is_told_all_sources_or_the_entry_that_imports_them() -> None:
    names = ("lib/b.c", "main.c", "main.h", "index.ts", "b.ts")
    c, typescript = (LANGUAGES[name].compiler for name in ("c", "typescript"))
    assert c and c.command_for("main.c", names)[-2:] == ["/app/main.c", "/app/lib/b.c"]
    assert typescript and typescript.command_for("index.ts", names) == [*typescript.command, "/app/index.ts"]


def test_what_a_compiler_has_made_is_run_by_its_name_or_given_to_what_runs_it() -> None:
    assert LANGUAGES["c"].command("main.c", ("-x",)) == ["program", "-x"]
    command = LANGUAGES["typescript"].command("index.ts", ("-x",))
    assert (command[0], command[-2:]) == ("node", ["/exe/program", "-x"])


# --- Editions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import numpy",
        "import numpy as np, os",
        "import matplotlib.pyplot as plt",
        "from PIL import Image",
        "from mpl_toolkits.mplot3d import Axes3D",
        "def f():\n    try:\n        import pandas\n    except ImportError: pass\n",
        "import os; import pandas",
        "if True: import numpy",
        "import os, \\\n  pandas",
        "from \\\n  numpy import *",
        "from numpy import*",
        "from numpy.linalg import (\n  norm,\n)",
        "x = 1\r\nimport numpy\r\n",
        "x = 1\rimport numpy",
        "x = 'it\\'s' # it's\nimport numpy",
        "x = '''\n''' \"\"\"'''\"\"\"\nimport numpy",
        "x = r'\\\\'\nimport numpy",
        "import numpy # '''",
        "import json as numpy, pandas",
    ],
)
def test_a_program_that_imports_a_module_of_the_pack_is_found(code: str) -> None:
    assert needs_science(code.encode())


@pytest.mark.parametrize(
    "code",
    [
        "print('import numpy')",
        "# import numpy",
        "import numpyro, my.numpy",
        "from . import numpy",
        "from .numpy import x",
        "import json as numpy",
        "from json import loads as numpy",
        "x = 'numpy\\\nimport numpy'",
        'x = """\nimport numpy\n"""',
        "x = '''\n\"\"\"\nimport numpy\n'''",
        "x = r'''\\'''\nimport numpy\n'''",
        'x = """\nimport numpy',
        "numpy = 1\x00",
        "import\nfrom numpy\nimport ,\nfrom \\",
        "",
    ],
)
def test_all_others_are_not_and_nothing_makes_looking_fail(code: str) -> None:
    assert not needs_science(code.encode())


LINES = """\
import numpy
import os
from numpy import x
from os import path
x = 1
if x: import numpy
x = 'import numpy'
x = "'"; import re
# import numpy '
x = f"{1}" 'a' # "
import os as numpy
import os, numpy.linalg as l
x = b'\\\\'
x = '\\'' '' ""
x = ''' " ' '''
""".splitlines()


@given(st.lists(st.sampled_from([*LINES, '"""\nimport numpy\n"""', "'''\n\"\"\"'''", "x = '\\\nimport numpy'"])))
def test_imports_are_found_where_python_finds_them(lines: list[str]) -> None:
    source = "\n".join(lines)
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    assert needs_science(source.encode()) == any(name.partition(".")[0] == "numpy" for name in names)


@pytest.mark.parametrize(
    "part",
    ["a\n", "a,", "a.b\n", "f()\n", "-", "(", "import a;", "import a,", "from a import b\n", "from ", "\n ", ";\t", ":"]
    + [
        "'a'\n",
        "'''\n",
        "'",
        '"',
        "\"\"\"a'''",
        '"\\',
        '\\"""',
        "\\\n",
        "#",
        "\n import \\\n",
        " ",
        "\r",
        "\n" + " " * 99,
    ],
)
def test_looking_for_imports_takes_linear_time(part: str) -> None:
    """Of thirty times as much as is ever looked at; what takes the square of it would take hours."""
    assert not needs_science(f"# numpy\n{part * (2_000_000 // len(part))}".encode())


def test_a_module_of_ones_own_is_none_of_the_pack() -> None:
    source = b"import numpy"
    assert not needs_science(source, {"main.py", "numpy.py"})
    assert not needs_science(source, {"main.py", "numpy/__init__.py"})
    assert needs_science(source, {"main.py", "numpy/data.csv", "lib/numpy.py", "numpy.txt"})
    assert needs_science(b"import numpy, pandas", {"numpy.py"})


@pytest.mark.parametrize("encoding", ["punycode", "utf-7", "idna", "unicode_escape", "klingon"])
def test_the_encoding_that_a_program_declares_is_not_what_it_is_looked_at_in(encoding: str) -> None:
    """Decoding 64 KiB of punycode takes seconds, in which nobody else is answered."""
    assert needs_science(f"# coding: {encoding}\nimport numpy\n#{'-' + 'a' * 60_000}".encode())
    assert needs_science(b"# coding: latin-1\nx = '\xe9'\nimport numpy\n")


def test_a_byte_order_mark_hides_nothing() -> None:
    assert needs_science("\ufeffimport numpy".encode())


@pytest.mark.parametrize("end", ["", "\n" + "#" * 100_000])
def test_whether_an_encoding_is_declared_is_found_out_in_linear_time(end: str) -> None:
    """The square of this took minutes. So long may be the programs of one who has a key."""
    assert PYTHON.fits_waiting("#" * 100_000 + end)
    assert not PYTHON.fits_waiting("#" * 100_000 + "coding=" + end)
    assert not PYTHON.fits_waiting("#" * 100_000 + "\n" + "#" * 1000 + "coding:" + end)


def test_an_edition_is_the_language_with_more_in_its_environment_and_no_waiting_interpreter() -> None:
    science = PYTHON.in_pack("science")
    assert (science.pack, science.memory_mb, science.waiting) == ("science", 256, None)
    assert set(PYTHON.environment) < set(science.environment)
    assert PYTHON.in_pack("") is PYTHON
    assert PYTHON.packs == ("", "science")


# --- Modules of Node --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["import fs from 'fs'", "export const x = 1", "await f()", "x = import.meta.url"])
def test_a_source_that_may_be_a_module_is_left_to_node_to_decide(code: str) -> None:
    assert "--experimental-detect-module" in NODE.command("user_code.js", source=code)
    assert not NODE.fits_waiting(code)


@pytest.mark.parametrize("code", ["import('fs')", "const important = 1", "require('fs')", ""])
def test_a_source_that_cannot_be_one_is_run_as_ever(code: str) -> None:
    assert NODE.command("user_code.js", source=code) == ["node", "/app/user_code.js"]
    assert NODE.fits_waiting(code)
