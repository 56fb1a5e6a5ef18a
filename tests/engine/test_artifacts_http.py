"""Files that programs give back, over HTTP from a real server."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Server
from tests.zips import zip_of

MIB = 1 << 20
LARGE = "import random\nrandom.seed({0})\nopen('{0}.bin', 'wb').write(random.randbytes({1}))"


def post(server: Server, path: str = "/run", **options: Any) -> requests.Response:
    return requests.post(f"{server.url}{path}", timeout=60, **options)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_large_file_is_fetched_by_its_address_and_gone_with_its_run(server: Server) -> None:
    code = "import hashlib, os\ndata = os.urandom(10 << 20)\nopen('a.zip', 'wb').write(data)\n"
    code += "print(hashlib.sha256(data).hexdigest())"
    result = post(server, json={"code": code, "artifacts": ["*.zip"]}).json()
    (artifact,) = result["artifacts"]
    assert artifact == {
        "path": "a.zip",
        "bytes": 10 << 20,
        "media_type": "application/zip",
        "url": f"/runs/{result['id']}/artifacts/0",
    }
    answer = requests.get(server.url + artifact["url"], timeout=60)
    assert digest(answer.content) == result["output"].strip()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a.zip"'
    assert requests.head(server.url + artifact["url"], timeout=60).headers["Content-Length"] == str(10 << 20)
    assert requests.get(f"{server.url}/history/{result['id']}", timeout=60).json()["artifacts"] == [artifact]
    assert (server.data_dir / "artifacts" / result["id"] / "0").stat().st_mode & 0o777 == 0o600
    requests.delete(f"{server.url}/history/{result['id']}", timeout=60)
    assert requests.get(server.url + artifact["url"], timeout=60).status_code == 404
    assert not (server.data_dir / "artifacts" / result["id"]).exists()


def test_what_comes_inline_can_be_fetched_later_too(server: Server) -> None:
    result = post(server, json={"code": "open('é.txt', 'w').write('text')", "artifacts": ["*"]}).json()
    (kept,) = requests.get(f"{server.url}/history/{result['id']}", timeout=60).json()["artifacts"]
    assert "base64" in result["artifacts"][0] and "base64" not in kept
    answer = requests.get(server.url + kept["url"], timeout=60)
    assert (answer.content, answer.headers["Content-Type"]) == (b"text", "text/plain")


def test_another_browser_does_not_get_it(server: Server) -> None:
    mine, theirs = requests.Session(), requests.Session()
    for session in (mine, theirs):
        session.get(server.url, timeout=60)
    body = {"code": "open('a', 'wb').write(bytes(2 << 20))", "artifacts": ["a"]}
    result = mine.post(f"{server.url}/run", json=body, timeout=60).json()
    url = server.url + result["artifacts"][0]["url"]
    assert [session.get(url, timeout=60).status_code for session in (mine, theirs, requests)] == [200, 404, 404]


@pytest.mark.parametrize("language", ["python", "node"])
def test_an_archive_gives_files_back_too(server: Server, language: str) -> None:
    files = {
        "python": {"main.py": "open('out.txt', 'w').write(open('in.txt').read() * 2)", "in.txt": "x"},
        "node": {
            "main.js": "const fs = require('fs'); fs.writeFileSync('out.txt', fs.readFileSync('in.txt', 'utf8') + 'x')",
            "in.txt": "x",
        },
    }[language]
    form = {"language": language, "artifacts": '["*.txt"]'}
    result = post(server, "/run-zip", files={"file": ("a.zip", zip_of(files))}, data=form).json()
    assert [(each["path"], base64.b64decode(each["base64"])) for each in result["artifacts"]] == [("out.txt", b"xx")]


def test_each_task_of_a_batch_has_files_of_its_own(server: Server) -> None:
    tasks = [
        {"code": f"open('{name}', 'w').write('{name}')", "artifacts": [glob]}
        for name, glob in (("a", "a"), ("b", "*"), ("c", "x"))
    ]
    tasks.append({"code": "open('/app/d', 'w')"})
    results = post(server, "/run-batch", json={"tasks": tasks}).json()["results"]
    assert [[each["path"] for each in result["artifacts"]] for result in results] == [["a"], ["b"], [], []]
    assert "PermissionError" in results[3]["error"]


def test_a_stream_tells_of_files_before_the_result(server: Server) -> None:
    body = {"code": "open('a', 'w').write('x')\nopen('b', 'wb').write(bytes(2 << 20))\nprint(1)", "artifacts": ["*"]}
    text = post(server, json=body, headers={"Accept": "text/event-stream"}).text
    events = [block.split("\n") for block in text.split("\n\n") if block.startswith("event")]
    names = [lines[0].removeprefix("event: ") for lines in events]
    assert names == ["started", "stdout", "artifact", "artifact", "result"]
    told = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert told[2:4] == told[4]["artifacts"]
    assert (told[2]["base64"], "url" in told[3]) == ("eA==", True)


def resident_kb(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_the_servers_memory_does_not_grow_with_what_it_gives_back(server: Server) -> None:
    code = "".join(LARGE.format(number, 4 * MIB - 1) + "\n" for number in range(4))

    def once() -> None:
        for artifact in post(server, json={"code": code, "artifacts": ["*.bin"]}).json()["artifacts"]:
            requests.get(server.url + artifact["url"], timeout=60)

    once()
    before = resident_kb(server)
    for _ in range(8):
        once()
    assert resident_kb(server) < before + 24_000, "128 MiB went through"
