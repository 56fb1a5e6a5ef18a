"""In which pack a program runs, found out without an engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.errors import InvalidRequest, PackMissing
from sandbox.intake.archive import check_archive
from sandbox.intake.limits import limits_of
from sandbox.intake.packs import SOURCE_BYTES, with_hint, with_pack
from sandbox.models import AS_USUAL, RunRequest, RunResult, Status
from sandbox.settings import Settings, load
from tests.zips import zip_of

LIMITS = Settings().limits
NUMPY = "import numpy\n"


def chosen(request: RunRequest, *ready: str) -> RunRequest:
    return with_pack(request, lambda pack: pack in ("", *ready), LIMITS)


def test_a_program_that_imports_a_module_of_a_pack_gets_it_if_it_is_there() -> None:
    assert chosen(RunRequest("python", NUMPY), "science").pack == "science"
    assert chosen(RunRequest("python", NUMPY, artifacts=("*.csv",)), "science").artifacts == ("*.csv", "figure-*.png")
    assert chosen(RunRequest("python", NUMPY)).pack == ""
    assert chosen(RunRequest("python", "print(1)"), "science").pack == ""
    assert chosen(RunRequest("python", "print(1)", pack="science"), "science").pack == "science"


def test_a_pack_that_is_asked_for_and_missing_is_not_passed_over() -> None:
    with pytest.raises(PackMissing, match="make packs PACKS=science"):
        chosen(RunRequest("python", NUMPY, pack="science"))
    with pytest.raises(InvalidRequest) as caught:
        chosen(RunRequest("node", "1", pack="science"), "science")
    assert caught.value.code == "wrong_pack"


def test_the_entry_of_a_project_is_what_is_looked_at(tmp_path: Path) -> None:
    archive = check_archive(zip_of({"main.py": NUMPY, "other.py": "print(1)"}), load(data_dir=tmp_path))
    assert chosen(RunRequest("python", archive=archive, entry="main.py"), "science").pack == "science"
    assert chosen(RunRequest("python", archive=archive, entry="other.py"), "science").pack == ""


def test_a_project_with_a_module_of_its_own_name_for_one_of_the_pack_is_not_sent_there(tmp_path: Path) -> None:
    files = {"src/main.py": NUMPY, "src/numpy.py": "", "main.py": NUMPY}
    archive = check_archive(zip_of(files), load(data_dir=tmp_path))
    assert chosen(RunRequest("python", archive=archive, entry="src/main.py"), "science").pack == ""
    assert chosen(RunRequest("python", archive=archive, entry="main.py"), "science").pack == "science"
    asked = RunRequest("python", archive=archive, entry="src/main.py", pack="science")
    assert chosen(asked, "science").pack == "science"


@pytest.mark.parametrize(("excess", "pack"), [(-1, "science"), (0, "science"), (1, "")])
def test_of_a_long_program_64_kib_are_looked_at(excess: int, pack: str) -> None:
    filling = "#" * (SOURCE_BYTES - len(NUMPY) - 1 + excess) + "\n"
    assert chosen(RunRequest("python", filling + NUMPY), "science").pack == pack


def test_an_edition_has_more_memory() -> None:
    assert chosen(RunRequest("python", NUMPY), "science").limits == replace(LIMITS, memory_mb=256)
    longer = RunRequest("python", NUMPY, limits=replace(AS_USUAL, timeout_seconds=20))
    assert chosen(longer, "science").limits == replace(LIMITS, timeout_seconds=20, memory_mb=256)
    assert chosen(RunRequest("python", "print(1)"), "science").limits == LIMITS


@pytest.mark.parametrize("memory_mb", [64, 128, 256, 300])
def test_memory_that_was_asked_for_is_what_a_program_gets(memory_mb: int) -> None:
    for request, pack in ((RunRequest("python", NUMPY), "science"), (RunRequest("go", "1"), "go")):
        asked = replace(request, limits=limits_of({"memory_mb": memory_mb}, Settings()))
        assert chosen(asked, pack).limits.memory_mb == memory_mb
        assert chosen(request, pack).limits.memory_mb == 256


def test_what_a_request_names_is_what_it_gets_and_the_rest_is_usual() -> None:
    asked = {"timeout_seconds": LIMITS.timeout_seconds, "output_bytes": 1024, "processes": 16}
    request = RunRequest("go", "1", limits=limits_of(asked, Settings()))
    assert chosen(request, "go").limits == replace(LIMITS, memory_mb=256, output_bytes=1024, pids=16)


def test_less_memory_has_a_smaller_shm_and_more_has_no_larger_one() -> None:
    sizes = [
        chosen(RunRequest(language, "1", limits=replace(AS_USUAL, memory_mb=memory_mb)), "go").limits.shm_mb
        for language in ("python", "go")
        for memory_mb in (32, 64, 128, 256)
    ]
    assert sizes == [4, 8, 16, 16] * 2


def failed(error: str, language: str = "python", status: Status = Status.ERROR) -> RunResult:
    return RunResult("0" * 16, language, status, "", error, 1)


TRACE = 'Traceback (most recent call last):\n  File "/app/user_code.py", line 1\n'


@pytest.mark.parametrize("module", ["numpy", "matplotlib.pyplot", "PIL"])
def test_a_module_of_a_pack_that_is_not_there_gets_a_sentence(module: str) -> None:
    result = with_hint(failed(f"{TRACE}ModuleNotFoundError: No module named '{module}'\n"), frozenset)
    name = module.partition(".")[0]
    assert result.error.splitlines()[-1] == (
        f"{name} is in the pack `science`. The operator of this server can add it: `make packs PACKS=science`."
    )
    assert result.error.startswith(TRACE)


def test_a_module_that_only_another_file_imports_gets_a_sentence() -> None:
    result = with_hint(failed(f"{TRACE}ModuleNotFoundError: No module named 'numpy'\n"), lambda: frozenset({"science"}))
    assert result.error.splitlines()[-1] == (
        "numpy is in the pack `science`, which a program gets when the file that it starts with imports it: "
        "write `import numpy` there, too."
    )


@pytest.mark.parametrize(
    ("result", "ready"),
    [
        (failed("ModuleNotFoundError: No module named 'numpy.nothing'\n"), {"science"}),
        (failed("ModuleNotFoundError: No module named 'nothing'\n"), set()),
        (failed("ModuleNotFoundError: No module named 'numpy'\nanother line\n"), set()),
        (failed("ModuleNotFoundError: No module named 'numpy'\n", status=Status.OK), set()),
        (failed("ModuleNotFoundError: No module named 'numpy'\n", "node"), set()),
        (failed(""), set()),
    ],
)
def test_nothing_else_does(result: RunResult, ready: set[str]) -> None:
    assert with_hint(result, lambda: frozenset(ready)) is result


@pytest.mark.parametrize("error", ["", "ModuleNotFoundError: No module named 'nothing'\n", "NameError: numpy\n"])
def test_the_engine_is_asked_for_packs_only_after_a_module_of_one_was_missing(error: str) -> None:
    def ready() -> frozenset[str]:
        raise AssertionError

    with_hint(failed(error), ready)
    with pytest.raises(AssertionError):
        with_hint(failed("ModuleNotFoundError: No module named 'numpy'\n"), ready)


@pytest.mark.parametrize("part", ["a", "a.", ".", "numpy"])
def test_looking_for_a_missing_module_takes_linear_time(part: str) -> None:
    """As much as a program may have kept of its error. The square of that took hours, in which nobody was answered."""
    result = failed("ModuleNotFoundError: No module named '" + part * ((4 << 20) // len(part)))
    assert with_hint(result, frozenset) is result
