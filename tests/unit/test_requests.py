"""What the API accepts and refuses, and in which words. No engine: the executor is a fake that keeps requests."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from sandbox.intake.limits import limits_of
from sandbox.models import AS_USUAL, Caller
from sandbox.settings import Settings, load
from tests.conftest import ROOT
from tests.fakes import FakeExecutor, body_limit, keys_of, web_app
from tests.zips import zip_of

Refused = Callable[..., tuple[int, str, str]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path)


@pytest.fixture
def client(settings: Settings, executor: FakeExecutor) -> FlaskClient:
    client: FlaskClient = web_app(settings, executor).test_client()
    return client


@pytest.fixture
def refused(client: FlaskClient, executor: FakeExecutor) -> Refused:
    """Post a body; its status, code and sentence. Nothing may have run."""

    def post(path: str, body: Any, content_type: str = "application/json") -> tuple[int, str, str]:
        data: Any = body if isinstance(body, bytes | dict | MultiDict) and content_type != "application/json" else None
        if content_type == "application/json":
            data = body if isinstance(body, bytes) else json.dumps(body)
        response = client.post(path, data=data, content_type=content_type)
        assert executor.requests == []
        assert response.content_type == "application/json"
        answer = response.get_json()
        assert set(answer) == {"error", "code"}
        return response.status_code, answer["code"], answer["error"]

    return post


def make_zip(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (files or {"main.py": "print(1)"}).items():
            archive.writestr(name, content)
    return buffer.getvalue()


def form(data: bytes | None = None, **fields: Any) -> dict[str, Any]:
    archive = make_zip(**{"main.py": "print(1)"}) if data is None else data
    return {"file": (io.BytesIO(archive), "project.zip"), **fields}


# --- JSON ---------------------------------------------------------------------------------------------------


def test_a_program_reaches_the_executor_as_it_was_sent(client: FlaskClient, executor: FakeExecutor) -> None:
    body = {"code": "print('é😀\\0')\r\n", "language": " JavaScript", "stdin": "a\r\nb", "args": ["-x", ""]}
    body["artifacts"] = ["*.png", "out/**"]
    assert client.post("/run", json=body).status_code == 200
    (request,) = executor.requests
    assert (request.code, request.language, request.stdin) == (body["code"], "node", "a\r\nb")
    assert (request.args, request.artifacts) == (("-x", ""), ("*.png", "out/**"))
    assert request.caller == Caller("127.0.0.1")


def test_language_stdin_and_args_may_be_left_out(client: FlaskClient, executor: FakeExecutor) -> None:
    client.post("/run", json={"code": "1"})
    (request,) = executor.requests
    assert (request.language, request.stdin, request.args, request.artifacts) == ("python", "", (), ())


def test_a_byte_order_mark_before_json_is_ignored(client: FlaskClient) -> None:
    response = client.post("/run", data=b'\xef\xbb\xbf{"code":"1"}', content_type="application/json; charset=utf-8")
    assert response.status_code == 200


def test_of_a_key_given_twice_the_last_one_counts(client: FlaskClient, executor: FakeExecutor) -> None:
    client.post("/run", data=b'{"code":"first","code":"last"}', content_type="application/json")
    assert executor.requests[0].code == "last"


def test_a_nul_in_code_and_stdin_is_passed_on(client: FlaskClient, executor: FakeExecutor) -> None:
    assert client.post("/run", json={"code": "print('\0')", "stdin": "\0"}).status_code == 200
    assert executor.requests[0].stdin == "\0"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"code=1",
        b'{"code":"1"} trailing',
        b'{"code":"\xff"}',
        b'{"code":"\\ud800"}',
        b'{"code":"\\udc00\\ud800"}',
        b'{"code":"\xed\xa0\x80"}',
        b"[" * 4_000,
        b'{"code":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b'{"code":"1","x":' + b'{"a":' * 1_000 + b"1" + b"}" * 1_000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_not_json_is_refused_without_a_traceback(refused: Refused, body: bytes) -> None:
    status, code, sentence = refused("/run", body)
    assert (status, code) == (400, "malformed_json")
    assert sentence.startswith("The body is not valid JSON: ")


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ({}, "missing_field", "code is missing."),
        ([], "wrong_type", "the body must be an object."),
        (None, "wrong_type", "the body must be an object."),
        ({"code": 5}, "wrong_type", "code must be a string."),
        ({"code": None}, "wrong_type", "code must be a string."),
        ({"code": "1", "language": 3}, "wrong_type", "language must be a string."),
        ({"code": "1", "args": "x"}, "wrong_type", "args must be a list."),
        ({"code": "1", "args": ["a", 2]}, "wrong_type", "args[1] must be a string."),
        ({"code": "1", "artifacts": "*.png"}, "wrong_type", "artifacts must be a list."),
        ({"code": "1", "artifacts": ["*", 2]}, "wrong_type", "artifacts[1] must be a string."),
        (
            {"code": "1", "artifacts": ["*", "../x"]},
            "bad_artifact",
            "artifacts[1] leads out, or to hidden files, which are never given back.",
        ),
        ({"code": "1", "artifacts": ["x"] * 17}, "too_many_artifacts", "There are 17 artifacts; the limit is 16."),
        ({"code": "1", "stdin": ["a"]}, "wrong_type", "stdin must be a string."),
        ({"code": "1", "timeout": 99}, "unknown_field", "unknown field timeout."),
        ({"code": "1", "id": "x"}, "unknown_field", "unknown field id."),
        ({"code": "1", "a\nb": 1}, "unknown_field", "unknown field 'a\\nb'."),
        (
            {"code": 1, "x": 1, "y": 1, "z": 1},
            "wrong_type",
            "code must be a string; unknown field x; unknown field y; and 1 more problems.",
        ),
        ({"code": ""}, "empty_code", "There is no code to run."),
        ({"code": " \n\t\u00a0"}, "empty_code", "There is no code to run."),
    ],
)
def test_what_is_wrong_with_a_body_is_named(refused: Refused, body: Any, code: str, sentence: str) -> None:
    assert refused("/run", body) == (400, code, sentence)


def test_an_unknown_language_is_told_the_known_ones(refused: Refused) -> None:
    status, code, sentence = refused("/run", {"code": "1", "language": "cobol"})
    assert (status, code) == (400, "unsupported_language")
    assert "'cobol'" in sentence and "javascript" in sentence and "python3" in sentence


def test_a_body_with_a_thousand_wrong_values_is_told_the_first(refused: Refused) -> None:
    assert refused("/run", b'{"code":"1","args":[' + b"1," * 1_000 + b"1]}")[2] == "args[0] must be a string."


UNKNOWN_KEYS = b"{%s}" % b",".join(b'"%06x":1' % number for number in range(62_000))


@pytest.mark.parametrize(
    "body",
    [
        UNKNOWN_KEYS,
        b'{"code":"1","args":[' + b"1," * 100_000 + b"1]}",
        b'{"code":[' + b"[]," * 200_000 + b"[]]}",
        b'{"code":"1","x":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
        b"[" * 60_000,
        b'"' * 60_000,
        b'"\\\\",' * 60_000,
        b"1" * 60_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_with_thousands_of_values_is_not_even_parsed(refused: Refused, body: bytes) -> None:
    assert refused("/run", body)[:2] == (400, "too_many_values")
    assert refused("/run-batch", body * 5)[:2] == (400, "too_many_values")


def test_the_args_of_a_form_are_not_parsed_either_when_they_are_thousands(client: FlaskClient) -> None:
    form = {"file": (io.BytesIO(b""), "x.zip"), "args": "[" + "[]," * 10_000 + "[]]"}
    assert client.post("/run-zip", data=form).get_json()["code"] == "too_many_values"


MEMORY_OF_A_REFUSAL = """
import sys
from pathlib import Path
from werkzeug import Request
from sandbox.errors import InvalidRequest
from sandbox.settings import load
from web.routes.tasks import read_run

