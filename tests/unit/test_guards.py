"""Who may ask: hosts, origins, and the headers of every answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from sandbox.settings import load
from tests.fakes import FakeExecutor, FakeHistory, row, web_app
from web.guards import SECURITY_HEADERS

STATE_CHANGING = [
    ("POST", "/run"),
    ("POST", "/run-zip"),
    ("POST", "/run-batch"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("PUT", "/run/python"),
    ("DELETE", "/history"),
    ("DELETE", "/history/0123456789abcdef"),
    ("DELETE", "/runs/0123456789abcdef"),
]
READING = [
    "/history", "/history?q=x", "/history/0123456789abcdef", "/config", "/languages", "/healthz", "/readyz",
    "/openapi.json",
]  # fmt: skip
FRIEND = "https://docs.example"


@pytest.fixture
def history() -> FakeHistory:
    return FakeHistory([row("0123456789abcdef")])


@pytest.fixture
def client(tmp_path: Path, executor: FakeExecutor, history: FakeHistory) -> FlaskClient:
    settings = load(data_dir=tmp_path, allowed_origins=(FRIEND,), allowed_hosts=("code.example",))
    client: FlaskClient = web_app(settings, executor, history).test_client()
    return client


# --- Host ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:5000", "127.0.0.1", "127.0.0.1:65535", "[::1]:5000", "[::1]", "Code.Example:80"]
)
def test_requests_addressed_to_us_pass(client: FlaskClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:5000",
        "localhost.evil.example",
        "localhost.",
        "evil.example, localhost",
        "localhost@evil.example",
        "localhost:5000:80",
        "localhost:",
        "localhost:x",
        "localhost/",
        "127.0.0.2",
        "0.0.0.0",
        "[::2]",
        "::1",
        "code.example.evil.example",
    ],
)
@pytest.mark.parametrize("path", ["/", "/history", "/config", "/static/none.js", "/nowhere"])
def test_a_rebound_name_is_refused_everywhere(client: FlaskClient, host: str, path: str) -> None:
    response = client.get(path, headers={"Host": host})
    assert response.status_code == 400
    assert response.get_json()["code"] == "bad_host"


@pytest.mark.parametrize(
    ("listening", "host"), [("192.0.2.7", "192.0.2.7:5000"), ("2001:db8::7", "[2001:db8::7]:5000"), ("box", "box")]
)
def test_the_address_it_listens_on_is_one_of_its_names(tmp_path: Path, listening: str, host: str) -> None:
    client = web_app(load(data_dir=tmp_path, host=listening)).test_client()
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
def test_listening_everywhere_does_not_mean_answering_to_every_name(tmp_path: Path, everywhere: str) -> None:
    client = web_app(load(data_dir=tmp_path, host=everywhere)).test_client()
    for host in ("192.0.2.7", "0.0.0.0", "[::]"):
        assert client.get("/healthz", headers={"Host": host}).get_json()["code"] == "bad_host"


# --- Origin -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), STATE_CHANGING)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://localhost"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "https://docs.example.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
def test_a_foreign_page_can_change_nothing(
    client: FlaskClient,
    executor: FakeExecutor,
    history: FakeHistory,
    method: str,
    path: str,
    headers: dict[str, str],
) -> None:
    body: dict[str, Any] = {"json": {"code": "1"}} if method == "POST" else {}
    response = client.open(path, method=method, headers=headers, **body)
    assert response.status_code == 403
    assert response.get_json()["code"] == "foreign_origin"
    assert "Access-Control-Allow-Origin" not in response.headers
    assert executor.requests == []
    assert len(history.rows) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Host": "127.0.0.1:5000", "Origin": "http://127.0.0.1:5000"},
        {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_our_own_page_programs_and_allowed_origins_may_run(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post("/run", json={"code": "1"}, headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [*READING, "/nowhere"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
def test_a_foreign_page_cannot_even_ask(
    client: FlaskClient, history: FakeHistory, method: str, path: str, headers: dict[str, str]
) -> None:
    assert client.open(path, method=method, headers=headers).status_code == 403
    assert history.asked == {}


@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": FRIEND}]
)
def test_our_own_page_programs_and_allowed_origins_may_ask(
    client: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    assert client.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize("mode", ["navigate", "no-cors"])
def test_a_link_from_another_site_opens_the_page(client: FlaskClient, mode: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode}
    page = client.get("/", headers=headers)
    assert page.status_code == 200
    icon = re.search('href="([^"]+/icon.svg)"', page.text)
    assert icon is not None
    with client.get(icon[1], headers=headers) as found:
        assert found.status_code == 200


def test_an_allowed_origin_may_read_answers_and_errors(client: FlaskClient) -> None:
    for body in ({"code": "1"}, {}):
        response = client.post("/run", json=body, headers={"Origin": FRIEND})
        assert response.headers["Access-Control-Allow-Origin"] == FRIEND
        assert "X-Run-Id" in response.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(("method", "path"), STATE_CHANGING)
def test_an_allowed_origin_gets_its_preflight_answered(client: FlaskClient, method: str, path: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"}
    response = client.options(path, headers={"Origin": FRIEND, **asked})
    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] == FRIEND
    assert method in response.headers["Access-Control-Allow-Methods"]
    assert response.headers["Access-Control-Allow-Headers"] == "Content-Type, Authorization"


def test_a_foreign_origin_gets_no_cors_headers_at_all(client: FlaskClient) -> None:
    asked = {"Access-Control-Request-Method": "POST"}
    for response in (
        client.options("/run", headers={"Origin": "https://evil.example", **asked}),
        client.get("/history", headers={"Origin": "https://evil.example"}),
    ):
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
        assert "Origin" in response.headers["Vary"]


# --- Headers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/history", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/run", 405),
        ("POST", "/run", 415),
        ("GET", "/static/nowhere.js", 404),
        ("OPTIONS", "/run", 200),
    ],
)
def test_every_answer_carries_the_security_headers(client: FlaskClient, method: str, path: str, status: int) -> None:
    response = client.open(path, method=method)
    assert response.status_code == status
    for name, value in SECURITY_HEADERS:
        assert response.headers[name] == value
    assert response.headers["Cache-Control"] == "no-store"
    assert "Server" not in response.headers


def test_the_content_security_policy_allows_nothing_inline_and_nothing_from_elsewhere(client: FlaskClient) -> None:
    policy = client.get("/config").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*", policy)
