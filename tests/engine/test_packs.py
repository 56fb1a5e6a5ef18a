"""Packs on a real engine: built from a recipe, found, missed, added to a server that runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from executor import Executor
from sandbox import packs as recipes
from sandbox.engine import doctor, packs, versions
from sandbox.engine.image import Image
from sandbox.errors import InvalidRequest, PackMissing
from sandbox.languages import LANGUAGES
from sandbox.models import Caller, RunRequest
from sandbox.settings import Settings
from scripts import packs as script
from scripts.stages import Stage
from tests.conftest import Run, containers, docker, eventually

ADA = Caller(owner="key:ada")
PACK = "scripts"


@pytest.fixture
def none_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of recipes that were never built."""
    for pack in recipes.PACKS:
        (tmp_path / pack).mkdir()
        (tmp_path / pack / "Dockerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nRUN echo {tmp_path} > /{pack}\n")
    for module in (packs, script):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def built(real_engine: None, settings: Settings, none_there: Path) -> Iterator[str]:
    """The name of a pack's image, built by the script from a recipe of the test's own."""
    base = Image.of(settings)
    image = packs.image_of(base, PACK)
    try:
        script.ensure_one(base, PACK, Stage("test"))
        yield image.name
    finally:
        docker("rmi", image.name, f"{image.name}-draft", check=False)


def test_a_pack_is_built_once_on_the_base_and_says_what_is_in_it(
    built: str, none_there: Path, settings: Settings
) -> None:
    base = Image.of(settings)
    assert docker("run", "--rm", "--network", "none", "--entrypoint", "cat", built, f"/{PACK}") == str(none_there)
    assert script.ensure_one(base, PACK, Stage("test")) == f"{built} ready"
    assert not Image(base.client, f"{built}-draft").exists()
    assert versions.versions_in(Image(base.client, built)) == {"perl": versions.ask(base, PACK)["perl"]}


def test_a_changed_recipe_or_base_is_another_image(none_there: Path, settings: Settings) -> None:
    base = Image.of(settings)
    names = {packs.image_of(base, PACK).name, packs.image_of(Image(base.client, "another:1"), PACK).name}
    (none_there / PACK / "Dockerfile").write_text("FROM nothing\n")
    assert len(names | {packs.image_of(base, PACK).name}) == 3
    assert packs.image_of(base, "") is base


def test_programs_run_in_the_image_of_their_pack(built: str, none_there: Path, settings: Settings) -> None:
    with Executor(settings) as executor:
        request = RunRequest("perl", f'open my $file, "<", "/{PACK}"; print <$file>', caller=ADA)
        first, second = executor.run(request), executor.run(request)
    assert (first.output, second.output) == (f"{none_there}\n",) * 2
    assert (first.runs_before, second.runs_before) == (0, 1)


def test_a_language_whose_pack_is_missing_says_what_adds_it(
    real_engine: None, none_there: Path, settings: Settings
) -> None:
    with Executor(settings.model_copy(update={"pool": {"perl": 1, "bash": 1}})) as executor:
        for ask in (executor.run, lambda request: executor.run_many([request])):
            with pytest.raises(PackMissing, match="`make packs PACKS=scripts`") as caught:
                ask(RunRequest("perl", "print 42"))
        assert (caught.value.code, caught.value.retry_after_seconds) == ("pack_missing", 0)
        assert executor.wait_warm(60), "what is not there is not waited for"
        assert executor.numbers().containers.waiting == {"perl": 0, "bash": 1}
        executor.check_ready()


def test_a_pack_that_is_added_later_is_found_by_a_running_server(
    real_engine: None, none_there: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.engine.image.WATCH_SECONDS", 0.5)
    base = Image.of(settings)
    try:
        with Executor(settings) as executor:
            assert PACK not in executor.images.ready()
            script.ensure_one(base, PACK, Stage("test"))
            assert eventually(lambda: PACK in executor.images.ready(), 20)
            assert executor.run(RunRequest("perl", "print 42")).output == "42"
    finally:
        docker("rmi", packs.image_of(base, PACK).name, check=False)


def test_a_pack_that_has_nothing_for_a_language_is_refused(run: Run) -> None:
    with pytest.raises(InvalidRequest) as caught:
        run("print(1)", pack="scripts")
    assert caught.value.code == "wrong_pack"
    assert run(LANGUAGES["perl"].proof, "perl", pack="scripts").output == "42\n"


def test_the_doctor_lists_every_pack(real_engine: None, none_there: Path, settings: Settings) -> None:
    found = {finding.what: finding for finding in doctor.examine(settings)}
    for pack in recipes.PACKS:
        missing = found[f"pack {pack}"]
        assert (missing.found, missing.fatal) == ("not built", False)
        assert f"make packs PACKS={pack}" in missing.advice
    (none_there / PACK / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    assert "MB" in doctor.stock(Image.of(settings), "").found


@pytest.mark.parametrize("pack", recipes.PACKS)
def test_a_pack_brings_nothing_to_climb_on_and_every_version(pack: str, real_engine: None, settings: Settings) -> None:
    image = packs.image_of(Image.of(settings), pack)
    script_text = "find / -xdev -type f -perm /6000; find /var/lib/apt/lists /var/cache -type f; ls -A /tmp"
    words = ("--rm", "--network", "none", "--entrypoint", "sh", image.name, "-c", script_text)
    assert docker("run", *words) == ""
    own = {language.name for language in LANGUAGES.values() if language.pack == pack}
    assert set(versions.versions_in(image)) == own


def test_the_image_that_is_always_there_says_its_versions_too(run: Run, executor: Executor) -> None:
    found = executor.images.versions()
    assert run("import sys; print(sys.version.split()[0])").output == f"{found['python']}\n"
    assert run("console.log(process.versions.node)", "node").output == f"{found['node']}\n"
    assert run("echo ${BASH_VERSION%%(*}", "bash").output == f"{found['bash']}\n"


def test_no_container_of_a_pack_is_left(executor: Executor) -> None:
    executor.run(RunRequest("perl", "print 42"))
    pools = executor.numbers().containers.wanted
    assert eventually(lambda: len(containers(executor.settings.data_dir)) <= sum(pools.values()))
