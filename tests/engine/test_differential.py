"""A program cannot tell a waiting interpreter from `python3 user_code.py` or `node user_code.js`.

Each program runs four ways: released in an interpreter that waited for it, in a kept container that has run hostile
programs before, started cold by the supervisor, and plainly, by `tests/engine/programs/runner.py`, in a container of the
same image with the same flags. Output, errors and exit code must be the same to the byte, but for addresses and process
ids.
"""

# ruff: noqa: E501 - programs read better on one line than wrapped
from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from executor import Executor
from sandbox.box.protocol import Order
from sandbox.intake.archive import check_archive
from sandbox.languages import LANGUAGES
from sandbox.models import Caller, RunRequest
from sandbox.settings import load
from tests.conftest import containers
from tests.engine.keeping import owned, read_attacks
from tests.engine.plainly import PROGRAMS, Behaviour, PlainRunner, code_request, read_programs
from tests.zips import zip_of

BASE = sorted(name for name, language in LANGUAGES.items() if not language.pack)
"""Those of the image that is always there. test_pack_languages.py has the others."""


def programs_of(language: str) -> dict[str, str]:
    return read_programs(PROGRAMS / f"{language}.txt")


# The programs of those files that get an interpreter of their own. In all others a word that asks for one is spelled in
# two parts, or they would not be compared with a waiting interpreter at all.
OWN_INTERPRETER = {
    "python": set[str](),
    "node": {
        "the whole process object",
        "environment as the kernel remembers it",
        "the scripts that a debugger sees",
        "loaded internals",
        "age of the process",
        "age asked of perf_hooks",
        "event timestamps",
        # May be modules.
        "ESM export in a CommonJS file",
        "ESM import in a CommonJS file",
        "a module that fails",
        "a module with imports and await",
        "a package that is not there",
        "a syntax error in a module of one file",
        "async function that throws",
        "async iteration over stdin",
        "async stack traces",
        "await in a function of a script",
        "dynamic import of a data url",
        "http server on loopback",
        "import.meta in a CommonJS file",
        "strict mode by being a module",
        "top-level await in a CommonJS file",
    },
}

