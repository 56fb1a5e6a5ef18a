"""The make targets, and the scripts below them on machines that lack something."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.engine import image as images
from sandbox.settings import load
from scripts import bases, browser, image, postgres
from scripts import engine as engine_script
from scripts.stages import Failed, Stage
from tests import postgres_server
from tests.commands import PYTHON, run
from tests.commands import clone as clone
from tests.conftest import ROOT, eventually


def program(folder: Path, name: str, text: str) -> None:
    """A shell script in a folder that a test puts on PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


# --- make -------------------------------------------------------------------------------------------------


def test_make_alone_lists_every_target() -> None:
    listed = {line.split()[1] for line in run("make").stdout.splitlines() if line.startswith("make ")}
    assert {"help", "run", "check", "test", "lint", "engine", "image", "packs", "doctor", "bench", "clean"} <= listed


@pytest.mark.parametrize(
    ("target", "order"),
    [
        ("run", ["scripts/venv requirements.txt", "scripts.image", "app.py"]),
        (
            "test",
            [
                "scripts.image",
                "scripts.packs --all",
                "requirements-dev.txt",
                "browser",
                "postgres",
                "ruff",
                "mypy",
                "pytest",
            ],
        ),
    ],
)
def test_make_prepares_before_it_starts(target: str, order: list[str]) -> None:
    plan = run("make", "--dry-run", target).stdout
    places = [plan.index(step) for step in order]
    assert places == sorted(places)


@pytest.mark.parametrize("failing", ["", "ruff check", "ruff format", "mypy", "pytest"])
def test_a_check_that_fails_fails_the_whole_and_each_is_heard(tmp_path: Path, failing: str) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy2(ROOT / "scripts/check", tmp_path / "scripts/check")
    (tmp_path / ".venv").mkdir()
    fails = f'case "$2 $3" in "{failing} "*|"{failing}") exit 1; esac' if failing else ""
    program(tmp_path / ".venv/bin", "python", f'echo "says $2"; {fails}')
    done = run("scripts/check", cwd=tmp_path)
    assert done.returncode == bool(failing)
    assert {"says ruff", "says mypy", "says pytest"} <= set(done.stdout.splitlines())


def test_ci_runs_exactly_make_test() -> None:
    commands = (ROOT / ".ci/run").read_text().splitlines()
    assert commands[-1] == "make test"
    assert os.access(ROOT / ".ci/run", os.X_OK)


# --- Python -----------------------------------------------------------------------------------------------


def test_an_old_python_is_told_what_is_needed(clone: Path) -> None:
    tools = clone / "tools"
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        program(tools, name, 'case $1 in --version) echo "Python 3.10.12";; *) exit 1;; esac')
    program(tools, "id", "echo 1000")
    program(tools, "apt-get", "exit 1")
    done = run("scripts/venv", cwd=clone, PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed; this machine has 3.10.12." in done.stdout


# --- Packages ---------------------------------------------------------------------------------------------


def test_apt_is_not_asked_for_what_is_there(clone: Path) -> None:
    program(clone / "tools", "apt-get", "echo called >&2; exit 1")
    done = run("scripts/apt-install", "sh", "dash", cwd=clone, PATH=f"{clone}/tools:{os.environ['PATH']}")
    assert (done.returncode, done.stdout) == (0, "")


def test_without_root_apt_is_left_to_the_user(clone: Path) -> None:
    program(clone / "tools", "id", "echo 1000")
    program(clone / "tools", "apt-get", "echo called >&2")
    done = run(
        "scripts/apt-install", "no-such-program", "a", "b", cwd=clone, PATH=f"{clone}/tools:{os.environ['PATH']}"
    )
    assert done.returncode == 1
    assert "Type: sudo apt-get update && sudo apt-get install a b" in done.stdout


def test_stale_package_lists_are_updated_once(clone: Path) -> None:
    tools = clone / "tools"
    program(tools, "id", "echo 0")
    program(
        tools,
        "apt-get",
        f'echo "$1" >> {clone}/calls; [ "$1" = update ] || [ -e {clone}/fresh ] && touch {clone}/fresh',
    )
    done = run("scripts/apt-install", "no-such-program", "a", cwd=clone, PATH=f"{tools}:{os.environ['PATH']}")
    assert (done.returncode, (clone / "calls").read_text().split()) == (0, ["install", "update", "install"])


def test_a_browser_is_found_only_if_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    monkeypatch.setattr(browser, "NAMES", ("placeholder", "works"))
    program(tmp_path, "placeholder", "echo 'requires the chromium snap'; exit 1")
    assert browser.find() is None
    program(tmp_path, "works", "echo Chromium 1")
    assert browser.find() == str(tmp_path / "works")


# --- PostgreSQL -------------------------------------------------------------------------------------------


def test_the_newest_postgresql_that_can_make_a_database_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    for version, names in (("9", ("initdb", "postgres")), ("15", ("initdb", "postgres")), ("16", ("psql",))):
        (tmp_path / version).mkdir()
        for name in names:
            program(tmp_path / version / "bin", name, "")
    assert postgres.find() == tmp_path / "15/bin"
    shutil.rmtree(tmp_path / "15")
    shutil.rmtree(tmp_path / "9")
    assert postgres.find() is None


def test_without_postgresql_the_tests_of_the_history_fail_and_say_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres, "find", lambda: None)
    with pytest.raises(pytest.fail.Exception, match="make postgres"), postgres_server.postgresql_server():
        pass


