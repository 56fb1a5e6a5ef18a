"""The page's files: addresses that name their content, kept for ever; and what is compressed."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import brotli
import pytest
from flask.testing import FlaskClient

from sandbox.settings import load
from tests.conftest import ROOT
from tests.fakes import FakeExecutor, FakeHistory, row, web_app
from web.assets import Assets

STATIC = ROOT / "static"


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    history = FakeHistory([row(f"{number:016x}") for number in range(20)])
    client: FlaskClient = web_app(load(data_dir=tmp_path), FakeExecutor(), history).test_client()
    return client


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The folder of the page's files, to be changed."""
    return Path(shutil.copytree(STATIC, tmp_path / "static"))


# --- Addresses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["js/main.js", "css/page.css", "icon.svg", "theme-boot.js"])
def test_a_file_is_kept_for_ever_under_its_address(client: FlaskClient, name: str) -> None:
    response = client.get(Assets(STATIC).url(name))
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("name", ["js/run.js", "css/base.css", "icon.svg"])
def test_another_content_is_another_address(copy: Path, name: str) -> None:
    before = Assets(copy)
    (copy / name).write_text((copy / name).read_text() + " ")
    assert Assets(copy).url("icon.svg") != before.url("icon.svg")


def test_an_address_never_gives_what_it_does_not_name(client: FlaskClient) -> None:
    for address in ("/static/0123456789abcdef/icon.svg", "/static/icon.svg", "/static/js/main.js"):
        response = client.get(address)
        assert (response.status_code, response.headers["Cache-Control"]) == (404, "no-store")


def test_a_file_that_is_changed_under_a_running_server_is_not_served_under_the_old_address(copy: Path) -> None:
    assets = Assets(copy)
    (copy / "icon.svg").write_text("changed")
    response = assets.answer(assets.version, "icon.svg")
    assert response.get_data() == (STATIC / "icon.svg").read_bytes()


@pytest.mark.parametrize("name", ["../app.py", "etc/passwd", "js", "js/none.js", "js/../../app.py"])
def test_nothing_else_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{Assets(STATIC).version}/{name}").status_code == 404


# --- The bundle ---------------------------------------------------------------------------------------------


def test_the_bundle_is_made_of_the_present_files() -> None:
    assert "/bundle/" in Assets(STATIC).url("js/main.js"), "run `npm run bundle`"


@pytest.mark.parametrize("name", ["js/run.js", "css/base.css", "vendor/anser.js"])
def test_a_bundle_of_other_files_is_not_served(copy: Path, name: str) -> None:
    (copy / name).write_text((copy / name).read_text() + " ")
    assets = Assets(copy)
    assert assets.url("js/main.js").endswith(f"{assets.version}/js/main.js")
    assert assets.url("css/page.css").endswith(f"{assets.version}/css/page.css")


# --- Compression --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["br", "gzip", "zstd"])
@pytest.mark.parametrize("path", ["/", "/openapi.json", "/history", "/config"])
def test_pages_and_json_are_compressed(client: FlaskClient, path: str, encoding: str) -> None:
    response = client.get(path, headers={"Accept-Encoding": encoding})
    plain = client.get(path)
    assert response.headers["Content-Encoding"] == encoding
    assert "Accept-Encoding" in response.headers["Vary"]
    assert int(response.headers["Content-Length"]) == len(response.data) < len(plain.data)
    if encoding == "gzip":
        assert gzip.decompress(response.data) == plain.data


@pytest.mark.parametrize("name", ["js/main.js", "css/page.css"])
def test_files_of_the_page_are_compressed_as_far_as_brotli_goes(client: FlaskClient, name: str) -> None:
    address = Assets(STATIC).url(name)
    response = client.get(address, headers={"Accept-Encoding": "gzip, br"})
    plain = client.get(address).data
    assert (response.headers["Content-Encoding"], response.headers["Vary"]) == ("br", "Accept-Encoding")
    assert brotli.decompress(response.data) == plain
    assert len(response.data) <= len(brotli.compress(plain, quality=11))
    for refused in ("identity", ""):
        assert client.get(address, headers={"Accept-Encoding": refused}).data == plain
    assert client.get(address, headers={"Accept-Encoding": "gzip"}).headers["Content-Encoding"] == "gzip"


def test_a_result_with_much_output_is_compressed_and_a_small_one_is_not(client: FlaskClient) -> None:
    for code, encoding in (("x" * 4000, "gzip"), ("x", None)):
        response = client.post("/run", json={"code": code}, headers={"Accept-Encoding": "gzip"})
        assert response.headers.get("Content-Encoding") == encoding


def test_events_are_never_compressed(client: FlaskClient) -> None:
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "br, gzip, zstd"}
    response = client.post("/run", json={"code": "x" * 4000}, headers=headers)
    assert response.content_type.startswith("text/event-stream")
    assert "Content-Encoding" not in response.headers
    assert b"event: result" in response.data


def test_who_does_not_ask_gets_plain_answers(client: FlaskClient) -> None:
    for headers in ({}, {"Accept-Encoding": "identity"}):
        assert "Content-Encoding" not in client.get("/openapi.json", headers=headers).headers
