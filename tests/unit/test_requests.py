"""What the API accepts and refuses as JSON, and in which words. The executor is a fake."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from sandbox.models import Caller
from sandbox.settings import Settings, load
from tests.asking import UNKNOWN_KEYS, Refused
from tests.conftest import ROOT
from tests.fakes import FakeExecutor, body_limit, keys_of, web_app


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
