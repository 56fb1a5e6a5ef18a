"""Who may import whom: each module its own part or one of a lower rank, and a few libraries only where they belong.

Read from the sources with `ast`, imports inside functions and under TYPE_CHECKING included.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.languages import LANGUAGES
from sandbox.languages.language import Language
from tests.conftest import ROOT

# The longest name that a module begins with counts. Docs: docs/architecture.md, "Modules".
RANKS = {
    "sandbox.models": 0,
    "sandbox.errors": 0,
    "sandbox.agreed": 0,
    "sandbox.addresses": 1,
    "sandbox.host_names": 1,
    "sandbox.packs": 0,
    "sandbox.languages": 1,
    "sandbox.turns": 2,
    "sandbox.pool_sizes": 2,
    "sandbox.settings": 3,
    "sandbox.admission": 4,
    "sandbox.cancelling": 4,
    "sandbox.quotas": 4,
    "sandbox.held": 4,
    "sandbox.batches": 4,
    "sandbox.readiness": 4,
    "sandbox.intake": 4,
    "sandbox.engine": 4,
    "sandbox.store": 4,
    "sandbox.box": 5,
    "executor": 6,
    "web": 7,
    "web.routes": 8,
    "web.serving": 8,
    "app": 9,
    "cli": 9,
    "tests": 10,
    "bench": 10,
    "scripts": 10,
}
GUEST = "sandbox.guest"
ONLY_IN = {
    "flask": ("web", "app"),
    "werkzeug": ("web", "app"),
    "waitress": ("web.serving",),
    "sqlalchemy": ("sandbox.store",),
    "itsdangerous": ("web.cookies",),
    "click": ("cli",),
    "prometheus_client": ("web.metrics",),
}
"""Library -> what modules that import it begin with."""

WITHOUT_FLASK = "web.serving"
"""A server takes any application."""

STARTS_PROCESSES = "sandbox.engine.client"
"""The only module in `sandbox` that may import `subprocess`."""

PACKAGES = ("sandbox", "web", "bench", "scripts")
TOP = ("app.py", "cli.py", "executor.py")


def modules(root: Path) -> dict[str, Path]:
    """Name -> file of every module that is ours."""
    files = [root / name for name in TOP]
    for package in PACKAGES:
        files += sorted((root / package).rglob("*.py"))
    return {name_of(path.relative_to(root)): path for path in files if "__pycache__" not in path.parts}


def name_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Names of the modules that a file imports, ours as exactly as they can be known."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative imports would hide from this test"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module


def begins(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


def part(module: str) -> str:
    """The row of the table that a module belongs to, if any."""
    return max((prefix for prefix in RANKS if begins(module, prefix)), key=len, default="")


def violations(root: Path) -> list[str]:
    """A line for each import that the rules forbid."""
    known = modules(root)
    found = []
    for module, path in known.items():
        for imported in set(imports(path, known)):
            if problem := wrong_with(module, imported, known, root):
                found.append(f"{module} imports {imported}: {problem}")
    return sorted(found)


def wrong_with(module: str, imported: str, known: dict[str, Path], root: Path) -> str:
    library = imported.partition(".")[0]
    if begins(module, GUEST):
        beside = (root / "sandbox" / "guest" / f"{library}.py").exists()
        return "" if beside or library in sys.stdlib_module_names or library == "__future__" else "not inside"
    if begins(imported, GUEST):
        return "what runs inside is imported by nobody"
    if library in ONLY_IN and not any(begins(module, prefix) for prefix in ONLY_IN[library]):
        return f"{library} belongs to {' and '.join(ONLY_IN[library])}"
    if library == "flask" and begins(module, WITHOUT_FLASK):
        return f"{WITHOUT_FLASK} takes any application"
    if library == "subprocess" and begins(module, "sandbox") and module != STARTS_PROCESSES:
        return f"only {STARTS_PROCESSES} starts processes"
    if imported not in known and library not in {*PACKAGES, "app", "cli", "executor", "tests"}:
        return ""
    own, other = part(module), part(imported)
    if not own or not other:
        return "it has no rank"
    if own == other or RANKS[other] < RANKS[own]:
        return ""
    return f"rank {RANKS[other]} is not below {RANKS[own]}"


def test_every_import_keeps_to_the_ranks() -> None:
    assert violations(ROOT) == []


def test_nobody_imports_the_tests() -> None:
    assert not [name for name, path in modules(ROOT).items() if "tests" in {i.split(".")[0] for i in imports(path, {})}]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources, to be changed."""
    for name in (*PACKAGES, *TOP, "templates", "static/js"):
        source, target = ROOT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("sandbox/models.py", "import flask", "flask belongs to"),
        ("sandbox/box/pool.py", "def late():\n    import flask", "flask belongs to"),
        ("sandbox/models.py", "from sandbox.settings import Settings", "rank 3 is not below 0"),
        ("sandbox/languages/node.py", "from sandbox.settings import Settings", "rank 3 is not below 1"),
        ("sandbox/engine/flags.py", "from sandbox.box.protocol import Order", "rank 5 is not below 4"),
        ("sandbox/intake/entry.py", "from sandbox.engine.client import Client", "rank 4 is not below 4"),
        ("sandbox/box/container.py", "import subprocess", "only sandbox.engine.client starts processes"),
        ("executor.py", "from web import errors", "rank 7 is not below 6"),
        ("web/logs.py", "from web.serving import server", "rank 8 is not below 7"),
        ("web/logs.py", "import prometheus_client", "prometheus_client belongs to web.metrics"),
        ("web/logs.py", "import waitress", "waitress belongs to web.serving"),
        ("web/serving/server.py", "from flask import Flask", "takes any application"),
        ("sandbox/box/container.py", "from sandbox.guest import frames", "imported by nobody"),
        ("sandbox/guest/run.py", "import pydantic", "not inside"),
        ("sandbox/admission.py", "import sqlalchemy", "sqlalchemy belongs to"),
    ],
)
def test_a_mutation_that_breaks_a_rule_is_found(copy: Path, file: str, line: str, complaint: str) -> None:
    with (copy / file).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    (found,) = violations(copy)
    assert complaint in found


