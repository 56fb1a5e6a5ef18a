"""Attacks a running server the way its users could, and says which attacks it stood.

    python test_security.py [URL]        (default http://localhost:5000)

Where a key is needed, SCE_KEY has it.
Prints a table; exits 0 when everything held, 1 when something did not, 2 when no server answers. pytest
collects the same checks and starts a server of its own for them. Needs nothing but `requests`.
"""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

DEFAULT_URL = "http://localhost:5000"
ANSWER_SECONDS = 90
"""A server that has not answered by then hangs."""

Files = Mapping[str | zipfile.ZipInfo, bytes | str]

EXIT_OK, EXIT_FAILED, EXIT_UNREACHABLE = 0, 1, 2


class Failed(AssertionError):
    """An attack had an effect."""


def expect(condition: object, complaint: object) -> None:
    if not condition:
        raise Failed(str(complaint)[:300])


class Api:
    """The server under attack."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.session = requests.Session()
        self.session.trust_env = False  # a proxy of the environment is not what is tested
        if key := os.environ.get("SCE_KEY"):
            self.session.headers["Authorization"] = f"Bearer {key}"
        self.limits: dict[str, Any] = self.get("/config").json()["limits"]

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=ANSWER_SECONDS, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.session.post(self.url + path, timeout=ANSWER_SECONDS, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        return self.session.delete(self.url + path, timeout=ANSWER_SECONDS, **options)

    def run(self, code: str, language: str = "python") -> dict[str, Any]:
        """The result of a program; that there is one is part of every check."""
        response = self.post("/run", json={"code": code, "language": language})
        expect(response.status_code == 200, f"HTTP {response.status_code}: {response.text[:200]}")
        result: dict[str, Any] = response.json()
        return result

    def upload(self, archive: bytes, **fields: str) -> requests.Response:
        return self.post("/run-zip", files={"file": ("project.zip", archive)}, data=fields)


class Browser(Api):
    """One with a cookie of its own and no key."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.session.headers.pop("Authorization", None)
        self.get("/")


# --- The checks: each returns a detail worth printing, or raises Failed -----------------------------------


def check_hello(api: Api) -> str:
    """Every language runs"""
    programs = {
        "python": "print('hello', 5 + 3)",
        "node": "console.log('hello', 5 + 3)",
        "bash": "echo hello $((5 + 3))",
    }
    for language, code in programs.items():
        result = api.run(code, language)
        expect((result["output"], result["error"], result["exit_code"]) == ("hello 8\n", "", 0), result)
    return "python, node"


def check_timeout(api: Api) -> str:
    """An endless loop is ended, what it printed is kept"""
    limit = api.limits["timeout_seconds"]
    started = time.monotonic()
    result = api.run("print('before', flush=True)\nwhile True: pass")
    took = time.monotonic() - started
    expect((result["status"], result["exit_code"], result["output"]) == ("timeout", -1, "before\n"), result)
    expect(f"timed out after {limit:g} seconds" in result["error"], result)
    expect(limit <= took < limit + 5, f"answered after {took:.1f} s, the limit is {limit:g} s")
    return f"{result['duration_ms'] / 1000:.1f} s"


def check_memory(api: Api) -> str:
    """A memory bomb is killed, and called one"""
    size = api.limits["memory_mb"] * 2
    programs = {"python": f"data = b'x' * ({size} << 20)", "node": f"Buffer.alloc({size} * 1024 * 1024, 1)"}
    for language, code in programs.items():
        result = api.run(code, language)
        expect((result["status"], result["exit_code"]) == ("memory", 137), result)
    return str(result["error"])


def check_network(api: Api) -> str:
    """There is no network, neither by address nor by name"""
    slowest = 0.0
    for target in ("1.1.1.1", "172.17.0.1", "169.254.169.254", "example.com"):
        python = f"import socket\nsocket.create_connection(('{target}', 80), 5)"
        node = f"require('net').connect(80, '{target}').on('connect', () => console.log('open'))"
        for language, code in (("python", python), ("node", node)):
            result = api.run(code, language)
            expect((result["status"], result["output"], result["exit_code"]) == ("error", "", 1), result)
            slowest = max(slowest, result["duration_ms"])
    expect(slowest < 4000, f"failing took {slowest:.0f} ms; nobody should wait for a network that is not there")
    return f"slowest failure {slowest:.0f} ms"


