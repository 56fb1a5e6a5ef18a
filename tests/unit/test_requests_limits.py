"""What the API accepts and refuses of limits, packs, bare sources and batches. The executor is a fake."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from sandbox.intake.limits import limits_of
from sandbox.models import AS_USUAL
from sandbox.settings import Settings, load
from tests.asking import UNKNOWN_KEYS, Refused, form
from tests.fakes import FakeExecutor, body_limit, web_app
from tests.zips import zip_of

# --- Limits -------------------------------------------------------------------------------------------------


def test_a_whole_number_may_be_written_with_a_point(client: FlaskClient, executor: FakeExecutor) -> None:
    assert client.post("/run", json={"code": "1", "limits": {"processes": 79.0}}).status_code == 200
    assert client.post("/run", json={"code": "1", "limits": {"processes": 79.5}}).status_code == 400
    assert client.post("/run", json={"code": "1", "limits": {"processes": True}}).status_code == 400


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


# --- Packs --------------------------------------------------------------------------------------------------


def test_a_pack_is_one_that_the_language_is_in(client: FlaskClient, executor: FakeExecutor) -> None:
    assert client.post("/run", json={"code": "1", "pack": "science"}).status_code == 200
    assert executor.requests[-1].pack == "science"
    refused = client.post("/run", json={"code": "1", "language": "node", "pack": "science"})
    assert (refused.status_code, refused.get_json()["code"]) == (400, "wrong_pack")
    form = {"file": (io.BytesIO(zip_of({"main.py": "1"})), "x.zip"), "pack": "science"}
    assert client.post("/run-zip", data=form).status_code == 200
    assert executor.requests[-1].pack == "science"
