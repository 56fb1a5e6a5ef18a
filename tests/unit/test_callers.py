"""Who a request belongs to: keys, cookies, nobody; and that what claims to be a key and is none is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sandbox.settings import Settings
from sandbox.store.database import Database, url_of
from sandbox.store.keys import Keys
from tests.fakes import FakeExecutor, Make, keys_of
from tests.wire import connect, head, read_answer

CODE = {"code": "1"}
CHALLENGE = 'Bearer realm="Safe Code Executor"'
PROTECTED = [
    ("POST", "/run"), ("POST", "/run-zip"), ("POST", "/run-batch"), ("DELETE", "/runs/0123456789abcdef"),
    ("GET", "/history"), ("DELETE", "/history"), ("GET", "/history/x"), ("DELETE", "/history/x"),
]  # fmt: skip
FOR_ALL = ["/", "/config", "/languages", "/healthz", "/readyz", "/openapi.json", "/me"]


@pytest.fixture
def closed(make: Make) -> Flask:
    """One that needs a key."""
    return make(require_key=True)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def owner(client: FlaskClient, **options: Any) -> str:
    response = client.get("/me", **options)
    assert response.status_code == 200, response.text
    found: str = response.get_json()["owner"]
    return found


def refusal(response: Any) -> tuple[int, str, str | None]:
    return response.status_code, response.get_json()["code"], response.headers.get("WWW-Authenticate")


# --- Keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_a_key_is_its_owners(app: Flask, executor: FakeExecutor, scheme: str) -> None:
    key = keys_of(app).add("ada", is_operator=True, runs_at_once=3, cpu_seconds_per_hour=5.5)
    response = app.test_client().post("/run", json=CODE, headers={"Authorization": f"{scheme} {key}"})
    assert response.status_code == 200
    caller = executor.requests[0].caller
    assert (caller.owner, caller.is_operator, caller.sees_nobodys) == ("key:ada", True, True)
    assert (caller.runs_at_once, caller.cpu_seconds_per_hour, caller.address) == (3, 5.5, "127.0.0.1")


NO_KEYS = [
    "", "Bearer", "Bearer ", "Bearer x", "Bearer sce_" + "a" * 32, "Basic YWRhOmFkYQ==", "sce_" + "a" * 32, "Digest x",
    "Bearer a b", "Bearer é",
]  # fmt: skip


@pytest.mark.parametrize("header", NO_KEYS)
@pytest.mark.parametrize(("method", "path"), [*PROTECTED, ("GET", "/me")])
def test_a_wrong_key_is_never_taken_for_nobody(
    app: Flask, executor: FakeExecutor, method: str, path: str, header: str
) -> None:
    response = app.test_client().open(path, method=method, json=CODE, headers={"Authorization": header})
    assert refusal(response) == (401, "wrong_key", CHALLENGE)
    assert executor.requests == []


def test_a_wrong_key_is_refused_also_with_the_right_cookie(app: Flask) -> None:
    client = app.test_client()
    client.post("/sign-in", json={"key": keys_of(app).add("ada")})
    assert owner(client) == "key:ada"
    assert client.get("/me", headers=bearer("x")).status_code == 401


def test_a_key_given_twice_is_none(url: str, settings: Settings) -> None:
    """As a proxy and a caller might send it: nobody decides for one of them."""
    database = Database(url_of(settings))
    line = f"Authorization: Bearer {Keys(database).add('ada')}"
    for lines, status in (([line], 415), ([line, line], 401), ([line, "Authorization: Basic YQ=="], 401)):
        with connect(url) as connection:
            connection.sendall(head("/run-zip", "Content-Length: 2", *lines) + b"{}")
            assert read_answer(connection)[0] == status
    database.close()


def test_of_key_and_cookie_the_key_counts(app: Flask) -> None:
    client = app.test_client()
    client.get("/")
    assert owner(client, headers=bearer(keys_of(app).add("ada"))) == "key:ada"
    assert owner(client).startswith("page:")


def test_a_key_works_at_once_until_it_is_revoked(app: Flask) -> None:
    client, keys = app.test_client(), keys_of(app)
    key = keys.add("ada")
    assert owner(client, headers=bearer(key)) == "key:ada"
    keys.revoke("ada")
    assert client.get("/me", headers=bearer(key)).status_code == 401


@pytest.mark.parametrize(("method", "path"), [*PROTECTED, ("GET", "/me")])
def test_without_a_database_a_key_is_neither_right_nor_wrong(make: Make, method: str, path: str) -> None:
    app = make(database_url="postgresql+psycopg://nobody@localhost:1/nothing")
    response = app.test_client().open(path, method=method, json=CODE, headers=bearer("sce_" + "a" * 32))
    assert (response.status_code, response.get_json()["code"]) == (503, "keys_unavailable")
    assert app.test_client().post("/run", json=CODE).status_code == 200


def test_a_key_is_never_in_the_log_or_in_an_answer(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client, wrong = app.test_client(), "sce_" + "w" * 32
    key = keys_of(app).add("ada")
    for headers in (bearer(key), bearer(wrong)):
        for path in ("/me", "/history", "/history/x"):
            assert "sce_" not in client.get(path, headers=headers).text.replace("sce_…", "")
        client.post("/run", json=CODE, headers=headers).close()
    for sent in ({"key": key}, {"key": wrong}, {"key": [wrong]}, {wrong: 1}):
        client.post("/sign-in", json=sent).close()
    assert key not in caplog.text and wrong not in caplog.text


# --- Cookies --------------------------------------------------------------------------------------------------


def test_the_page_makes_a_browser_an_owner_once(app: Flask, executor: FakeExecutor) -> None:
    client = app.test_client()
    assert owner(client) == ""
    assert client.get("/").headers.getlist("Set-Cookie")
    first = owner(client)
    assert first.startswith("page:")
    for path in ("/", "/me", "/config"):
        assert not client.get(path).headers.getlist("Set-Cookie")
    client.post("/run", json=CODE)
    assert executor.requests[0].caller.owner == owner(client) == first


def test_two_browsers_are_two_owners(app: Flask) -> None:
    owners = set()
    for client in (app.test_client(), app.test_client()):
        client.get("/")
        owners.add(owner(client))
    assert len(owners) == 2


def test_who_opens_the_page_is_expected_to_run_something(app: Flask, executor: FakeExecutor) -> None:
    client = app.test_client()
    client.get("/")
    client.get("/")
    assert executor.expected == [owner(client)] * 2
    client.get("/config")
    assert len(executor.expected) == 2


def test_the_cookie_is_secure_under_https(app: Flask) -> None:
    secure = app.test_client().get("/", base_url="https://localhost", headers={"Host": "localhost"})
    assert "Secure" in secure.headers["Set-Cookie"]
    assert "Secure" not in app.test_client().get("/").headers["Set-Cookie"]


@given(st.text(st.characters(codec="utf-8")), st.booleans())
@hypothesis_settings(deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_forged_cookie_is_nobodys_and_a_garbled_key_is_refused(app: Flask, text: str, named: bool) -> None:
    name = app.extensions["callers"].cookies.name
    text = text.replace("\r", "").replace("\n", "").encode().decode("latin-1")
    client = app.test_client()
    assert owner(client, headers={"Cookie": f"{name}={text}" if named else text}) == ""
    assert client.get("/me", headers={"Authorization": text}).status_code == 401
    assert client.get("/me", headers={"Authorization": f"Bearer {text}"}).status_code == 401
    assert client.get("/", headers={"Authorization": text, "Cookie": f"{name}={text}"}).status_code == 200


def test_servers_that_share_database_and_secret_know_each_others_keys_and_cookies(make: Make, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    one, other = (make(database_url=url, cookie_secret="x" * 32) for _ in range(2))
    browser = one.test_client()
    browser.get("/")
    cookie = browser.get_cookie(one.extensions["callers"].cookies.name)
    assert cookie is not None
    second = other.test_client()
    second.set_cookie(cookie.key, cookie.value)
    assert owner(second) == owner(browser)
    assert owner(second, headers=bearer(keys_of(one).add("ada"))) == "key:ada"


FRIEND = "http://localhost:8080"


@pytest.mark.parametrize("site", ["same-site", None])
def test_a_page_of_an_allowed_origin_has_nobodys_cookie(make: Make, executor: FakeExecutor, site: str | None) -> None:
    """Browsers send our cookie from every port of localhost, and with requests that need no preflight."""
    app = make(allowed_origins=FRIEND)
    client = app.test_client()
    client.post("/sign-in", json={"key": keys_of(app).add("ada", is_operator=True)})
    friend = {"Origin": FRIEND} | ({"Sec-Fetch-Site": site} if site else {})
    assert owner(client, headers=friend) == ""
    client.post("/run", json=CODE, headers=friend)
    assert executor.requests[0].caller.owner == ""
    for method, path in (("POST", "/sign-out"), ("GET", "/")):
        answer = client.open(path, method=method, headers=friend)
        assert answer.status_code == 200 and not answer.headers.getlist("Set-Cookie")
    assert owner(client) == "key:ada"
    assert owner(client, headers=friend | bearer(keys_of(app).add("bob"))) == "key:bob"


def test_our_page_behind_a_proxy_that_is_not_named_keeps_its_cookie(make: Make) -> None:
    client = make(allowed_origins="https://localhost").test_client()
    client.get("/")
    headers = {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"}
    assert owner(client, headers=headers) == owner(client) != ""


# --- Signing in and out ---------------------------------------------------------------------------------------


def test_a_key_is_traded_for_a_cookie_and_back(app: Flask) -> None:
    client = app.test_client()
    client.get("/")
    page = owner(client)
    key = keys_of(app).add("ada", is_operator=True)
    signed_in = client.post("/sign-in", json={"key": key})
    assert signed_in.get_json() == client.get("/me").get_json()
    assert signed_in.get_json() | {"owner": "key:ada", "is_operator": True} == signed_in.get_json()
    assert key not in signed_in.headers["Set-Cookie"]
    signed_out = client.post("/sign-out").get_json()
    assert signed_out == client.get("/me").get_json()
    assert signed_out["owner"].startswith("page:") and signed_out["owner"] != page


def test_signing_out_without_having_signed_in_keeps_the_page_who_it_is(app: Flask) -> None:
    client = app.test_client()
    client.get("/")
    before = owner(client)
    assert client.post("/sign-out").get_json()["owner"] == before == owner(client)


@pytest.mark.parametrize("key", ["", "x", "sce_" + "a" * 32, "é" * 300])
def test_a_wrong_key_signs_nobody_in(app: Flask, key: str) -> None:
    client = app.test_client()
    client.get("/")
    before = owner(client)
    response = client.post("/sign-in", json={"key": key})
    assert refusal(response) == (401, "wrong_key", CHALLENGE)
    assert owner(client) == before


@pytest.mark.parametrize(
    ("body", "status"), [({}, 400), ({"key": 1}, 400), ({"key": "x", "a": 1}, 400), ({"key": "x" * 5000}, 413)]
)
def test_what_is_no_key_is_refused_by_its_form(app: Flask, body: Any, status: int) -> None:
    assert app.test_client().post("/sign-in", json=body).status_code == status


def test_the_cookie_of_a_key_dies_with_it(app: Flask, executor: FakeExecutor) -> None:
    """Also when there is a new key of the same name. What runs then is not shown to everybody, but a page's own."""
    client, keys = app.test_client(), keys_of(app)
    client.post("/sign-in", json={"key": keys.add("ada")})
    keys.revoke("ada")
    keys.add("ada")
    response = client.post("/run", json=CODE)
    assert response.headers["Set-Cookie"]
    assert executor.requests[0].caller.owner == owner(client)
    assert owner(client).startswith("page:")