# Sources whose bytes an editor or git might change, or that a text file cannot hold.
ODD_BYTES = {
    "python": {
        "carriage returns and line feeds": "import sys\r\nx = '''a\r\nb'''\r\nprint(repr(x))\r\nraise ValueError(x)\r\n",
        "carriage returns alone": "x = 1\rprint(x)\rraise ValueError('third line')\r",
        "no line end at the end": "print('x')",
        "no line end after an indented block": "if True:\n    print('x')",
        "no line end and an error": "print('x')\n1 / 0",
        "byte order mark": "\ufeffprint('x', open(__file__, 'rb').read(3))\n",
        "byte order mark and a syntax error": "\ufeffx = = 1\n",
        "byte order mark and an encoding": "\ufeff# coding: utf-8\nprint('é')\n",
        "byte order mark and another encoding": "\ufeff# coding: latin-1\nprint('é')\n",
        "encoding in line one": "# -*- coding: latin-1 -*-\nprint('é')\n",
        "encoding in line two": "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nprint('é')\n",
        "encoding utf-8": "# coding=utf-8\nprint('é')\nraise ValueError('é')\n",
        "encoding nobody knows": "# coding: klingon\nprint('x')\n",
        "encoding in line three does not count": "\n\n# coding: latin-1\nprint('é')\n",
        "encoding after code does not count": "x = 1\n# coding: latin-1\nprint('é')\n",
        "encoding after a form feed": "\f# coding: latin-1\nprint('é')\n",
        "encoding and a carriage return": "#x\r# coding: latin-1\rprint('é')\r",
        "encoding and an error": "# coding: latin-1\nx = 'é\n",
        "NUL": "print('a')\nx = '\0'\n",
        "NUL in line one": "\0print('a')\n",
        "form feed": "\fprint(1)\n\fif True:\n\tprint(2)\n",
        "tabs and spaces mixed": "if True:\n        x = 1\n\ty = 2\n",
        "control characters": "print('a')\n\x01\n",
        "substitute character": "print('a')\n\x1aprint('b')\n",
        "no-break space": "x\u00a0= 1\n",
        "line separators in a string": "print(ascii('a\u2028b\u0085c\x0bd'))\nraise ValueError\n",
        "non-characters": "print(ascii('\uffff\U0010ffff\ufffd'))\n",
        "very long line": "x = '" + "a" * 100_000 + "'\nprint(len(x))\n1 / 0\n",
        "more than a pipe holds": "print('start')\n" + "# filler\n" * 40_000 + "print('end', __loader__.get_source('__main__')[-9:])\n",
        "more than a pipe holds and an early error": "x = = 1\n" + "# filler\n" * 40_000,
        "many lines": "\n" * 5000 + "1 / 0\n",
        "deep nesting": "x = " + "(" * 250 + ")" * 250 + "\n",
        "backslash at the end": "x = 1 \\",
        "a zip archive that is also text": "print('as text')\n# PK\x05\x06" + "\0" * 18,
        "white space only": " \n\n\t\n",
        "hashbang": "#!/usr/bin/env python3\nprint(1)\n",
    },
    "node": {
        "carriage returns and line feeds": "const x = `a\r\nb`;\r\nconsole.log(JSON.stringify(x));\r\nthrow new Error('third');\r\n",
        "no line end at the end": "console.log(1)",
        "byte order mark": "\ufeffconsole.log('x', require('fs').readFileSync(__filename).length);\n",
        "byte order mark and an error": "\ufeffthrow new Error('x');\n",
        "hashbang": "#!/usr/bin/env node\nconsole.log(1); throw new Error('second line');\n",
        "NUL": "console.log('a\0b'.length);\n",
        "NUL outside of strings": "console.log(1);\n\0\n",
        "line separators": "console.log('a\u2028b'.length);\u2029throw new Error('x');\n",
        "comment at the end": "console.log(1) // no line end",
        "more than a pipe holds": "console.log('start');\n" + "// filler\n" * 40_000 + "console.log('end');\n",
        "very long line": "const x = '" + "a" * 20_000 + "'; console.log(x.length); throw new Error('x');\n",
        "white space only": " \n\n\t\n",
        "closing the wrapper": "console.log('a'); }); (function () { console.log('b');\n",
    },
    "bash": {
        "carriage returns and line feeds": "x=1\r\necho \"$x\"\r\nno_such\r\n",
        "no line end at the end": "echo x",
        "no line end and an error": "echo x\n)",
        "byte order mark": "\ufeffecho x\n",
        "hashbang": "#!/usr/bin/env python3\necho x\n",
        "NUL": "echo a\necho 'a\0b'\n",
        "NUL in line one": "\0echo a\n",
        "control characters": "echo a\n\x01\n",
        "no-break space": "x=1\u00a0echo y\n",
        "more than a pipe holds": "echo start\n" + "# filler\n" * 40_000 + "echo end $LINENO\n",
        "very long line": "x='" + "a" * 100_000 + "'; echo ${#x}; no_such\n",
        "backslash at the end": "echo x \\",
        "white space only": " \n\n\t\n",
    },
}  # fmt: skip

