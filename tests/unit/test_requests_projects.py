"""What the API accepts and refuses of several files, in JSON or in a form. The executor is a fake."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from sandbox.settings import Settings, load
from tests.asking import Refused, form, make_zip
from tests.fakes import FakeExecutor, body_limit, web_app

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
