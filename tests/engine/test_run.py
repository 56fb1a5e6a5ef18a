"""What a run gives back, on the real engine: the result contract of every language."""

from __future__ import annotations

import json

import pytest

from executor import Executor
from sandbox.languages import LANGUAGES
from sandbox.models import RunRequest, RunResult, Status
from tests.conftest import Run

TYPES = {
    "id": str,
    "language": str,
    "status": str,
    "output": str,
    "error": str,
    "exit_code": int,
    "signal": type(None),
    "truncated": bool,
    "output_bytes": int,
    "error_bytes": int,
    "duration_ms": float,
    "cpu_ms": float,
    "memory_kb": int,
    "queued_ms": float,
    "runs_before": int,
    "compile": type(None),
    "artifacts": list,
    "artifacts_omitted": list,
}
HELLO = {"python": "print('hello')", "node": "console.log('hello')", "bash": "echo hello"}
BOTH_STREAMS = {
    "python": "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)",
    "node": "console.log('out'); console.error('err'); process.exit(3)",
    "bash": "echo out; echo err >&2; exit 3",
}
FAILING = {
    "python": "print('before')\nraise ValueError('why')",
    "node": "console.log('before'); throw new Error('why')",
    "bash": "set -e; echo before; cd /why",
}
ECHO = {
    "python": "import sys; print(sys.stdin.read(), sys.argv[1:])",
    "node": "console.log(require('fs').readFileSync(0, 'utf8'), process.argv.slice(2))",
    "bash": "cat; printf '%s\\n' \"$@\"",
}
SLEEP = {"python": "import time; time.sleep(0.5)", "node": "setTimeout(() => {}, 500)", "bash": "sleep 0.5"}
BUSY = {
    "python": "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass",
    "node": "const busy = () => { const t = process.cpuUsage(); return t.user + t.system; };\n"
    "const end = busy() + 500_000; while (busy() < end);",
    # utime and stime in hundredths of a second: proc(5)
    "bash": "while read -ra stat < /proc/$$/stat; ((stat[13] + stat[14] < 51)); do :; done",
}
BUSY_CHILD = {
    "python": f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY['python']!r}])",
    "node": f"require('child_process').execFileSync(process.execPath, ['-e', {json.dumps(BUSY['node'])}])",
    "bash": f"bash -c '{BUSY['bash']}'",
}
FORTY_MEBIBYTES = {
    "python": "x = b'x' * (40 << 20)",
    "node": "const x = Buffer.alloc(40 << 20, 1)",
    "bash": "head -c 47M /dev/zero | tail -c 47M > /dev/null",  # tail is smaller than what starts a program
}
TEXT = "äöü € 😀 \\u0000 \\u001b[31m"

languages = pytest.mark.parametrize("language", [name for name, language in LANGUAGES.items() if not language.pack])
"""test_pack_languages.py has those of the packs."""


@languages
def test_each_language_proves_itself(run: Run, language: str) -> None:
    result = run(LANGUAGES[language].proof, language)
    assert (result.output, result.error, result.exit_code, result.status) == ("42\n", "", 0, Status.OK)


@languages
def test_a_result_has_every_field_of_the_contract_and_no_other(run: Run, language: str) -> None:
    fields = run(HELLO[language], language).to_json()
    assert {name: type(value) for name, value in fields.items()} == TYPES
    assert json.loads(json.dumps(fields)) == fields


@languages
def test_the_streams_and_the_exit_code_are_the_programs_own(run: Run, language: str) -> None:
    result = run(BOTH_STREAMS[language], language)
    assert (result.output, result.error, result.exit_code, result.signal) == ("out\n", "err\n", 3, None)
    assert (result.status, result.language, result.truncated) == (Status.ERROR, language, False)


@languages
def test_an_uncaught_error_keeps_what_was_printed_and_names_the_file(run: Run, language: str) -> None:
    result = run(FAILING[language], language)
    assert (result.output, result.exit_code, result.status) == ("before\n", 1, Status.ERROR)
    assert "why" in result.error
    assert f"/app/{LANGUAGES[language].file_name}" in result.error


@languages
def test_stdin_and_arguments_reach_the_program(run: Run, language: str) -> None:
    result = run(ECHO[language], language, stdin="línea", args=("-x", "two words"))
    assert "línea" in result.output
    assert "-x" in result.output and "two words" in result.output


@languages
def test_text_of_any_kind_comes_back_as_it_was_written(run: Run, language: str) -> None:
    texts = {"python": f'print("{TEXT}")', "node": f'console.log("{TEXT}")', "bash": f"printf '{TEXT}\\n'"}
    printed = texts[language]
    assert run(printed, language).output == "äöü € 😀 \0 \x1b[31m\n"


def test_a_run_has_the_id_it_was_given_or_one_of_its_own(executor: Executor) -> None:
    request = RunRequest("python", HELLO["python"])
    assert executor.run(request, run_id="0123456789abcdef").id == "0123456789abcdef"
    ids = {executor.run(request).id for _ in range(3)}
    assert len(ids) == 3
    assert all(len(run_id) == 16 and int(run_id, 16) >= 0 for run_id in ids)


@languages
def test_the_duration_is_the_programs_and_not_the_containers(run: Run, language: str) -> None:
    assert 500 <= run(SLEEP[language], language).duration_ms < 1500


@languages
def test_sleeping_takes_no_cpu_time(run: Run, language: str) -> None:
    cpu_ms = run(SLEEP[language], language).cpu_ms
    assert cpu_ms is not None
    assert 0 < cpu_ms < 400


@languages
@pytest.mark.parametrize("programs", [BUSY, BUSY_CHILD], ids=["itself", "a child"])
def test_cpu_time_is_counted_wherever_it_is_spent(run: Run, language: str, programs: dict[str, str]) -> None:
    result = run(programs[language], language)
    assert result.error == ""
    assert result.cpu_ms is not None
    assert 500 <= result.cpu_ms < 1200
    assert result.cpu_ms <= result.duration_ms * 2


@languages
def test_memory_is_the_peak(run: Run, language: str) -> None:
    small, large = (run(code, language).memory_kb for code in (HELLO[language], FORTY_MEBIBYTES[language]))
    assert small is not None and large is not None
    assert 4_000 < small < 70_000
    assert 38_000 < large - small < 60_000


@languages
def test_every_run_has_a_fresh_container(run: Run, language: str) -> None:
    leave = {
        "python": "import os; print(os.listdir('/dev/shm')); open('/dev/shm/left', 'w')",
        "node": "const fs = require('fs'); console.log(fs.readdirSync('/dev/shm'));\n"
        "fs.writeFileSync('/dev/shm/left', '')",
        "bash": 'echo "[$(ls -A /dev/shm)]"; touch /dev/shm/left',
    }
    assert [run(leave[language], language).output for _ in range(2)] == ["[]\n"] * 2


def test_runs_at_the_same_time_do_not_mix(executor: Executor) -> None:
    requests = [
        RunRequest("python", f"import time\nfor i in range(20): print({n}); time.sleep(0.01)") for n in range(5)
    ]
    results = executor.run_many(requests)
    assert [result.output for result in results] == [f"{n}\n" * 20 for n in range(5)]


@languages
def test_a_run_that_finds_no_waiting_container_is_the_same_but_slower(executor: Executor, language: str) -> None:
    """More runs than containers wait: the last ones start cold."""
    count = executor.settings.pool.get(language, 0) + 2
    results: list[RunResult] = executor.run_many([RunRequest(language, BOTH_STREAMS[language])] * count)
    assert {(result.output, result.error, result.exit_code) for result in results} == {("out\n", "err\n", 3)}