PROJECTS: dict[str, tuple[str, str, Mapping[str, bytes | str]]] = {
    "python: siblings and packages": ("python", "main.py", {
        "main.py": "import sys, helper, pkg.sub\nprint(helper.x, pkg.sub.y, sys.path[0], __file__, sys.argv)\nhelper.fail()\n",
        "helper.py": "x = 1\ndef fail():\n    raise ValueError(x)\n",
        "pkg/__init__.py": "", "pkg/sub.py": "from . import __name__ as n\ny = n\n",
    }),
    "python: entry in a folder": ("python", "src/main.py", {
        "src/main.py": "import os, sys\nimport near\nprint(near.here, os.getcwd(), sys.path[0], open('data.txt').read())\n",
        "src/near.py": "here = __file__\n", "data.txt": "data\n",
    }),
    "python: bytes that are not UTF-8": ("python", "main.py", {"main.py": b"print('x')\ny = '\xff'\n"}),
    "python: source in latin-1": ("python", "main.py", {"main.py": b"# coding: latin-1\nprint('\xe9')\nx = \xe9 /\n"}),
    "python: data that is no program": ("python", "main.py", {"main.py": bytes(range(256))}),
    "python: a sibling hides the standard library": ("python", "main.py", {
        "main.py": "import random\nprint(random.__file__)\nimport statistics\n", "random.py": "x = 1\n",
    }),
    "python: unusual name": ("python", "my prog-ram.txt", {"my prog-ram.txt": "print(__file__, __name__)\n1/0\n"}),
    "python: spawn": ("python", "main.py", {
        "main.py": "import multiprocessing as mp, work\nif __name__ == '__main__':\n"
        "    print(mp.get_context('spawn').Pool(1).map(work.f, [1, 2]))\n", "work.py": "def f(x): return x + 1, __name__\n",
    }),
    "node: top-level await": ("node", "main.mjs", {
        "main.mjs": "import { x } from './lib/x.mjs';\nconsole.log(await Promise.resolve(x), import.meta.url, process.argv);\n"
        "console.log(typeof require, import.meta.dirname);\nthrow new Error('at the end');\n",
        "lib/x.mjs": "export const x = 1;\n",
    }),
    "node: top-level await that never ends": ("node", "main.mjs", {"main.mjs": "console.log(1);\nawait new Promise(() => {});\n"}),
    "node: syntax error in a module": ("node", "main.mjs", {"main.mjs": "import './bad.mjs';\n", "bad.mjs": "let x = ;\n"}),
    "node: missing export": ("node", "main.mjs", {"main.mjs": "import { y } from './x.mjs';\n", "x.mjs": "export const x = 1;\n"}),
    "node: modules named .js by package.json": ("node", "app.js", {
        "package.json": '{"type": "module", "name": "own"}', "app.js": "import own from './own.cjs';\nconsole.log(own, import.meta.url);\n",
        "own.cjs": "module.exports = [__filename, require.main === undefined];\n",
    }),
    "node: CommonJS and its cache": ("node", "index.js", {
        "index.js": "const a = require('./a'), again = require('./a');\n"
        "console.log(a === again, a.b, require('./data.json'), Object.keys(require.cache));\nrequire('pkg').fail();\n",
        "a.js": "exports.b = require('./b').from;\n", "b.js": "exports.from = module.parent.filename + __dirname;\n",
        "data.json": "[1, 2]", "node_modules/pkg/index.js": "exports.fail = () => { throw new Error(__filename); };\n",
    }),
    "node: worker and dynamic import": ("node", "main.mjs", {
        "main.mjs": "import { Worker } from 'worker_threads';\nnew Worker(new URL('./w.mjs', import.meta.url)).on('message', console.log);\n"
        "console.log((await import('./x.cjs')).default);\n",
        "w.mjs": "import { parentPort } from 'worker_threads';\nparentPort.postMessage(import.meta.url);\n", "x.cjs": "module.exports = 5;\n",
    }),
    "bash: siblings": ("bash", "main.sh", {
        "main.sh": "here=$(dirname \"$0\"); source \"$here/lib/part.sh\"; echo \"$0 $PWD ${BASH_SOURCE[*]} $(part) $(< data.txt)\"; bash lib/part.sh\n",
        "lib/part.sh": "part() { echo \"${BASH_SOURCE[*]}\"; }\n", "data.txt": "data\n",
    }),
    "bash: entry in a folder": ("bash", "src/run.bash", {"src/run.bash": "echo \"$0\"; ls -R; ./near; source near\n", "src/near": "", "near": "echo near\n"}),
    "bash: data that is no program": ("bash", "main.sh", {"main.sh": bytes(range(256))}),
    "bash: unusual name": ("bash", "-c é.sh", {"-c é.sh": "echo \"$0\"; )\n"}),
    "node: bytes that are not UTF-8": ("node", "index.js", {"index.js": b"console.log('\xff'.length, '\xff');\n"}),
}  # fmt: skip

CODES = {
    f"{language}: {title}": (language, code)
    for language in BASE
    for title, code in {**programs_of(language), **ODD_BYTES[language]}.items()
}

