"""Ordinary programs do keep their container: else reuse would be an empty promise."""

# ruff: noqa: E501 - programs read better on one line than wrapped
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from executor import Executor
from sandbox.intake.archive import check_archive
from sandbox.models import RunResult, Status
from sandbox.settings import load
from tests.conftest import containers
from tests.engine.keeping import owned
from tests.zips import zip_of

ORDINARY = {
    "python: hello": "print('done')",
    "python: input": "print(input(), end='')",
    "python: traceback": "1 / 0",
    "python: syntax error": "x = = 1",
    "python: exit code": "print('failed'); raise SystemExit(3)",
    "python: pool of processes": "from multiprocessing import Pool\nif __name__ == '__main__':\n    with Pool(4) as pool: pool.map(abs, range(50))\n    print('done')",
    "python: queue and lock": "import multiprocessing as m\ndef work(q, l):\n    with l: q.put('done')\nif __name__ == '__main__':\n    q, l = m.Queue(), m.Lock(); p = m.Process(target=work, args=(q, l)); p.start(); print(q.get()); p.join()",
    "python: executor of processes": "from concurrent.futures import ProcessPoolExecutor\nif __name__ == '__main__':\n    with ProcessPoolExecutor(2) as pool: print(sum(pool.map(abs, range(9))))",
    "python: asyncio": "import asyncio\nasync def main():\n    process = await asyncio.create_subprocess_exec('echo', 'done'); await process.wait(); await asyncio.gather(*(asyncio.sleep(0.01) for _ in range(9)))\nasyncio.run(main())",
    "python: sqlite": "import sqlite3\nbase = sqlite3.connect(':memory:'); base.execute('create table t (x)'); base.executemany('insert into t values (?)', [(1,)] * 999); print(base.execute('select sum(x) from t').fetchone())",
    "python: children": "import subprocess\nfor _ in range(9): subprocess.run(['sh', '-c', 'ls /usr | sort | tail -1'], check=True)",
    "python: threads": "import threading\nall = [threading.Thread(target=sum, args=(range(9999),)) for _ in range(20)]\nfor t in all: t.start()\nfor t in all: t.join()\nprint('done')",
    "python: many modules": "import decimal, email.message, html.parser, http.client, json, logging, random, statistics, unittest, urllib.request, xml.etree.ElementTree\nprint('done')",
    "python: some memory": "x = [list(range(1000)) for _ in range(500)]; print('done')",
    "python: much output": "for number in range(20_000): print(number, 'x' * 40)",
    "python: a temporary file": "import tempfile\nwith tempfile.TemporaryFile(dir='/dev/shm') as file: file.write(b'x' * 100_000)\nprint('done')",
    "node: hello": "console.log('done')",
    "node: error": "throw new Error('no')",
    "node: promises": "setTimeout(() => console.log('done'), 10); Promise.all([1, 2].map(async x => x))",
    "node: worker": "const { Worker } = require('worker_threads'); new Worker('require(\"worker_threads\").parentPort.postMessage(1)', { eval: true }).on('message', console.log)",
    "node: child": "require('child_process').execFile('echo', ['done'], (e, out) => console.log(out))",
    "node: input": "process.stdin.on('data', data => console.log(String(data)))",
    "bash: hello": "echo done",
    "bash: pipes": "seq 1000 | sort -n | tail -1; for i in 1 2 3; do (:) & done; wait",
    "bash: here-string": "cat <<< done",
}


@pytest.fixture(scope="module")
def keeping(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    data_dir = tmp_path_factory.mktemp("ordinary")
    with Executor(load(data_dir=data_dir, pool="")) as executor:
        yield executor
    assert containers(data_dir) == []


@pytest.fixture(scope="module")
def run(keeping: Executor) -> Callable[..., RunResult]:
    for language, code in (("python", "print()"), ("node", "0"), ("bash", ":")):
        owned(keeping)("key:pupil", code, language)
    return owned(keeping)


@pytest.mark.parametrize("title", ORDINARY)
def test_an_ordinary_program_keeps_its_container(title: str, run: Callable[..., RunResult]) -> None:
    language = title.partition(":")[0]
    first = run("key:pupil", ORDINARY[title], language, stdin="line\n")
    second = run("key:pupil", ORDINARY[title], language, stdin="line\n", args=("argument",))
    assert first.runs_before > 0
    assert second.runs_before == first.runs_before + 1
    assert (second.status, second.output, second.error) == (first.status, first.output, first.error)
    assert first.status in (Status.OK, Status.ERROR) and (first.output or first.error)


def test_a_zip_of_several_files_keeps_its_container(keeping: Executor, run: Callable[..., RunResult]) -> None:
    files = {
        "main.py": "import lib.part; print(lib.part.x, open('data/a/b').read())",
        "lib/part.py": "x = 1",
        "data/a/b": "é",
    }
    fields = {"archive": check_archive(zip_of(files), keeping.settings), "entry": "main.py"}
    first, second = run("key:pupil", **fields), run("key:pupil", **fields)
    assert (first.output, second.output) == ("1 é\n", "1 é\n")
    assert second.runs_before == first.runs_before + 1 > 1
