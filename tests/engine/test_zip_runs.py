"""Projects of several files, on the real engine: imports, data files, and archives that lie about themselves."""

from __future__ import annotations

import zipfile
from collections.abc import Callable

import pytest

from executor import Executor
from sandbox.errors import InvalidArchive
from sandbox.intake.archive import check_archive
from sandbox.intake.entry import choose_entry
from sandbox.languages import LANGUAGES
from sandbox.models import Archive, RunRequest, RunResult, Status
from tests import zips
from tests.conftest import ROOT

RunZip = Callable[..., RunResult]


@pytest.fixture(scope="session")
def run_zip(executor: Executor) -> RunZip:
    def run(data: bytes, entry: str | None = None, language: str = "python") -> RunResult:
        archive = check_archive(data, executor.settings)
        chosen = choose_entry(archive, LANGUAGES[language], entry)
        return executor.run(RunRequest(language, archive=archive, entry=chosen))

    return run


@pytest.mark.parametrize(("sample", "language"), [("ziptest", "python"), ("ziptest_node", "node")])
def test_the_samples_print_what_they_should(run_zip: RunZip, sample: str, language: str) -> None:
    folder = ROOT / "sample_data" / sample
    result = run_zip(zips.zip_folder(folder), None, language)
    assert (result.output, result.error, result.exit_code) == ((folder / "expected.txt").read_text(), "", 0)


def test_an_entry_in_a_sub_folder_imports_its_siblings(run_zip: RunZip) -> None:
    files = {"src/main.py": "import lib, sys; print(lib.X, sys.path[0], __file__)", "src/lib.py": "X = 7", "d.txt": ""}
    assert run_zip(zips.zip_of(files), "src/main.py").output == "7 /app/src /app/src/main.py\n"


def test_an_es_module_may_await_at_top_level(run_zip: RunZip) -> None:
    files = {"main.mjs": "import {x} from './lib.mjs'; console.log(await x)", "lib.mjs": "export const x = 5"}
    assert run_zip(zips.zip_of(files), "main.mjs", "node").output == "5\n"


def test_package_json_makes_js_files_es_modules(run_zip: RunZip) -> None:
    files = {
        "package.json": '{"type": "module"}',
        "index.js": "import os from 'node:os'; console.log(os.EOL === '\\n')",
    }
    assert run_zip(zips.zip_of(files), None, "node").output == "true\n"


@pytest.mark.parametrize("name", ["user_code.py", "-c.py", "sp ace.py", "é世.py", "sitecustomize/main.py"])
def test_an_entry_of_any_name_can_be_started(run_zip: RunZip, name: str) -> None:
    result = run_zip(zips.zip_of({name: "print(__file__)"}), name)
    assert (result.output, result.error) == (f"/app/{name}\n", "")


def test_a_project_cannot_change_its_own_files(run_zip: RunZip) -> None:
    result = run_zip(zips.zip_of({"main.py": "open('data.txt', 'w')", "data.txt": ""}), "main.py")
    assert "PermissionError" in result.error


def test_a_thousand_files_are_unpacked(run_zip: RunZip) -> None:
    files = {f"data/{number}.txt": "x" for number in range(999)}
    code = "import os; print(len(os.listdir('data')))"
    assert run_zip(zips.zip_of({"main.py": code} | files)).output == "999\n"


def test_the_largest_archive_that_is_accepted_can_be_unpacked(run_zip: RunZip) -> None:
    code = "import os; print(sum(entry.stat().st_size for entry in os.scandir('data')))"
    files = {f"data/{number}.bin": b"\0" * (32 << 10) for number in range(999)}
    assert run_zip(zips.zip_of({"main.py": code, **files})).output == f"{999 * (32 << 10)}\n"


@pytest.mark.parametrize(
    "data",
    [
        zips.bad_crc(),
        zips.lying_size(10, 1 << 20),
        zips.lying_size(1 << 20, 10),
        zips.garbled(),
    ],
)
def test_contents_that_are_damaged_are_the_callers_fault(run_zip: RunZip, data: bytes) -> None:
    with pytest.raises(InvalidArchive) as caught:
        run_zip(data, "main.py")
    assert caught.value.code == "corrupt_archive"


def test_a_name_that_leads_out_cannot_be_unpacked_even_if_the_host_let_it_pass(executor: Executor) -> None:
    """The supervisor is told names directly, as if the host's check had been fooled."""
    data = zips.zip_of({"../sandbox/supervisor.py": "evil", "main.py": "print(1)"}, zipfile.ZIP_STORED)
    archive = Archive(data, ("../sandbox/supervisor.py", "main.py"), 10)
    with pytest.raises(InvalidArchive):
        executor.run(RunRequest("python", archive=archive, entry="main.py"))


def test_arguments_and_stdin_reach_a_project(executor: Executor) -> None:
    data = zips.zip_of({"main.py": "import sys; print(sys.argv, sys.stdin.read())"})
    archive = check_archive(data, executor.settings)
    result = executor.run(RunRequest("python", archive=archive, entry="main.py", args=("-x", "é"), stdin="in"))
    assert (result.output, result.status) == ("['/app/main.py', '-x', 'é'] in\n", Status.OK)