WITH_INPUT = {
    "python: a line": ("python", "print(input('? ')[::-1]); print(input())", "abc\n"),
    "python: all lines": ("python", "import sys; print([l for l in sys.stdin], sys.stdin.read())", "a\nb\r\nc"),
    "python: more than a pipe holds": ("python", "import sys; print(len(sys.stdin.read()))", "é" * 200_000),
    "python: not read": ("python", "print('done')", "x" * 300_000),
    "python: inherited by a child": ("python", "import subprocess; subprocess.run(['cat'])", "for the child\n"),
    "python: pdb": ("python", "x = 41\nbreakpoint()\nprint(x)\n", "p x\nx = 42\nc\n"),
    "python: code from stdin": ("python", "exec(__import__('sys').stdin.read())", "print(__name__)\n1 / 0\n"),
    "node: all": ("node", "console.log(require('fs').readFileSync(0, 'utf8').length)", "é" * 200_000),
    "node: lines": ("node", "require('readline').createInterface({input: process.stdin}).on('line', l => console.log([l]))", "a\nb\r\nc"),
    "node: question": (
        "node",
        "const r = require('readline').createInterface({ input: process.stdin, output: process.stdout });\n"
        "r.question('name? ', name => { console.log('hi', name); r.close(); });",
        "Ada\n",
    ),
    "node: not read": ("node", "console.log('done')", "x" * 300_000),
    "bash: lines": ("bash", "read -r first; echo \"[$first]\"; while IFS= read -r line; do echo \"<$line>\"; done; echo \"$line\"", "abc\n d \r\nlast"),
    "bash: more than a pipe holds": ("bash", "wc -c", "é" * 200_000),
    "bash: not read": ("bash", "echo done", "x" * 300_000),
    "bash: shared with a child": ("bash", "read -r line; echo \"$line\"; cat; read -r line; echo $?", "mine\nfor the child\n"),
    "bash: menu": ("bash", "select x in one two; do echo \"$x\"; break; done", "2\n"),
    "bash: code from stdin": ("bash", "source /dev/stdin; bash", "echo sourced\n"),
}  # fmt: skip


class ColdExecutor(Executor):
    """Starts every interpreter when its program is there, and never before."""

    def _order(self, request: RunRequest) -> Order:
        order = super()._order(request)
        environment = LANGUAGES[request.language].variables(waiting=False)
        steps = tuple(dataclasses.replace(step, environment=environment) for step in order.steps)
        return dataclasses.replace(order, may_use_waiting=False, steps=steps)


@pytest.fixture(scope="module")
def waiting(executor: Executor) -> Callable[[RunRequest], Behaviour]:
    return lambda request: Behaviour.of(executor.run(request))


@pytest.fixture(scope="module")
def cold(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[RunRequest], Behaviour]]:
    settings = load(data_dir=tmp_path_factory.mktemp("cold"), pool="")
    with ColdExecutor(settings) as executor:
        yield lambda request: Behaviour.of(executor.run(request))


class UsedRunner:
    """Runs programs where others ran before: hostile ones, and all of this file that have left nothing behind."""

    def __init__(self, executor: Executor) -> None:
        self._run = owned(executor)
        self._executor = executor
        attacks = [code for fate, code in read_attacks().values() if fate == "kept" and "__file__" not in code]
        self._attacks = itertools.cycle(attacks)
        self._asked = 0

    def __call__(self, request: RunRequest) -> Behaviour:
        self._asked += 1
        if self._asked % 4 == 0:
            self._attack(request.language)
        for _ in range(5):
            result = self._executor.run(dataclasses.replace(request, caller=Caller(owner="key:hostile")))
            if result.runs_before:
                return Behaviour.of(result)
            self._attack(request.language)
        raise AssertionError("no container was kept for it")

    def _attack(self, language: str) -> None:
        code = next(self._attacks)
        in_language = {
            "python": code,
            "node": f"require('child_process').spawnSync('python3', ['-c', {json.dumps(code)}], {{ stdio: 'inherit' }})",
            "bash": f"python3 /dev/fd/3 3<<'ATTACK'\n{code}\nATTACK\n",
        }
        self._run("key:hostile", in_language[language], language)


@pytest.fixture(scope="module")
def used(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsedRunner]:
    data_dir = tmp_path_factory.mktemp("used")
    with Executor(load(data_dir=data_dir, pool="", keep_runs=1000, keep_age_seconds=3600)) as executor:
        yield UsedRunner(executor)
    assert containers(data_dir) == []