# --- The engine -------------------------------------------------------------------------------------------


def test_an_engine_elsewhere_is_not_ours_to_start() -> None:
    done = run(PYTHON, "-m", "scripts.engine", "start", DOCKER_HOST="tcp://127.0.0.1:1")
    assert done.returncode == 1
    assert "DOCKER_HOST=tcp://127.0.0.1:1 does not answer" in done.stdout


def test_another_client_that_is_missing_is_named() -> None:
    done = run(PYTHON, "-m", "scripts.engine", "start", SCE_DOCKER="no-such-client")
    assert (done.returncode, "`no-such-client`, which is not installed" in done.stdout) == (1, True)


def test_without_root_a_stopped_engine_is_left_to_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(engine_script, "SOCKET", tmp_path / "docker.sock")
    with pytest.raises(Failed, match=r"not running. Type:\n +sudo (systemctl start docker|make engine)\n.*usermod"):
        engine_script._start_daemon(Stage("test"))


def test_without_permission_the_group_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(engine_script, "SOCKET", tmp_path)
    with pytest.raises(Failed, match=r"may not speak.*\n    sudo usermod -aG docker"):
        engine_script._start_daemon(Stage("test"))


# --- The sandbox image ------------------------------------------------------------------------------------


def test_bases_made_here_are_named_after_their_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = bases.made_bases()
    changed = {**bases.recipe(), "suite": "trixie"}
    monkeypatch.setattr(bases, "recipe", lambda: changed)
    assert set(before) == set(images.pulled_bases())
    assert not set(before.values()) & set(bases.made_bases().values())


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[image.Workshop]:
    """With a program in the place of the interpreter that makes the bases: `maker` in the test's folder."""
    monkeypatch.setattr(bases, "prepare", lambda now: None)
    monkeypatch.setattr(image.sys, "executable", str(tmp_path / "maker"))  # type: ignore[attr-defined]
    monkeypatch.setattr(image, "BUILD", tmp_path)
    monkeypatch.setattr(image, "LOG", tmp_path / "bases.log")
    with closing(image.Workshop()) as made:
        yield made


def test_what_makes_the_bases_is_stopped_when_they_are_not_needed(workshop: image.Workshop, tmp_path: Path) -> None:
    program(tmp_path, "maker", f'(sleep 1; touch {tmp_path}/late) & touch "$3/begun"; wait')
    workshop.begin(Stage("test"))
    process, folder = workshop._process, Path(workshop._folder)
    assert process
    assert eventually((folder / "begun").exists)
    workshop.begin(Stage("test"))
    assert workshop._process is process
    workshop.close()
    assert not folder.exists()
    time.sleep(1.5)
    assert not (tmp_path / "late").exists(), "what it had started went on"


def test_bases_that_cannot_be_made_are_an_error_with_the_end_of_the_log(
    workshop: image.Workshop, tmp_path: Path
) -> None:
    program(tmp_path, "maker", "echo the mirror is away; exit 1")
    workshop.begin(Stage("test"))
    with pytest.raises(Failed, match="the mirror is away"):
        workshop.finish()


@pytest.mark.parametrize("can_be_made", [True, False])
def test_the_bases_are_begun_before_an_engine_is_installed(monkeypatch: pytest.MonkeyPatch, can_be_made: bool) -> None:
    steps = []

    def begin(now: Stage) -> None:
        steps.append("bases")
        if not can_be_made:
            raise Failed("no debootstrap here")

    monkeypatch.setattr(engine_script, "_find_dockerd", lambda: None)
    monkeypatch.setattr(engine_script.os, "geteuid", lambda: 0)  # type: ignore[attr-defined]
    monkeypatch.setattr(engine_script, "apt_install", lambda now, *packages: steps.append(packages[0]))
    assert engine_script._install_if_missing(load(), Stage("test"), begin)
    assert steps == ["bases", "dockerd"]