def test_the_files_of_a_folder_that_is_not_ranked_are_found(copy: Path) -> None:
    (copy / "sandbox" / "new.py").write_text("from sandbox import models\n")
    assert violations(copy) == ["sandbox.new imports sandbox.models: it has no rank"]


# --- A language is one file -------------------------------------------------------------------------------

ELSEWHERE = ("app.py", "cli.py", "executor.py", "web", "templates", "static/js", "sandbox")
ABOUT_LANGUAGES = ("sandbox/languages", "sandbox/guest", "sandbox/packs")
"""What runs inside is made for interpreters."""

ALLOWED = {
    ("app.py", "python app.py"): "how the server is started",
    ("cli.py", "python cli.py"): "how it is started",
    ("sandbox/engine/__init__.py", "python -m sandbox.engine.doctor"): "how it is started",
    ("sandbox/engine/doctor.py", "/usr/local/bin/python3"): "what the supervisor, too, is run by",
    ("sandbox/engine/versions.py", "/usr/local/bin/python3"): "the same",
    ("sandbox/intake/archive.py", "Python's zipfile"): "what the server is written in",
    ("sandbox/intake/archive.py", "From Python 3.13 on"): "what the server is written in",
    ("sandbox/store/database.py", "the Python driver"): "what the server is written in",
    ("sandbox/store/database.py", "The Python driver"): "what the server is written in",
    ("sandbox/seccomp.json", "Node's fs"): "why a system call is allowed, which a new language does not change",
    ("sandbox/seccomp.json", "Python and Node do not use it"): "the same",
    ("executor.py", 'language="python"'): "an example",
    ("sandbox/box/classify.py", "a shell shows"): "the one that people type into",
    ("static/js/share.js", "a POSIX shell"): "the one that curl is typed into",
    ("static/js/share.js", "The shell puts"): "the same",
    ("static/js/words.js", "a POSIX shell"): "the one that curl is typed into",
    ("static/js/words.js", "as a shell would split it"): "the one that people type into",
    ("static/js/dom.js", "(Node | string)"): "of the document",
    ("static/js/pane.js", "{Node[]}"): "of the document",
    ("static/js/pane.js", "{Node}"): "of the document",
    ("static/js/toast.js", "TypeScript does not know it yet"): "what the page is checked with",
    ("templates/index.html", "needs JavaScript"): "what the page is written in",
    ("templates/index.html", "'js/main.js'"): "a file of the page",
    ("web/assets.py", "text/javascript"): "a file of the page",
    ("web/assets.py", '"js"'): "a folder of the page",
    ("web/assets.py", '"js/main.js"'): "a file of the page",
    ("web/assets.py", '"bundle/main.js"'): "a file of the page",
}
"""(file, words that may stand there) -> what else than a language of programs they are about."""


