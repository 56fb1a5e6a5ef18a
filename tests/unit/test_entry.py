"""Which file of an archive is started: the one named, or the only obvious one."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from sandbox.errors import InvalidRequest
from sandbox.intake.archive import check_archive
from sandbox.intake.entry import choose_entry
from sandbox.languages import LANGUAGES
from sandbox.settings import Settings
from tests import zips
from tests.conftest import ROOT

PYTHON, NODE = LANGUAGES["python"], LANGUAGES["node"]
SETTINGS = Settings(max_archive_members=20, max_archive_bytes=10_000)


def entry_problem(names: list[str], language: object, entry: str | None) -> tuple[str, str]:
    archive = check_archive(zips.zip_of(dict.fromkeys(names, "")), SETTINGS)
    with pytest.raises(InvalidRequest) as caught:
        choose_entry(archive, language, entry)  # type: ignore[arg-type]
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    ("names", "language", "entry"),
    [
        (["main.py", "helper.py"], PYTHON, "main.py"),
        (["app.py", "helper.py"], PYTHON, "app.py"),
        (["only.py", "data.txt"], PYTHON, "only.py"),
        (["deep/folder/only.py"], PYTHON, "deep/folder/only.py"),
        (["project/main.py", "project/lib.py"], PYTHON, "project/main.py"),
        (["index.js", "lib.js"], NODE, "index.js"),
        (["main.js", "lib.js"], NODE, "main.js"),
        (["only.mjs"], NODE, "only.mjs"),
        (["main.py", "index.js"], NODE, "index.js"),
        (["main.sh", "lib.sh"], LANGUAGES["bash"], "main.sh"),
    ],
)
def test_an_obvious_entry_need_not_be_named(names: list[str], language: object, entry: str) -> None:
    archive = check_archive(zips.zip_of(dict.fromkeys(names, "")), SETTINGS)
    assert choose_entry(archive, language, None) == entry  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "language"),
    [
        (["main.py", "app.py"], PYTHON),
        (["one.py", "two.py"], PYTHON),
        (["index.js", "main.js"], NODE),
        (["readme.txt"], PYTHON),
        (["main.py"], NODE),
        (["a/main.py", "b/main.py"], PYTHON),
    ],
)
def test_an_entry_that_is_not_obvious_has_to_be_named(names: list[str], language: object) -> None:
    code, _ = entry_problem(names, language, None)
    assert code == "entry_required"


def test_the_candidates_are_told() -> None:
    _, message = entry_problem(["one.py", "two.py", "data.txt"], PYTHON, None)
    assert "'one.py', 'two.py'" in message
    assert "data.txt" not in message


def test_an_archive_of_another_language_is_told_so() -> None:
    assert entry_problem(["main.js", "lib.js"], PYTHON, None) == (
        "entry_required",
        "The archive has no file that ends in .py, and `language` is python.",
    )


@pytest.mark.parametrize(
    ("main", "entry"),
    [
        ("lib/start.js", "lib/start.js"),
        ("./lib/start.js", "lib/start.js"),
        ("lib/start", "lib/start.js"),
        ("lib", "lib/index.js"),
        ("lib/", "lib/index.js"),
        ("missing.js", "index.js"),
        ("../../etc/passwd", "index.js"),
    ],
)
def test_package_json_names_the_entry(main: str, entry: str) -> None:
    names = ["lib/start.js", "lib/index.js", "index.js"]
    data = zips.zip_of(dict.fromkeys(names, "") | {"package.json": f'{{"main": "{main}"}}'})
    assert choose_entry(check_archive(data, SETTINGS), NODE, None) == entry


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"main": 1}', "[" * 5000, "null", '"x"', "\xff", '{"name": "x"}'])
def test_a_strange_package_json_is_no_hint(manifest: str) -> None:
    archive = check_archive(zips.zip_of({"package.json": manifest, "index.js": ""}), SETTINGS)
    assert choose_entry(archive, NODE, None) == "index.js"


def test_a_package_json_that_is_a_bomb_is_not_inflated() -> None:
    settings = Settings(max_archive_bytes=32 << 20)
    archive = check_archive(zips.zip_of({"package.json": " " * (30 << 20), "index.js": ""}), settings)
    assert choose_entry(archive, NODE, None) == "index.js"


@pytest.mark.parametrize("entry", ["main.py", "./main.py", " main.py "])
def test_an_entry_may_be_named(entry: str) -> None:
    archive = check_archive(zips.zip_of({"main.py": "", "app.py": ""}), SETTINGS)
    assert choose_entry(archive, PYTHON, entry) == "main.py"


@pytest.mark.parametrize("entry", ["project/src/a.py", "src/a.py", "./src/a.py", "./project/src/a.py"])
def test_an_entry_may_be_named_without_the_folder_that_holds_everything(entry: str) -> None:
    archive = check_archive(zips.zip_of({"project/main.py": "", "project/src/a.py": ""}), SETTINGS)
    assert choose_entry(archive, PYTHON, entry) == "project/src/a.py"


def test_a_path_from_the_top_counts_before_one_from_the_folder_that_holds_everything() -> None:
    archive = check_archive(zips.zip_of({"a/x.py": "", "a/a/x.py": ""}), SETTINGS)
    assert choose_entry(archive, PYTHON, "a/x.py") == "a/x.py"


def test_without_such_a_folder_an_entry_needs_its_whole_path() -> None:
    assert entry_problem(["a/x.py", "b/y.py"], PYTHON, "x.py")[0] == "entry_not_found"


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        (["a/x.py", "a/b/y.py"], "a/"),
        (["a/b/x.py"], "a/"),
        (["x.py"], ""),
        (["a/x.py", "y.py"], ""),
        (["a/x.py", "ab/y.py"], ""),
        (["a/x.py", "__MACOSX/a/._x.py"], "a/"),
    ],
)
def test_the_folder_that_holds_everything_is_found(names: list[str], folder: str) -> None:
    assert check_archive(zips.zip_of(dict.fromkeys(names, "")), SETTINGS).folder == folder


def test_an_entry_that_looks_like_an_option_is_just_a_name() -> None:
    archive = check_archive(zips.zip_of({"-cprint(42).py": ""}), SETTINGS)
    assert PYTHON.command(choose_entry(archive, PYTHON, "-cprint(42).py"))[1] == "/app/-cprint(42).py"


@pytest.mark.parametrize("entry", ["man.py", "../main.py", "/app/main.py", "x" * 100_000, "\0"])
def test_an_entry_that_is_not_there_is_refused(entry: str) -> None:
    code, message = entry_problem(["main.py"], PYTHON, entry)
    assert code == "entry_not_found"
    assert len(message) < 300


@pytest.mark.parametrize("entry", [None, ""])
def test_an_empty_entry_is_an_entry_left_out(entry: str | None) -> None:
    assert choose_entry(check_archive(zips.zip_of({"main.py": ""}), SETTINGS), PYTHON, entry) == "main.py"


def test_a_name_that_begins_with_a_space_can_be_given_exactly() -> None:
    archive = check_archive(zips.zip_of({" a.py": "", "a.py": ""}), SETTINGS)
    assert (choose_entry(archive, PYTHON, " a.py"), choose_entry(archive, PYTHON, " a.py ")) == (" a.py", "a.py")


@pytest.mark.timeout(10)  # comparing all of them is what an attacker would want
@pytest.mark.parametrize("length", [57, 190])
def test_names_made_to_be_hard_to_compare_are_not_all_compared(length: int) -> None:
    shuffled = random.Random(1)
    names = ["".join(shuffled.sample("ab" * length, length)) + ".py" for _ in range(1000)]
    archive = check_archive(zips.zip_of(dict.fromkeys(names[1:], "")), Settings())
    with pytest.raises(InvalidRequest):
        choose_entry(archive, PYTHON, names[0])


def test_a_misspelt_entry_is_told_what_was_meant() -> None:
    assert "Did you mean 'main.py'" in entry_problem(["main.py"], PYTHON, "man.py")[1]


@pytest.mark.parametrize(("entry", "language"), [("data.txt", PYTHON), ("main.py", NODE)])
def test_an_entry_of_another_language_is_refused(entry: str, language: object) -> None:
    assert entry_problem(["main.py", "data.txt"], language, entry)[0] == "bad_entry"


@pytest.fixture(params=["ziptest", "ziptest_node"])
def sample(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def test_the_samples_have_an_obvious_entry(sample: str) -> None:
    archive = check_archive(zips.zip_folder(ROOT / "sample_data" / sample), Settings())
    language, entry = (PYTHON, "main.py") if sample == "ziptest" else (NODE, "lib/start.js")
    assert choose_entry(archive, language, None) == entry
