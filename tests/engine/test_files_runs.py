"""Programs of several files given by name, on the real engine."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from executor import Executor
from sandbox.intake.files import project_of
from sandbox.languages import LANGUAGES
from sandbox.models import RunRequest
from tests.trees import Tree, trees
from tests.zips import zip_of

LIST_ALL = """
import hashlib, json, os
paths = [os.path.join(folder, name) for folder, _, names in os.walk("/app") for name in names]
print(json.dumps({path[5:]: hashlib.sha256(open(path, "rb").read()).hexdigest() for path in paths}))
"""


def post(server_url: str, body: dict[str, Any], path: str = "/run") -> Any:
    response = requests.post(server_url + path, json=body, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


def test_files_are_there_as_they_were_sent(executor: Executor) -> None:
    @given(trees)
    @hypothesis_settings(max_examples=12, deadline=None, database=None)
    def check(files: Tree) -> None:
        archive, entry = project_of(files, LANGUAGES["python"], executor.settings, code=LIST_ALL)
        result = executor.run(RunRequest("python", archive=archive, entry=entry))
        expected = {**files, "user_code.py": LIST_ALL}
        bytes_of = {name: text.encode() if isinstance(text, str) else text for name, text in expected.items()}
        found = {name: hashlib.sha256(content).hexdigest() for name, content in bytes_of.items()}
        assert json.loads(result.output) == found, result.error

    check()


PROJECTS = [
    ("python", {"main.py": "import lib.x as x; print(x.X, open('d.bin', 'rb').read())", "lib/x.py": "X = 'é'"}),
    (
        "node",
        {
            "main.js": "console.log(require('./lib/x').X, require('fs').readFileSync('d.bin'))",
            "lib/x.js": "exports.X = 'é'",
        },
    ),
]
PRINTED = {"python": "é b'\\x00\\xff'\n", "node": "é <Buffer 00 ff>\n"}


@pytest.mark.parametrize(("language", "files"), PROJECTS)
def test_a_program_finds_the_files_beside_it(server_url: str, language: str, files: dict[str, Any]) -> None:
    files = {**files, "d.bin": {"base64": "AP8="}}
    entry = next(iter(files))
    assert post(server_url, {"files": files, "entry": entry, "language": language})["output"] == PRINTED[language]
    code = files.pop(entry)
    for body in ({"files": files, "code": code, "language": language},) * 2:
        assert post(server_url, body)["output"] == PRINTED[language]
    tasks = [{"files": files, "code": code, "language": language}, {"code": "print(1)"}]
    results = post(server_url, {"tasks": tasks}, "/run-batch")["results"]
    assert [result["output"] for result in results] == [PRINTED[language], "1\n"]


def test_files_are_a_kind_of_run_of_the_history(server_url: str) -> None:
    result = post(server_url, {"files": {"a.py": "print(1)"}})
    row = requests.get(f"{server_url}/history/{result['id']}", timeout=10).json()
    assert (row["kind"], row["entry"], row["archive"]) == ("files", "a.py", "")


def test_a_project_of_files_cannot_change_them(server_url: str) -> None:
    result = post(server_url, {"files": {"main.py": "open('data.txt', 'w')", "data.txt": ""}})
    assert "PermissionError" in result["error"]


WHERE = {
    "python": (
        "main.py",
        "import os, lib; print(os.getcwd(), open('data.csv').read(), __file__, lib.X)",
        "lib.py",
        "X = 1",
    ),
    "node": (
        "main.js",
        "console.log(process.cwd(), require('fs').readFileSync('data.csv', 'utf8'), __filename, require('./lib').X)",
        "lib.js",
        "exports.X = 1",
    ),
    "bash": ("main.sh", 'echo "$PWD $(cat data.csv) $0 $(. ./lib.sh)"', "lib.sh", "echo 1"),
}


@pytest.mark.parametrize("language", WHERE)
def test_a_project_in_a_folder_runs_in_that_folder(server_url: str, language: str) -> None:
    entry, code, lib, text = WHERE[language]
    files = {entry: code, lib: text, "data.csv": "1,2"}
    in_folder = {f"my project/{name}": content for name, content in files.items()}
    expected = f"/app/my project 1,2 /app/my project/{entry} 1\n"
    for named in ("", entry, f"my project/{entry}"):
        body = {"files": in_folder, "entry": named, "language": language}
        assert post(server_url, body)["output"] == expected
        form = {"file": ("project.zip", zip_of(in_folder))}
        reply = requests.post(
            f"{server_url}/run-zip", files=form, data={"entry": named, "language": language}, timeout=60
        )
        assert reply.json()["output"] == expected, reply.json()
    beside = post(server_url, {"files": files, "language": language})
    assert beside["output"] == f"/app 1,2 /app/{entry} 1\n"


def test_a_folder_is_where_its_own_program_starts_and_no_other(server_url: str) -> None:
    """Also in a container that is kept and has started its next interpreter already."""
    session = requests.Session()
    session.get(server_url, timeout=10)
    code = "import os; print(os.getcwd())"
    bodies: list[dict[str, Any]] = [{"code": code}, {"files": {"a/main.py": code}}, {"code": code}]
    outputs = [session.post(f"{server_url}/run", json=body, timeout=60).json()["output"] for body in bodies]
    assert outputs == ["/app\n", "/app/a\n", "/app\n"]


@pytest.mark.parametrize(("language", "code"), [("python", "print('é' * 2)"), ("NODE", "console.log('é'.repeat(2))")])
def test_a_file_is_run_from_curl(server_url: str, tmp_path: Path, language: str, code: str) -> None:
    (tmp_path / "program").write_text(code)
    command = ["curl", "-s", "--upload-file", str(tmp_path / "program"), f"{server_url}/run/{language}"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout)["output"] == "éé\n"


def test_a_file_can_be_watched_while_it_runs(server_url: str) -> None:
    reply = requests.put(
        f"{server_url}/run/python", data=b"print(1)", headers={"Accept": "text/event-stream"}, timeout=60
    )
    assert [line for line in reply.text.splitlines() if line.startswith("event")][-1] == "event: result"