COMMON = {"c", "go", "rb", "sql", "sqlite", "sqlite3"}
"""Names that say nothing: a letter, a verb, the server's own database, a way to open files."""


def words_of(language: Language) -> Iterator[str]:
    """What would say elsewhere that a file knows this language. Of `Node.js 20`: `Node.js` and `Node`."""
    title = language.title.split()[0]
    yield from (language.name, title, title.partition(".")[0], *language.aliases)
    yield from (language.interpreter, language.page.grammar)
    yield from (language.file_name, language.file_name.partition(".")[0], *language.entry_names)


def names() -> re.Pattern[str]:
    """Those words. `.js` is not one of them: it ends the names of the page's own files."""
    said = {word for language in LANGUAGES.values() for word in words_of(language) if word.lower() not in COMMON}
    words = sorted(said, key=len, reverse=True)
    return re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)


def files_elsewhere(root: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each."""
    for place in ELSEWHERE:
        for path in [root / place, *sorted((root / place).rglob("*"))]:
            name = path.relative_to(root).as_posix()
            if path.is_file() and path.suffix != ".pyc" and not name.startswith(ABOUT_LANGUAGES):
                yield name, path.read_text(encoding="utf-8")


def named_elsewhere(root: Path) -> list[str]:
    """A line for each name of a language that stands where no language should be known."""
    found, known = [], names()
    for file, text in files_elsewhere(root):
        for where, allowed in ALLOWED:
            text = text.replace(allowed, "") if where == file else text
        found += [
            f"{file}:{text.count(chr(10), 0, match.start()) + 1} says {match[0]}" for match in known.finditer(text)
        ]
    return found


def test_a_language_is_named_in_its_own_file_only() -> None:
    assert named_elsewhere(ROOT) == []


def test_what_is_allowed_to_be_named_is_there() -> None:
    texts = dict(files_elsewhere(ROOT))
    assert [(file, words) for file, words in ALLOWED if words not in texts[file] or not names().search(words)] == []


@pytest.mark.parametrize(
    ("file", "line", "says"),
    [
        ("static/js/run.js", 'if (result.language === "node") output.showMessage();', "node"),
        ("static/js/trace.js", r"const PLACE = /\/app\/user_code\.sh: line (\d+)/g;", "user_code"),
        ("static/js/program.js", "// Bash ends with its message.", "Bash"),
        ("static/js/editor.js", 'const grammar = "javascript";', "javascript"),
        ("static/js/pane.js", "// Node.js begins with it.", "Node.js"),
        ("templates/index.html", '<option value="py">', "py"),
        ("web/routes/run.py", 'if language == "python": pass', "python"),
        ("sandbox/intake/entry.py", 'ENTRIES = ("main.sh",)', "main.sh"),
        ("sandbox/box/pool.py", "# python3 waits", "python3"),
        ("executor.py", "# for bash", "bash"),
    ],
)
def test_a_mutation_that_names_a_language_is_found(copy: Path, file: str, line: str, says: str) -> None:
    with (copy / file).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    (found,) = named_elsewhere(copy)
    assert found.startswith(f"{file}:") and found.endswith(f" says {says}")