def peak_kib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

request = Request.from_values(method="POST", data=sys.stdin.buffer.read(), content_type="application/json")
before = peak_kib()
try:
    read_run(request, load())
except InvalidRequest:
    print(peak_kib() - before >> 10)
"""


def test_a_body_of_unknown_keys_costs_no_more_memory_than_a_few_copies_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEMORY_OF_A_REFUSAL]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, input=UNKNOWN_KEYS, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert int(done.stdout) < 10, f"{len(UNKNOWN_KEYS)} bytes took {int(done.stdout)} MiB"


@pytest.mark.parametrize("text", ['"' * 5000, "\\" * 5000, '\\"' * 2500, "[{,:" * 1250, "é\n" * 2500])
def test_quotes_and_brackets_in_a_program_are_not_taken_for_fields(client: FlaskClient, text: str) -> None:
    body = {"code": text, "stdin": text * 8, "args": [text[:1000]] * 32}
    assert client.post("/run", json=body).status_code == 200
    assert client.post("/run-batch", json={"tasks": [body] * 5}).status_code == 200


@pytest.mark.parametrize("character", ["x", "é", "漢", "😀"])
def test_code_is_measured_in_characters(
    client: FlaskClient, executor: FakeExecutor, refused: Refused, character: str
) -> None:
    status, code, sentence = refused("/run", {"code": character * 5001})
    assert (status, code) == (400, "code_too_long")
    assert sentence == "The code has 5001 characters; the limit is 5000."
    for length in (4999, 5000):
        assert client.post("/run", json={"code": character * length}).status_code == 200


def test_a_key_may_allow_more_code_at_every_door_and_anybody_else_has_the_usual(
    settings: Settings, executor: FakeExecutor
) -> None:
    app = web_app(settings, executor)
    client, code = app.test_client(), "😀" * 100_000
    ada = {"Authorization": f"Bearer {keys_of(app).add('ada', max_code_characters=100_000)}"}
    bob = {"Authorization": f"Bearer {keys_of(app).add('bob')}"}
    task: dict[str, Any] = {"code": code, "stdin": "\x01" * (64 << 10)}
    batch = {"tasks": [task, {"code": code, "files": {"a.py": "1"}}, *[task] * 3]}
    for headers, status in ((ada, 200), (bob, 400), ({}, 400)):
        replies = [
            client.post("/run", json=task, headers=headers),
            client.post("/run-batch", json=batch, headers=headers),
            client.put("/run/python", data=code.encode(), headers=headers),
        ]
        assert [reply.status_code for reply in replies] == [status] * 3
    assert "the limit is 5000." in replies[0].get_json()["error"]
    longer = client.post("/run", json={"code": code + "x"}, headers=ada).get_json()["error"]
    assert longer == "The code has 100001 characters; the limit is 100000."
    limits = [client.get("/me", headers=headers).get_json()["max_code_characters"] for headers in (ada, bob, {})]
    assert limits == [100_000, 5000, 5000]


def test_the_setting_allows_more_code_to_everybody(tmp_path: Path) -> None:
    client = web_app(load(data_dir=tmp_path, max_code_characters=200_000), FakeExecutor()).test_client()
    assert client.post("/run", json={"code": "😀" * 200_000}).status_code == 200
    assert client.put("/run/python", data=("😀" * 200_000).encode()).status_code == 200


def test_the_longest_program_may_be_escaped_in_the_longest_way(client: FlaskClient) -> None:
    assert client.post("/run", json={"code": "😀" * 5000, "stdin": "\x01" * (64 << 10)}).status_code == 200


def test_stdin_is_measured_in_utf8_bytes(client: FlaskClient, settings: Settings, refused: Refused) -> None:
    limit = settings.max_stdin_bytes
    status, code, sentence = refused("/run", {"code": "1", "stdin": "é" * (limit // 2) + "x"})
    assert (status, code) == (400, "stdin_too_long")
    assert sentence == f"stdin has {limit + 1} bytes in UTF-8; the limit is {limit}."
    for stdin in ("é" * (limit // 2), "é" * (limit // 2 - 1) + "x"):
        assert client.post("/run", json={"code": "1", "stdin": stdin}).status_code == 200


def test_args_are_bounded_in_number_and_length(client: FlaskClient, refused: Refused) -> None:
    def body(args: list[str]) -> dict[str, Any]:
        return {"code": "1", "args": args}

    assert refused("/run", body(["a"] * 33))[1:] == ("too_many_args", "There are 33 args; the limit is 32.")
    assert refused("/run", body(["a", "b" * 1001]))[1:] == (
        "arg_too_long",
        "args[1] has 1001 characters; the limit is 1000.",
    )
    assert refused("/run", body(["a\0b"]))[1] == "bad_arg"
    for args in (["a"] * 31, ["a"] * 32, ["b" * 999], ["b" * 1000]):
        assert client.post("/run", json=body(args)).status_code == 200


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_json_routes_take_only_json(client: FlaskClient, executor: FakeExecutor, content_type: str) -> None:
    for path in ("/run", "/run-batch"):
        response = client.post(path, data=b'{"code":"1"}', content_type=content_type)
        assert response.status_code == 415
        assert response.get_json()["code"] == "unsupported_media_type"
    assert executor.requests == []


def test_a_json_body_over_the_limit_is_413_and_names_the_limit(refused: Refused, settings: Settings) -> None:
    limit = body_limit("/run", settings)
    status, code, sentence = refused("/run", b" " * (limit + 1))
    assert (status, code) == (413, "body_too_large")
    assert str(limit) in sentence
    assert refused("/run", b" " * limit)[1] == "malformed_json"


# --- Files --------------------------------------------------------------------------------------------------


def test_files_reach_the_executor_as_an_archive_of_them(client: FlaskClient, executor: FakeExecutor) -> None:
    files = {"lib/a.js": "1", "start.js": "é\r\n", "b.bin": {"base64": "/wAA\n/w==\n"}}
    body = {"files": files, "entry": "start.js", "language": "node", "args": ["-x"], "stdin": "in"}
    assert client.post("/run", json=body).status_code == 200
    (request,) = executor.requests
    assert (request.code, request.entry, request.args, request.stdin) == ("", "start.js", ("-x",), "in")
    assert request.archive is not None and request.archive.name == ""
    with zipfile.ZipFile(io.BytesIO(request.archive.data)) as archive:
        contents = {name: archive.read(name) for name in request.archive.names}
    assert contents == {"lib/a.js": b"1", "start.js": "é\r\n".encode(), "b.bin": b"\xff\0\0\xff"}


def test_code_may_stand_beside_files_and_is_started(client: FlaskClient, executor: FakeExecutor) -> None:
    body = {"code": "import lib", "files": {"lib.py": "X = 1"}}
    assert client.post("/run", json=body).status_code == 200
    assert client.post("/run-batch", json={"tasks": [body, {"files": {"a.py": ""}}, {"code": "1"}]}).status_code == 200
    assert [request.entry for request in executor.requests] == ["user_code.py", "user_code.py", "a.py", ""]
    assert [request.code for request in executor.requests] == ["import lib", "import lib", "", "1"]


def test_files_may_be_none_and_code_empty(client: FlaskClient, executor: FakeExecutor) -> None:
    assert client.post("/run", json={"code": "1", "files": {}, "entry": ""}).status_code == 200
    assert client.post("/run", json={"code": "", "files": {"a.py": ""}}).status_code == 200
    assert [request.archive is None for request in executor.requests] == [True, False]


A = {"a.py": "1"}


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ({"files": {}}, "missing_field", "code is missing."),
        ({"files": ["a.py"]}, "wrong_type", "files must be an object."),
        ({"files": None}, "wrong_type", "files must be an object."),
        ({"files": {"a.py": 1}}, "wrong_type", """files.'a.py' must be a string or {"base64": a string}."""),
        ({"files": {"a.py": {}}}, "wrong_type", """files.'a.py' must be a string or {"base64": a string}."""),
        (
            {"files": {"a": {"base64": "", "mode": "755"}}},
            "wrong_type",
            """files.a must be a string or {"base64": a string}.""",
        ),
        ({"files": A, "code": None}, "wrong_type", "code must be a string."),
        ({"files": A, "entry": 1}, "wrong_type", "entry must be a string."),
        ({"files": {"a.py": {"base64": "x"}}}, "bad_base64", "The contents of 'a.py' are not valid base64."),
        ({"files": {"a.py": {"base64": "é"}}}, "bad_base64", "The contents of 'a.py' are not valid base64."),
        ({"files": {"../a.py": ""}}, "bad_member_name", "The name '../a.py' leads out of the archive."),
        ({"files": {"a\0.py": ""}}, "bad_member_name", "The name 'a\\x00.py' contains control characters."),
        ({"files": {"a": "", "a/b.py": ""}}, "conflicting_members", "'a' is both a file and a folder."),
        ({"files": A, "entry": "b.py"}, "entry_not_found", "The archive has no file 'b.py'. Did you mean 'a.py'?"),
        ({"files": A, "code": " "}, "empty_code", "There is no code to run."),
        ({"files": A, "code": "x" * 5001}, "code_too_long", "The code has 5001 characters; the limit is 5000."),
        ({"code": "1", "entry": "b.py"}, "entry_not_found", "The archive has no file 'b.py'."),
        (
            {"files": {str(n): "" for n in range(1001)}},
            "too_many_members",
            "There are more than 1000 files and folders.",
        ),
    ],
)
def test_what_is_wrong_with_files_is_named(refused: Refused, body: Any, code: str, sentence: str) -> None:
    assert refused("/run", body) == (400, code, sentence)
    _, of_batch, in_batch = refused("/run-batch", {"tasks": [{"code": "1"}, body]})
    assert of_batch == code
    assert "tasks[1]" in in_batch


@pytest.mark.parametrize("name", [b"\\ud800", b"\xff", b"\n"])
def test_a_name_that_is_no_text_is_no_json(refused: Refused, name: bytes) -> None:
    assert refused("/run", b'{"files":{"a%s.py":"1"}}' % name)[:2] == (400, "malformed_json")


def test_of_a_file_given_twice_the_last_one_counts(client: FlaskClient, executor: FakeExecutor) -> None:
    client.post("/run", data=b'{"files":{"a.py":"first","a.py":"last"}}', content_type="application/json")
    (request,) = executor.requests
    assert request.archive is not None and request.archive.data.count(b"last") == 1


def test_a_thousand_files_in_base64_are_not_too_many_values(client: FlaskClient) -> None:
    files = {f"folder/{number}": {"base64": "AAAA"} for number in range(999)} | {"main.py": "1"}
    assert client.post("/run", json={"files": files}).status_code == 200
    assert client.post("/run-batch", json={"tasks": [{"files": files}] * 5}).status_code == 200


def test_the_files_of_a_request_may_be_as_large_as_an_archive(
    client: FlaskClient, settings: Settings, refused: Refused
) -> None:
    def body(size: int) -> bytes:
        return b'{"code":"1","files":{"a":"%s"}}' % (b"x" * size)

    assert client.post("/run", data=body(settings.max_upload_bytes), content_type="application/json").status_code == 200
    assert body_limit("/run", settings) < settings.max_upload_bytes + 2_100_000
    assert body_limit("/run-batch", settings) < settings.max_upload_bytes + 10_200_000


def test_files_are_bounded_unpacked_too(tmp_path: Path) -> None:
    client = web_app(load(data_dir=tmp_path, max_archive_bytes=2000), FakeExecutor()).test_client()
    for size, status in ((1999, 200), (2000, 200), (2001, 400)):
        response = client.post("/run", json={"files": {"a.py": "x" * size}})
        assert response.status_code == status
    assert response.get_json()["code"] == "archive_too_large"


# --- Limits -------------------------------------------------------------------------------------------------


def test_a_request_may_ask_for_limits_at_every_door(client: FlaskClient, executor: FakeExecutor) -> None:
    limits = {"timeout_seconds": 1.5, "memory_mb": 256, "output_bytes": 2048, "processes": 16}
    body = {"code": "1", "limits": limits}
    query = "&".join(f"{name}={value}" for name, value in limits.items())
    assert client.post("/run", json=body).status_code == 200
    assert client.post("/run-batch", json={"tasks": [body, {"code": "1"}]}).status_code == 200
    assert client.post("/run-zip", data=form(limits=json.dumps(limits))).status_code == 200
    assert client.put(f"/run/python?{query}", data=b"1").status_code == 200
    given = [request.limits for request in executor.requests]
    assert given.pop(2) == AS_USUAL, "the other task asked for none"
    assert set(given) == {replace(AS_USUAL, timeout_seconds=1.5, memory_mb=256, output_bytes=2048, pids=16)}


@pytest.mark.parametrize("limits", [None, {}])
def test_limits_may_say_nothing(client: FlaskClient, executor: FakeExecutor, limits: object) -> None:
    assert client.post("/run", json={"code": "1", "limits": limits}).status_code == 200
    assert client.post("/run-zip", data=form(limits="")).status_code == 200
    assert [request.limits for request in executor.requests] == [AS_USUAL] * 2


@pytest.mark.parametrize(
    ("name", "outside", "inside", "words"),
    [
        ("timeout_seconds", [0.99, 60.01, 0, -1, 1e400], [1, 60, 59.5], "from 1 to 60."),
        ("memory_mb", [31, 513, 0, -1, 10**30], [32, 512], "from 32 to 512."),
        ("output_bytes", [1023, (4 << 20) + 1], [1024, 4 << 20], "from 1024 to 4194304."),
        ("processes", [15, 257], [16, 256], "from 16 to 256."),
    ],
)
def test_limits_are_bounded_and_the_bounds_are_told(
    client: FlaskClient, executor: FakeExecutor, name: str, outside: list[float], inside: list[float], words: str
) -> None:
    for value in inside:
        assert client.post("/run", json={"code": "1", "limits": {name: value}}).status_code == 200
    executor.requests.clear()
    for value in outside:
        body = {"code": "1", "limits": {name: value}}
        for path, data in (("/run", body), ("/run-batch", {"tasks": [body]})):
            answer = client.post(path, data=json.dumps(data), content_type="application/json")
            assert (answer.status_code, answer.get_json()["code"]) == (400, "bad_limits"), value
            assert answer.get_json()["error"].endswith(f"limits.{name} may be {words}")
        assert client.post("/run-zip", data=form(limits=json.dumps({name: value}))).get_json()["code"] == "bad_limits"
        assert client.put(f"/run/python?{name}={value}", data=b"1").get_json()["code"] == "bad_limits"
    assert executor.requests == []


@pytest.mark.parametrize(
    ("limits", "code", "sentence"),
    [
        ([], "wrong_type", "limits must be an object."),
        ({"memory_mb": "256"}, "wrong_type", "limits.memory_mb must be a whole number."),
        ({"memory_mb": 256.5}, "wrong_type", "limits.memory_mb must be a whole number."),
        ({"memory_mb": True}, "wrong_type", "limits.memory_mb must be a whole number."),
        ({"timeout_seconds": "9"}, "wrong_type", "limits.timeout_seconds must be a number."),
        ({"cpus": 2}, "unknown_field", "unknown field limits.cpus."),
    ],
)
def test_what_is_wrong_with_limits_is_named(refused: Refused, limits: object, code: str, sentence: str) -> None:
    assert refused("/run", {"code": "1", "limits": limits}) == (400, code, sentence)
    assert refused("/run-zip", form(limits=json.dumps(limits)), "multipart/form-data")[:2] == (400, "wrong_type")


@pytest.mark.parametrize("query", ["memory_mb=x", "memory_mb=1.5", "cpus=2", "timeout_seconds=", "timeout_seconds=nan"])
def test_what_is_wrong_with_limits_in_a_query_is_a_400(client: FlaskClient, query: str) -> None:
    empty = query.endswith("=")
    assert client.put(f"/run/python?{query}", data=b"1").status_code == (200 if empty else 400)


def test_the_limits_of_a_form_are_not_parsed_when_they_are_thousands(refused: Refused) -> None:
    fields = form(limits=UNKNOWN_KEYS.decode()[: 100 << 10])
    assert refused("/run-zip", fields, "multipart/form-data")[:2] == (400, "too_many_values")


def test_nobody_can_be_asked_for_less_than_the_usual_or_for_more_than_there_is(tmp_path: Path) -> None:
    generous = load(data_dir=tmp_path, timeout_seconds=100, memory_mb=1024, max_memory_mb=2048, containers_mb=1500)
    assert (generous.most.timeout_seconds, generous.most.memory_mb) == (100, 1500)
    assert limits_of({"timeout_seconds": 100, "memory_mb": 1500}, generous)
    tiny = load(data_dir=tmp_path, timeout_seconds=0.5, containers_mb=64)
    assert (tiny.most.timeout_seconds, tiny.most.memory_mb) == (60, 128)
    assert limits_of({"timeout_seconds": 0.5, "memory_mb": 128}, tiny)


def test_a_request_may_name_its_pack(client: FlaskClient, executor: FakeExecutor) -> None:
    body = {"code": "1", "pack": "science"}
    assert client.post("/run", json=body).status_code == 200
    assert client.post("/run-batch", json={"tasks": [body, {"code": "1"}]}).status_code == 200
    assert client.post("/run-zip", data=form(pack="science")).status_code == 200
    assert [request.pack for request in executor.requests] == ["science", "science", "", "science"]


# --- Source -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", [None, "text/x-python", "application/json", "application/x-www-form-urlencoded"]
)
def test_a_program_may_be_the_whole_body(client: FlaskClient, executor: FakeExecutor, content_type: str | None) -> None:
    source = "print('é')\r\n# a=b&c=d"
    response = client.put("/run/JS", data=source.encode(), content_type=content_type)
    assert response.status_code == 200
    (request,) = executor.requests
    assert (request.language, request.code, request.archive) == ("node", source, None)
    assert response.headers["X-Run-Id"] == executor.run_ids[0]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/run/python", b"", 400, "empty_code"),
        ("/run/python", b" \n", 400, "empty_code"),
        ("/run/python", b"\xff", 400, "bad_text"),
        ("/run/python", b"\xed\xa0\x80", 400, "bad_text"),
        ("/run/python", b"x" * 5001, 400, "code_too_long"),
        ("/run/python", "😀".encode() * 5001, 400, "code_too_long"),
        ("/run/python", "😀".encode() * 100_001, 413, "body_too_large"),
        ("/run/cobol", b"1", 400, "unsupported_language"),
        ("/run/python/", b"1", 404, "not_found"),
        ("/run/a/b", b"1", 404, "not_found"),
    ],
)
def test_what_is_wrong_with_a_source_is_named(
    client: FlaskClient, executor: FakeExecutor, path: str, body: bytes, status: int, code: str
) -> None:
    response = client.put(path, data=body)
    assert (response.status_code, response.get_json()["code"]) == (status, code)
    assert executor.requests == []


def test_the_longest_program_may_be_the_whole_body(client: FlaskClient, settings: Settings) -> None:
    assert client.put("/run/python", data=("😀" * 5000).encode()).status_code == 200
    assert body_limit("/run/python", settings) == 400_000, "as much as a key may allow"


# --- Batch --------------------------------------------------------------------------------------------------


def test_each_task_of_a_batch_runs_in_the_language_it_names(client: FlaskClient, executor: FakeExecutor) -> None:
    tasks = [
        {"code": "one"},
        {"code": "two", "language": "JS"},
        {"code": "three", "args": ["x"], "stdin": "y", "artifacts": ["*"]},
    ]
    response = client.post("/run-batch", json={"tasks": tasks})
    assert [result["output"] for result in response.get_json()["results"]] == ["one", "two", "three"]
    assert [request.language for request in executor.requests] == ["python", "node", "python"]
    assert (executor.requests[2].args, executor.requests[2].artifacts) == (("x",), ("*",))


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ({}, "missing_field", "tasks is missing."),
        ({"tasks": {}}, "wrong_type", "tasks must be a list."),
        ({"tasks": []}, "no_tasks", "A batch needs at least one task."),
        ({"tasks": [{"code": "1"}] * 6}, "too_many_tasks", "The batch has 6 tasks; the limit is 5."),
        ({"tasks": [{"code": "1"}, 7]}, "wrong_type", "tasks[1] must be an object."),
        ({"tasks": [{"code": "1"}, {"code": "1"}, {"code": 3}]}, "wrong_type", "tasks[2].code must be a string."),
        ({"tasks": [{"code": "1"}, {}]}, "missing_field", "tasks[1].code is missing."),
        ({"tasks": [{"code": "1", "x": 1}]}, "unknown_field", "unknown field tasks[0].x."),
        ({"tasks": [{"code": "1"}], "parallel": 9}, "unknown_field", "unknown field parallel."),
        ({"tasks": [{"code": "1"}, {"code": " "}]}, "empty_code", "tasks[1]: There is no code to run."),
        (
            {"tasks": [{"code": "1"}, {"code": "x" * 5001}]},
            "code_too_long",
            "tasks[1]: The code has 5001 characters; the limit is 5000.",
        ),
    ],
)
def test_a_bad_task_is_named_by_its_index_and_nothing_runs(
    refused: Refused, body: Any, code: str, sentence: str
) -> None:
    assert refused("/run-batch", body) == (400, code, sentence)


def test_a_batch_that_could_never_be_admitted_is_wrong_and_not_busy(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path, max_concurrent_runs=1, queue_size=1)
    response = web_app(settings, FakeExecutor()).test_client().post("/run-batch", json={"tasks": [{"code": "1"}] * 3})
    assert (response.status_code, response.get_json()["code"]) == (400, "too_many_tasks")
    assert response.get_json()["error"] == "The batch has 3 tasks; the limit is 2."


def test_an_unknown_language_in_a_batch_names_the_task(refused: Refused) -> None:
    _, code, sentence = refused("/run-batch", {"tasks": [{"code": "1"}, {"code": "1", "language": "cobol"}]})
    assert code == "unsupported_language"
    assert sentence.startswith("tasks[1]: ")


# --- Form ---------------------------------------------------------------------------------------------------


def test_an_archive_reaches_the_executor_with_its_entry(client: FlaskClient, executor: FakeExecutor) -> None:
    data = make_zip(**{"lib/a.js": "1", "start.js": "2"})
    fields = {"entry": "start.js", "language": "node", "stdin": "a\r\nb", "args": '["x", "y z"]', "artifacts": '["*"]'}
    response = client.post("/run-zip", data=form(data, **fields))
    assert response.status_code == 200, response.get_json()
    (request,) = executor.requests
    assert request.archive is not None
    assert (request.archive.data, request.archive.name) == (data, "project.zip")
    assert (request.entry, request.language, request.code) == ("start.js", "node", "")
    assert (request.args, request.artifacts) == (("x", "y z"), ("*",))
    assert request.stdin == "a\nb"


def test_the_entry_may_be_left_out_or_empty(client: FlaskClient, executor: FakeExecutor) -> None:
    empty: list[dict[str, Any]] = [{}, {"entry": "", "args": "", "stdin": "", "artifacts": ""}]
    for fields in empty:
        assert client.post("/run-zip", data=form(**fields)).status_code == 200
    assert [request.entry for request in executor.requests] == ["main.py", "main.py"]


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"file": "not a file"}, "wrong_type", "file must be an uploaded file"),
        ({"file": (io.BytesIO(b""), "")}, "missing_field", "file is missing"),
        ({"entri": "main.py"}, "unknown_field", "unknown field entri."),
        ({"entry": (io.BytesIO(b"main.py"), "entry.txt")}, "wrong_type", "entry must be a text field, not a file."),
        ({"language": "cobol"}, "unsupported_language", "'cobol'"),
        ({"entry": ["main.py", "other.py"]}, "repeated_field", "entry is given 2 times"),
        ({"args": "x"}, "wrong_type", "args must be a JSON list of strings"),
        ({"args": "[1]"}, "wrong_type", "args must be a JSON list of strings"),
        ({"artifacts": "*.png"}, "wrong_type", "artifacts must be a JSON list of strings"),
        ({"artifacts": '["/x"]'}, "bad_artifact", "artifacts[0] is no path"),
        ({"args": '["\\ud800"]'}, "wrong_type", "args must be a JSON list of strings"),
        ({"args": json.dumps(["a"] * 33)}, "too_many_args", "33"),
        ({"stdin": "x" * ((64 << 10) + 1)}, "stdin_too_long", str((64 << 10) + 1)),
        ({"entry": "other.py"}, "entry_not_found", "other.py"),
    ],
)
def test_what_is_wrong_with_a_form_is_named(refused: Refused, fields: dict[str, Any], code: str, words: str) -> None:
    status, got_code, sentence = refused("/run-zip", {**form(), **fields}, "multipart/form-data")
    assert (status, got_code) == (400, code)
    assert words in sentence


def test_a_second_file_is_refused(refused: Refused) -> None:
    files = MultiDict([("file", (io.BytesIO(make_zip()), "a.zip")), ("file", (io.BytesIO(make_zip()), "b.zip"))])
    assert refused("/run-zip", files, "multipart/form-data")[1] == "repeated_field"


def test_what_is_not_an_archive_is_refused(refused: Refused) -> None:
    assert refused("/run-zip", form(b"PK nothing"), "multipart/form-data")[:2] == (400, "not_a_zip")


@pytest.mark.parametrize("more", ["", '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'])
def test_a_part_without_a_name_is_an_unknown_field(refused: Refused, more: str) -> None:
    body = f"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n{more}--x--\r\n".encode()
    assert refused("/run-zip", body, "multipart/form-data; boundary=x")[:2] == (400, "unknown_field")


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "application/zip"])
def test_the_archive_route_takes_only_forms(client: FlaskClient, content_type: str) -> None:
    assert client.post("/run-zip", data=b"{}", content_type=content_type).status_code == 415


@pytest.mark.parametrize(
    "body",
    [b"", b"--x", b"--x\r\n\r\n", b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nabc"],
)
def test_a_broken_form_is_a_400(refused: Refused, body: bytes) -> None:
    assert refused("/run-zip", body, "multipart/form-data; boundary=x")[0] == 400
    assert refused("/run-zip", body, "multipart/form-data")[0] == 400


def test_a_form_with_a_thousand_parts_is_refused(refused: Refused) -> None:
    many = MultiDict([*form().items(), *((f"x{number}", "1") for number in range(1000))])
    status, code, sentence = refused("/run-zip", many, "multipart/form-data")
    assert (status, code) == (413, "body_too_large")
    assert "parts" in sentence


def test_a_form_field_larger_than_any_valid_one_is_refused(refused: Refused) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="stdin"\r\n\r\n' + b"x" * 2_000_000 + b"\r\n--x--\r\n"
    assert refused("/run-zip", body, "multipart/form-data; boundary=x")[:2] == (413, "body_too_large")


def test_an_archive_is_bounded_below_at_and_above_the_limit(tmp_path: Path) -> None:
    executor = FakeExecutor()
    client = web_app(load(data_dir=tmp_path, max_upload_bytes=4096), executor).test_client()

    def upload(size: int) -> Any:
        empty = make_zip(**{"main.py": ""})
        return client.post("/run-zip", data=form(make_zip(**{"main.py": "#" * (size - len(empty))})))

    for size in (4095, 4096):
        assert upload(size).status_code == 200
    response = upload(4097)
    assert response.status_code == 413
    assert "4096" in response.get_json()["error"]
    assert len(executor.requests) == 2


def test_a_pack_is_one_that_the_language_is_in(client: FlaskClient, executor: FakeExecutor) -> None:
    assert client.post("/run", json={"code": "1", "pack": "science"}).status_code == 200
    assert executor.requests[-1].pack == "science"
    refused = client.post("/run", json={"code": "1", "language": "node", "pack": "science"})
    assert (refused.status_code, refused.get_json()["code"]) == (400, "wrong_pack")
    form = {"file": (io.BytesIO(zip_of({"main.py": "1"})), "x.zip"), "pack": "science"}
    assert client.post("/run-zip", data=form).status_code == 200
    assert executor.requests[-1].pack == "science"
