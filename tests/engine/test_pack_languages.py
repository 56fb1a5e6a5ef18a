"""The languages of the packs on the real engine: what each promises, what hostile programs come to, and that the others
behave as under the bare command in a container of the same image.

The programs of a language are in `tests/engine/packs`, a file each.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor import Executor
from sandbox.errors import ContainerLost
from sandbox.languages import LANGUAGES
from sandbox.models import Caller, RunRequest, RunResult, Status
from sandbox.settings import load
from tests.conftest import Run, containers, eventually, runner
from tests.engine.plainly import Behaviour, PlainRunner, code_request, read_programs

FOLDER = Path(__file__).resolve().parent / "packs"
LANGUAGES_OF_PACKS = sorted(name for name, language in LANGUAGES.items() if language.pack)
OUTPUT_BYTES = 64 << 10

RESULTS = ("both streams", "fails", "broken", "echo", "count")
ATTACKS = ("endless", "memory", "forks", "flood", "network", "write", "identity")
CLAIMS = RESULTS + ATTACKS
"""Titles of programs that each language has."""
NOT_POSSIBLE = {"sql": {"echo", "network"}, "lua": {"network"}}
"""But for these: no input, no arguments, no connections in the language."""
SAYS_LATER, SAYS_FIRST = {"fails"}, {"broken"}
"""A line is told by a compiler, and maybe by what it has made; or else by a failure."""

PROGRAMS = {language: read_programs(FOLDER / f"{language}.txt") for language in LANGUAGES_OF_PACKS}
OTHERS = [
    f"{language}: {title}" for language, programs in PROGRAMS.items() for title in programs if title not in CLAIMS
]


def with_program(title: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("language", [name for name in PROGRAMS if title in PROGRAMS[name]])


@pytest.fixture(scope="module")
def brief(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor for programs that never end by themselves."""
    data_dir = tmp_path_factory.mktemp("brief")
    bounds = {"timeout_seconds": 2, "output_bytes": OUTPUT_BYTES, "output_stop_bytes": 4 << 20}
    with Executor(load(data_dir=data_dir, pool="", **bounds)) as executor:
        yield executor
    assert containers(data_dir) == []


@pytest.fixture
def run_claim(brief: Executor) -> Callable[..., RunResult]:
    """`run_claim(language, title)` runs that program; `replace` are pairs of words in it."""
    run = runner(brief)

    def run_it(language: str, title: str, *replace: tuple[str, str], **fields: object) -> RunResult:
        code = PROGRAMS[language][title]
        for old, new in replace:
            code = code.replace(old, new)
        return run(code, language, **fields)

    return run_it


def test_every_language_of_a_pack_has_all_claims() -> None:
    for name, programs in PROGRAMS.items():
        missing = set(CLAIMS) - programs.keys() - (SAYS_LATER if LANGUAGES[name].compiler else SAYS_FIRST)
        assert missing == NOT_POSSIBLE.get(name, set()), name


# --- What a run gives back --------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES_OF_PACKS)
def test_each_language_of_a_pack_proves_itself(run: Run, language: str) -> None:
    result = run(LANGUAGES[language].proof, language)
    assert (result.output, result.error, result.exit_code, result.status) == ("42\n", "", 0, Status.OK)


@with_program("both streams")
def test_streams_and_exit_code_are_those_of_the_program(run_claim: Run, language: str) -> None:
    result = run_claim(language, "both streams")
    assert (result.output, result.error, result.exit_code, result.status) == ("out\n", "err\n", 3, Status.ERROR)


@with_program("fails")
def test_a_failure_names_the_line_that_the_page_leads_to(run_claim: Run, language: str) -> None:
    result = run_claim(language, "fails")
    assert (result.output, result.status) == ("before\n", Status.ERROR)
    assert "why" in result.error
    place = re.search(LANGUAGES[language].page.errors.place, result.error, re.MULTILINE)
    assert place and place[1] == "2", result.error