def check_write(api: Api) -> str:
    """Nothing can be written to /, /tmp or the program's own folder"""
    for path in ("/tmp/x", "/x", "/var/tmp/x", "/app/x"):
        python = api.run(f"open({path!r}, 'w')")
        node = api.run(f"require('fs').writeFileSync('{path}', '')", "node")
        reason = "permission denied" if path.startswith("/app") else "read-only file system"
        for result in (python, node):
            expect(result["exit_code"] == 1 and reason in result["error"].lower(), f"{path}: {result}")
    return "Read-only file system"


def check_passwd(api: Api) -> str:
    """/etc/passwd is the container's own"""
    result = api.run("print(open('/etc/passwd').read())")
    expect(result["exit_code"] == 0 and result["output"].startswith("root:"), result)
    inside = [line.split(":") for line in result["output"].splitlines() if line]
    people = [fields[0] for fields in inside if 1000 <= int(fields[2]) < 65534]
    expect(not people, f"there are accounts of people: {people}")
    here = Path("/etc/passwd")
    if here.exists():
        expect(result["output"].strip() != here.read_text().strip(), "it is this machine's own file")
    return f"{len(inside)} system accounts"


def check_length(api: Api) -> str:
    """Code of the maximum length runs, one character more is refused"""
    limit = api.limits["max_code_characters"]
    longest = "print(1)#" + "é" * (limit - 9)
    expect(api.run(longest)["output"] == "1\n", "the longest allowed program did not run")
    refused = api.post("/run", json={"code": longest + "é", "language": "python"})
    expect(refused.status_code == 400 and str(limit + 1) in refused.json()["error"], refused.text)
    return str(refused.json()["error"])


def check_fork_bomb(api: Api) -> str:
    """A fork bomb stays inside, and the next program runs"""
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    result = api.run(bomb)
    expect(result["status"] in ("timeout", "memory"), result)
    started = time.monotonic()
    expect(api.run("print('fine')")["output"] == "fine\n", "the next program did not run")
    return f"{result['status']}; next run after {time.monotonic() - started:.2f} s"


def check_flood(api: Api) -> str:
    """Endless output is stopped, and the answer is bounded"""
    kept = api.limits["output_bytes"]
    for language, code in (
        ("python", "while True: print('y' * 1000)"),
        ("node", "const y = 'y'.repeat(1e5); (function f() { process.stdout.write(y, f) })()"),
    ):
        response = api.post("/run", json={"code": code, "language": language})
        result = response.json()
        expect(result["status"] in ("output_limit", "timeout"), result["status"])
        expect(result["truncated"] and len(response.content) < kept * 1.2, f"{len(response.content)} bytes")
    return f"{len(response.content):,} bytes answered"


def check_orphan(api: Api) -> str:
    """A daemon left behind does not hold up the answer"""
    result = api.run(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(60)\n"
        "    os._exit(0)\n"
        "print('gone')"
    )
    expect((result["output"], result["exit_code"]) == ("gone\n", 0), result)
    expect(result["duration_ms"] < 3000, f"took {result['duration_ms']} ms")
    return f"{result['duration_ms']:.0f} ms"


def check_forged_result(api: Api) -> str:
    """Output that looks like a result is output"""
    frame = struct.pack(">cI", b"D", 2) + b"{}"
    forged = json.dumps({"exit_code": 0, "status": "ok", "output": ""})
    result = api.run(f"import os\nos.write(1, {frame!r})\nos.write(2, {frame!r})\nprint({forged!r})\nos._exit(3)")
    expect((result["status"], result["exit_code"]) == ("error", 3), result)
    expect(result["output"] == frame.decode() + forged + "\n", result)
    return "exit code 3 stayed 3"


def check_exit_137(api: Api) -> str:
    """A program that exits with 137 is not out of memory"""
    for language, code in (("python", "import sys; sys.exit(137)"), ("node", "process.exit(137)")):
        result = api.run(code, language)
        expect((result["status"], result["exit_code"], result["error"]) == ("error", 137, ""), result)
    return "status error"


