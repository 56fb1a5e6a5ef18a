"""What the page costs over the wire: little the first time, one request of its own after that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from sandbox.settings import load
from tests.fakes import serving
from tests.page.support import open_page
from web import assets

BUDGET_BYTES = 60_000


class Wire:
    """What a page loads over the network from now on, as Chromium's network layer counts it."""

    def __init__(self, page: Page) -> None:
        self.bytes: dict[str, float] = {}
        self.encodings: dict[str, str] = {}
        self._urls: dict[str, str] = {}
        session = page.context.new_cdp_session(page)
        session.on("Network.responseReceived", self._receive)
        session.on("Network.loadingFinished", self._finish)
        session.send("Network.enable")

    def _receive(self, event: dict[str, Any]) -> None:
        answer = event["response"]
        if not answer.get("fromDiskCache") and not answer.get("fromPrefetchCache"):
            self._urls[event["requestId"]] = answer["url"]
            self.encodings[answer["url"]] = answer["headers"].get("Content-Encoding", "")

    def _finish(self, event: dict[str, Any]) -> None:
        """Headers count; what came out of the memory cache has no bytes."""
        if event["requestId"] in self._urls and event["encodedDataLength"]:
            self.bytes[self._urls[event["requestId"]]] = event["encodedDataLength"]

    def own_files(self, url: str) -> list[str]:
        return [name for name in self.bytes if name == f"{url}/" or name.startswith(f"{url}/static/")]


@pytest.fixture
def fresh(browser: Browser) -> Iterator[BrowserContext]:
    """A profile that has never been here."""
    context = browser.new_context()
    yield context
    context.close()


def ready(page: Page) -> None:
    expect(page.locator("#service")).to_have_text("Ready")
    expect(page.locator("#history-state")).not_to_have_text("Loading")


def test_the_first_load_takes_at_most_60_kb(fresh: BrowserContext, server_url: str) -> None:
    page = fresh.new_page()
    wire = Wire(page)
    open_page(page, server_url)
    ready(page)
    assert len(wire.own_files(server_url)) <= 6
    assert sum(wire.bytes.values()) <= BUDGET_BYTES, wire.bytes
    assert {wire.encodings[name] for name in wire.own_files(server_url) if wire.bytes[name] > 2000} <= {
        "br", "gzip", "zstd",
    }  # fmt: skip


def test_a_reload_asks_for_the_document_alone(fresh: BrowserContext, server_url: str) -> None:
    page = fresh.new_page()
    open_page(page, server_url)
    ready(page)
    wire = Wire(page)
    page.reload()
    ready(page)
    assert wire.own_files(server_url) == [f"{server_url}/"]


def test_the_page_works_from_its_modules_too(
    fresh: BrowserContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are served when the bundle was made of others."""
    monkeypatch.setattr(assets, "sources_hash", lambda files: "another")
    page = fresh.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda problem: problems.append(str(problem)))
    with serving(load(data_dir=tmp_path, port=0)) as url:
        wire = Wire(page)
        open_page(page, url)
        ready(page)
        page.close()
    assert any(name.endswith("/js/run.js") for name in wire.bytes)
    assert not any("/bundle/" in name for name in wire.bytes)
    assert problems == []


def test_a_link_on_another_site_opens_the_page(fresh: BrowserContext, server_url: str) -> None:
    page = fresh.new_page()
    page.set_content(f"<a href={server_url}/>Run it</a>")
    page.click("a")
    expect(page.locator("body")).to_have_attribute("data-ready", "true")