@with_program("broken")
def test_what_does_not_compile_is_not_run_and_the_compiler_names_the_line(run_claim: Run, language: str) -> None:
    result = run_claim(language, "broken")
    assert (result.status, result.output, result.error, result.exit_code) == (Status.COMPILE_ERROR, "", "", 1)
    assert result.compile and result.compile.exit_code == 1 and "why" in result.compile.error
    place = re.search(LANGUAGES[language].page.errors.place, result.compile.error, re.MULTILINE)
    assert place and place[1] == "2", result.compile.error


@with_program("echo")
def test_input_and_arguments_come_as_they_were_given(run_claim: Run, language: str) -> None:
    result = run_claim(language, "echo", stdin="línea\n", args=("-x", "two words", "--version"))
    assert result.output == "línea\n-x\ntwo words\n--version\n"


@with_program("count")
@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_output_of_a_pack_is_cut_only_above_the_limit(run_claim: Run, language: str, excess: int) -> None:
    result = run_claim(language, "count", ("COUNT", str(OUTPUT_BYTES + excess)))
    assert (result.status, result.truncated) == (Status.OK, excess > 0)
    assert result.output.count("a") >= OUTPUT_BYTES - 2


# --- What hostile programs come to ------------------------------------------------------------------------


@with_program("endless")
def test_a_loop_without_end_is_ended_in_time(run_claim: Run, language: str) -> None:
    result = run_claim(language, "endless")
    assert (result.status, result.output) == (Status.TIMEOUT, "before\n")
    assert result.duration_ms < 4500


@with_program("memory")
def test_memory_beyond_the_limit_ends_the_program(run: Run, language: str) -> None:
    result = run(PROGRAMS[language]["memory"], language)
    assert (result.status, result.exit_code, result.signal) == (Status.MEMORY, 137, "SIGKILL")


@with_program("forks")
def test_processes_without_end_stay_inside(run_claim: Run, run: Run, brief: Executor, language: str) -> None:
    started = time.monotonic()
    with contextlib.suppress(ContainerLost):  # out of memory with the supervisor as the victim: an honest error
        assert run_claim(language, "forks").status is not Status.OK
    assert time.monotonic() - started < 10
    assert eventually(lambda: containers(brief.settings.data_dir) == [], 5)
    assert run("print('fine')").output == "fine\n"


@with_program("flood")
def test_output_without_end_is_stopped(run_claim: Run, language: str) -> None:
    result = run_claim(language, "flood")
    assert (result.status, result.truncated) == (Status.OUTPUT_LIMIT, True)
    assert len(result.output) < OUTPUT_BYTES + 100


@with_program("network")
def test_there_is_no_way_out(run_claim: Run, language: str) -> None:
    result = run_claim(language, "network")
    assert (result.status, result.output) == (Status.ERROR, "")
    assert result.error


@with_program("write")
def test_the_system_cannot_be_written(run_claim: Run, language: str) -> None:
    result = run_claim(language, "write")
    assert (result.status, result.output) == (Status.ERROR, "")


@with_program("identity")
def test_a_program_of_a_pack_is_nobody(run_claim: Run, language: str) -> None:
    lines = run_claim(language, "identity").output.splitlines()
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert len({*fields["Uid"]}) == 1 and int(fields["Uid"][0]) >= 10_000
    assert {int(fields[name][0], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == (["1"], ["2"])


# --- All others -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_runners(executor: Executor) -> Iterator[Callable[[str], PlainRunner]]:
    """A container of each pack in which programs are started by hand."""
    started: dict[str, PlainRunner] = {}

    def runner_of(pack: str) -> PlainRunner:
        if pack not in started:
            started[pack] = PlainRunner(executor, pack)
        return started[pack]

    try:
        yield runner_of
    finally:
        for each in started.values():
            each.close()


@pytest.mark.parametrize("title", OTHERS)
def test_a_program_behaves_as_under_the_bare_command(
    title: str, executor: Executor, plain_runners: Callable[[str], PlainRunner]
) -> None:
    language, _, of = title.partition(": ")
    request, files = code_request(language, PROGRAMS[language][of], caller=Caller(owner=f"key:{language}"))
    fresh = Behaviour.of(executor.run(RunRequest(language, request.code)))
    kept = Behaviour.of(executor.run(request))
    assert fresh == kept == plain_runners(LANGUAGES[language].pack).run(request, files)