def check_zip_attacks(api: Api) -> str:
    """Hostile archives are refused"""
    link = zipfile.ZipInfo("link.py")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    hostile = {
        "traversal": zip_of({"../evil.py": "", "main.py": ""}),
        "absolute": zip_of({"/etc/evil.py": "", "main.py": ""}),
        "symlink": zip_of({link: "/etc/passwd", "main.py": ""}),
        "bomb": zip_of({"main.py": bytes(64 << 20)}),
        "not a zip": b"print('hello')",
        "cut off": zip_of({"main.py": "print(1)"})[:-10],
    }
    for name, archive in hostile.items():
        response = api.upload(archive, entry="main.py")
        expect(response.status_code == 400 and response.json()["code"], f"{name}: {response.text[:200]}")
    return ", ".join(hostile)


def check_zip_project(api: Api) -> str:
    """A project of several files runs"""
    files: Files = {
        "main.py": "from lib.sums import add\nprint(add(*map(int, open('data/numbers.txt'))))",
        "lib/sums.py": "def add(*numbers): return sum(numbers)",
        "data/numbers.txt": "40\n2\n",
    }
    result = api.upload(zip_of(files), entry="main.py", language="python").json()
    expect((result.get("output"), result.get("exit_code")) == ("42\n", 0), result)
    return "imports and data files"


def check_batch(api: Api) -> str:
    """A batch runs each task in its language, and answers in the order asked"""
    tasks = [
        {"language": "python", "code": "import time; time.sleep(0.5); print('first')"},
        {"language": "node", "code": "console.log('second', typeof process)"},
        {"language": "python", "code": "print('third', type(print).__name__)"},
    ]
    results = api.post("/run-batch", json={"tasks": tasks}).json()["results"]
    outputs = [result["output"] for result in results]
    expect(outputs == ["first\n", "second object\n", "third builtin_function_or_method\n"], outputs)
    return ", ".join(result["language"] for result in results)


def check_bad_batch(api: Api) -> str:
    """Of a batch with one bad task nothing runs"""
    mark = uuid.uuid4().hex
    tasks = [{"language": "python", "code": f"print('{mark}')"}, {"language": "cobol", "code": "x"}]
    response = api.post("/run-batch", json={"tasks": tasks})
    expect(response.status_code == 400 and "tasks[1]" in response.json()["error"], response.text)
    found = api.get("/history", params={"q": mark}).json()["history"]
    expect(not found, "the good task has run")
    return str(response.json()["error"])[:60]


def check_foreign_origin(api: Api) -> str:
    """Pages of other sites cannot make a browser run code"""
    body = {"code": "print(1)", "language": "python"}
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        attempts = [
            api.post("/run", json=body, headers=headers),
            api.post("/run-zip", files={"file": ("a.zip", zip_of({"main.py": "print(1)"}))}, headers=headers),
            api.post("/run-batch", json={"tasks": [body]}, headers=headers),
            api.delete("/history", headers=headers),
        ]
        codes = [response.status_code for response in attempts]
        expect(codes == [403] * 4, f"{headers}: {codes}")
    return "403"


def check_wrong_host(api: Api) -> str:
    """A rebound host name cannot read the history"""
    codes = {api.get(path, headers={"Host": "evil.example"}).status_code for path in ("/", "/history", "/config")}
    expect(codes <= {400, 403, 421}, codes)
    return ", ".join(map(str, codes))


def check_history(api: Api) -> str:
    """The history is JSON, and holds what was sent unchanged"""
    code = "print('<script>alert(1)</script> & \"ünïcödé\" 🐍')"
    result = api.run(code)
    response = api.get(f"/history/{result['id']}")
    expect(response.headers["Content-Type"].startswith("application/json"), response.headers)
    expect(response.headers.get("X-Content-Type-Options") == "nosniff", "nosniff is missing")
    row = response.json()
    expect((row["code"], row["output"]) == (code, result["output"]), row)
    newest = [run["id"] for run in api.get("/history").json()["history"]]
    expect(result["id"] in newest, "the run is not in the list")
    return f"{len(newest)} runs listed"


