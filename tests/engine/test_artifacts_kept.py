"""Programs that may make files, in containers that are kept: the next one finds nothing of them, and may make none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from executor import Executor
from sandbox.intake.archive import check_archive
from sandbox.models import RunResult, Status
from tests.conftest import plain
from tests.engine.keeping import LOOK, read_attacks
from tests.zips import zip_of

OWNER = "key:maker"
ATTACKS = read_attacks("making.txt")

RunFor = Callable[..., RunResult]


@pytest.fixture(scope="module")
def run(run_for: RunFor) -> RunFor:
    return run_for


@pytest.mark.parametrize("title", list(ATTACKS))
def test_the_second_sees_what_it_would_alone(title: str, run: RunFor, seen_alone: str) -> None:
    fate, code = ATTACKS[title]
    first = run(OWNER, code, artifacts=("**",))
    assert (first.status, first.error) == (Status.OK, "")
    second = run(OWNER, LOOK)
    assert second.status is Status.OK, second.error
    assert plain(second.output) == seen_alone
    assert second.runs_before == (first.runs_before + 1 if fate == "kept" else 0)


def test_a_project_that_made_files_among_its_own_leaves_nothing(
    keeping: Executor, run: RunFor, seen_alone: str
) -> None:
    files = {
        "main.py": "import lib, os; os.mkdir('in/new'); open('in/new/x', 'w'); open('y', 'w')",
        "lib.py": "",
        "in/d/z": "",
    }
    archive = check_archive(zip_of(files), keeping.settings)
    first = run("key:project", archive=archive, entry="main.py", artifacts=("**",))
    assert [each.path for each in first.artifacts] == ["in/new/x", "y"]
    second = run("key:project", LOOK)
    assert (plain(second.output), second.runs_before) == (seen_alone, first.runs_before + 1)


def test_a_waiting_container_serves_both_kinds_of_request(run: RunFor) -> None:
    """The same one, in turn, many times."""
    for number in range(5):
        made = run("key:both", "open('a', 'w').write('x')", artifacts=("a",))
        kept = run("key:both", "open('/app/a', 'w')")
        assert (len(made.artifacts), made.runs_before, kept.runs_before) == (1, 2 * number, 2 * number + 1)
        assert "PermissionError" in kept.error and kept.artifacts == ()


def test_the_same_file_can_be_made_again(run: RunFor) -> None:
    code = "open('a', 'x').write('x'); import os; print(os.listdir())"
    first, second = (run("key:again", code, artifacts=("*",)) for _ in range(2))
    assert first.output == second.output and second.runs_before == 1