def test_a_cookie_of_a_key_waits_for_the_database(make: Make) -> None:
    app = make()
    client = app.test_client()
    client.post("/sign-in", json={"key": keys_of(app).add("ada")})
    name = app.extensions["callers"].cookies.name
    cookie = client.get_cookie(name)
    assert cookie is not None
    broken = make(database_url="postgresql+psycopg://nobody@localhost:1/nothing").test_client()
    broken.set_cookie(name, cookie.value)
    assert broken.post("/run", json=CODE).get_json()["code"] == "keys_unavailable"
    page = broken.get("/")
    assert page.status_code == 200 and not page.headers.getlist("Set-Cookie")
    assert broken.post("/sign-out").status_code == 200


# --- Where a key is needed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_without_a_key_nothing_can_be_used(closed: Flask, executor: FakeExecutor, method: str, path: str) -> None:
    response = closed.test_client().open(path, method=method, json=CODE)
    assert refusal(response) == (401, "key_required", CHALLENGE)
    assert executor.requests == []


@pytest.mark.parametrize("path", FOR_ALL)
def test_what_says_how_to_get_in_is_for_everybody(closed: Flask, path: str) -> None:
    assert closed.test_client().get(path).status_code == 200


def test_a_route_that_says_nothing_is_protected(closed: Flask) -> None:
    closed.get("/new")(lambda: "secret")
    assert refusal(closed.test_client().get("/new")) == (401, "key_required", CHALLENGE)