@pytest.fixture(scope="module")
def plainly(executor: Executor) -> Iterator[PlainRunner]:
    runner = PlainRunner(executor)
    try:
        yield runner
    finally:
        runner.close()


# --- The claims -------------------------------------------------------------------------------------------


def test_the_corpus_has_forty_programs_of_each_language() -> None:
    assert min(len(programs_of(language)) for language in BASE) >= 40


@pytest.mark.parametrize("title", CODES)
def test_a_waiting_interpreter_cannot_be_told_from_a_plain_one(
    title: str,
    waiting: Callable[[RunRequest], Behaviour],
    cold: Callable[[RunRequest], Behaviour],
    used: UsedRunner,
    plainly: PlainRunner,
) -> None:
    request, files = code_request(*CODES[title])
    with ThreadPoolExecutor(3) as pool:
        ways = {name: pool.submit(way, request) for name, way in (("waiting", waiting), ("cold", cold), ("used", used))}
        expected = plainly.run(request, files)
    assert {name: way.result() for name, way in ways.items()} == dict.fromkeys(ways, expected)


@pytest.mark.parametrize("title", WITH_INPUT)
def test_input_reaches_a_waiting_interpreter_as_a_plain_one(
    title: str, waiting: Callable[[RunRequest], Behaviour], used: UsedRunner, plainly: PlainRunner
) -> None:
    language, code, stdin = WITH_INPUT[title]
    request, files = code_request(language, code, stdin=stdin)
    assert waiting(request) == used(request) == plainly.run(request, files)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import sys\nprint(sys.argv, sys.orig_argv, open('/proc/self/cmdline').read())"),
        ("node", "console.log(process.argv, process.execArgv, process.argv0)"),
        ("bash", "printf '<%s>' \"$#\" \"$0\" \"$@\"; tr '\\0' ' ' < /proc/$$/cmdline"),
    ],
)
def test_arguments_are_the_ones_of_a_plain_start(
    language: str, code: str, waiting: Callable[[RunRequest], Behaviour], used: UsedRunner, plainly: PlainRunner
) -> None:
    request, files = code_request(language, code, args=("-c", "--version", "", "two words", "é"))
    assert waiting(request) == used(request) == plainly.run(request, files)


@pytest.mark.parametrize("title", PROJECTS)
def test_a_project_runs_as_it_would_in_its_folder(
    title: str,
    waiting: Callable[[RunRequest], Behaviour],
    used: UsedRunner,
    plainly: PlainRunner,
    executor: Executor,
) -> None:
    language, entry, files = PROJECTS[title]
    archive = check_archive(zip_of(files), executor.settings)
    request = RunRequest(language, archive=archive, entry=entry)
    assert waiting(request) == used(request) == plainly.run(request, files)


@pytest.mark.parametrize("language", OWN_INTERPRETER)
def test_the_programs_of_this_test_do_get_a_waiting_interpreter(language: str) -> None:
    """Lest the comparison prove nothing: only few of them may ask for an interpreter of their own."""
    codes = [code for of, code in CODES.values() if of == language]
    fitting = [code for code in codes if LANGUAGES[language].fits_waiting(code)]
    assert len(fitting) > 0.85 * len(codes)
    programs = programs_of(language).items()
    others = {title for title, code in programs if not LANGUAGES[language].fits_waiting(code)}
    assert others == OWN_INTERPRETER[language]


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("node", "console.log(process.uptime())"),
        ("node", "const start = performance.now()"),
        ("node", "require('perf_hooks')"),
        ("node", "new Event('x').timeStamp"),
        ("node", "require('fs').readFileSync('/proc/self/environ')"),
        ("node", "process.moduleLoadList"),
        ("node", "require('inspector')"),
        ("node", "console.log( process )"),
        ("node", "console.log(require('util').inspect(process, { depth: 0 }))"),
        ("python", "print(1)\n# PK\x05\x06" + "\0" * 18),
        ("python", "# coding: latin-1\n"),
    ],
)
def test_a_program_that_could_notice_the_wait_gets_an_interpreter_of_its_own(language: str, code: str) -> None:
    assert not LANGUAGES[language].fits_waiting(code)