def check_owners(api: Api) -> str:
    """Two browsers see, stop, read and delete nothing of each other"""
    if api.get("/me").json()["key_required"]:
        return nothing_without_key(api)
    with Browser(api.url) as ada, Browser(api.url) as bob:
        running = ada.session.post(
            ada.url + "/run",
            json={"code": "print('up', flush=True)\nwhile True: pass"},
            headers={"Accept": "text/event-stream"},
            stream=True,
            timeout=ANSWER_SECONDS,
        )
        run_id = running.headers["X-Run-Id"]
        expect(bob.delete(f"/runs/{run_id}").status_code == 404, "a stranger stopped a run")
        expect(ada.delete(f"/runs/{run_id}").status_code == 200, "its owner could not stop a run")
        expect("cancelled" in running.text, "the run was not stopped")
        codes = [bob.get(f"/history/{run_id}").status_code, bob.delete(f"/history/{run_id}").status_code]
        expect(codes == [404, 404], f"a stranger read or deleted a run: {codes}")
        codes = [bob.get(f"/history?before={run_id}").status_code, bob.delete("/history?owner=all").status_code]
        expect(codes == [404, 403], codes)
        expect(run_id not in bob.get("/history?limit=200").text, "a stranger's history lists a run")
        expect(run_id in ada.get("/history?limit=200").text, "its owner's history does not list a run")
    return "404"


def nothing_without_key(api: Api) -> str:
    """Of a server that needs a key."""
    with Browser(api.url) as stranger:
        answers = [stranger.get("/history"), stranger.delete("/history"), stranger.post("/run", json={"code": "1"})]
    codes = [answer.status_code for answer in answers]
    expect(codes == [401] * 3, f"without a key: {codes}")
    return "401 without a key"


def check_wrong_key(api: Api) -> str:
    """A wrong key is refused, never taken for nobody"""
    for header in ("Bearer sce_" + "a" * 32, "Bearer", "Basic YWRhOmFkYQ==", "nonsense"):
        headers = {"Authorization": header}
        answers = [
            api.post("/run", json={"code": "print(1)"}, headers=headers),
            api.get("/history", headers=headers),
            api.delete("/history", headers=headers),
        ]
        codes = [answer.status_code for answer in answers]
        expect(codes == [401] * 3 and "WWW-Authenticate" in answers[0].headers, f"{header}: {codes}")
    return "401"


Check = Callable[[Api], str]
CHECKS: list[Check] = [
    value for name, value in list(globals().items()) if name.startswith("check_") and callable(value)
]


def zip_of(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


# --- pytest -----------------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: Any) -> None:
    names = [check.__name__.removeprefix("check_") for check in CHECKS]
    metafunc.parametrize("check", CHECKS, ids=names)


def test_the_server_withstands(check: Check, server_url: str) -> None:
    with Api(server_url) as api:
        check(api)


# --- Script -----------------------------------------------------------------------------------------------


def report(api: Api) -> int:
    """Run every check and print a line for it; the number of those that failed."""
    failures = 0
    for check in CHECKS:
        started = time.monotonic()
        try:
            verdict, detail = "PASS", check(api)
        except Exception as problem:  # whatever it is, it is a failure of this check, and the others go on
            verdict, detail = "FAIL", f"{type(problem).__name__}: {problem}"
            failures += 1
        name = check.__name__.removeprefix("check_").replace("_", " ")
        print(f"{verdict}  {time.monotonic() - started:6.2f} s  {name:<15} {check.__doc__}: {detail}", flush=True)
    print(f"{len(CHECKS) - failures} of {len(CHECKS)} checks passed")
    return failures


def main(arguments: list[str]) -> int:
    url = arguments[0] if arguments else DEFAULT_URL
    try:
        with Api(url) as api:
            return EXIT_FAILED if report(api) else EXIT_OK
    except (requests.RequestException, ValueError, KeyError) as problem:
        reason = type(problem).__name__
        print(f"No Safe Code Executor answers at {url} ({reason}). Start it with `make run`.", file=sys.stderr)
        return EXIT_UNREACHABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