def test_a_pages_own_cookie_is_no_key(make: Make) -> None:
    app = make()
    client = app.test_client()
    client.get("/")
    assert owner(client).startswith("page:")
    name = app.extensions["callers"].cookies.name
    cookie = client.get_cookie(name)
    assert cookie is not None
    closed = make(require_key=True).test_client()
    closed.set_cookie(name, cookie.value)
    assert closed.get("/history").get_json()["code"] == "key_required"
    assert closed.get("/me").get_json() | {"owner": "", "key_required": True} == closed.get("/me").get_json()


def test_a_cookie_made_from_a_key_is_one_until_it_is_revoked(closed: Flask) -> None:
    client, keys = closed.test_client(), keys_of(closed)
    assert not client.get("/").headers.getlist("Set-Cookie")
    client.post("/sign-in", json={"key": keys.add("ada")})
    assert client.post("/run", json=CODE).status_code == 200
    keys.revoke("ada")
    assert refusal(client.post("/run", json=CODE)) == (401, "key_required", CHALLENGE)
    assert client.get("/").status_code == 200


def test_signing_out_takes_the_cookie_away(closed: Flask) -> None:
    client = closed.test_client()
    client.post("/sign-in", json={"key": keys_of(closed).add("ada")})
    assert client.post("/sign-out").get_json()["owner"] == ""
    assert client.get_cookie(closed.extensions["callers"].cookies.name) is None


@pytest.mark.parametrize(("is_operator", "sees"), [(False, False), (True, True)])
def test_what_nobody_ran_is_then_the_operators_only(
    closed: Flask, executor: FakeExecutor, is_operator: bool, sees: bool
) -> None:
    key = keys_of(closed).add("ada", is_operator=is_operator)
    closed.test_client().post("/run", json=CODE, headers=bearer(key))
    assert executor.requests[0].caller.sees_nobodys is sees


def test_preflights_and_unknown_addresses_are_answered_as_ever(closed: Flask) -> None:
    client = closed.test_client()
    assert client.options("/run").status_code == 200
    assert client.get("/nowhere").status_code == 404
    assert client.get("/run").status_code == 405
