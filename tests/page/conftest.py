"""A browser for the tests of the page, and a page that must stay clean: no error, no request to elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from sandbox.settings import load
from scripts import browser as browser_program
from tests.fakes import serving
from tests.page.staged import Stage
from tests.page.support import Guard, open_page
from web.routes import service

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP lan.test 127.0.0.1",
]  # fmt: skip
WAIT_MILLISECONDS = 10_000
WIDE: ViewportSize = {"width": 1280, "height": 800}
PERMISSIONS = ["clipboard-read", "clipboard-write"]

Visit = Callable[..., tuple[Page, Guard]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed with its module: while Playwright is open, no other test could use asyncio."""
    path = browser_program.find()
    if path is None:
        pytest.fail("These tests need Chromium: `make browser`.", pytrace=False)
    expect.set_options(timeout=WAIT_MILLISECONDS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One profile for a module: making one takes longer than most tests."""
    made = browser.new_context(viewport=WIDE, permissions=PERMISSIONS)
    made.set_default_timeout(WAIT_MILLISECONDS)
    yield made
    made.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens the page of a server for somebody with a browser of his own, and says what went wrong in it."""
    guards: list[Guard] = []

    def opened(url: str, **options: Any) -> tuple[Page, Guard]:
        context = browser.new_context(**{"viewport": WIDE, "permissions": PERMISSIONS, **options})
        context.set_default_timeout(WAIT_MILLISECONDS)
        guards.append(Guard(context, url))
        page = context.new_page()
        open_page(page, url)
        return page, guards[-1]

    yield opened
    for guard in guards:
        guard.leave()
        guard.context.close()
    assert [problem for guard in guards for problem in guard.problems] == []


@pytest.fixture
def guard(context: BrowserContext, server_url: str) -> Iterator[Guard]:
    watching = Guard(context, server_url)
    yield watching
    watching.leave()
    context.set_offline(False)
    for opened in context.pages:
        opened.close()
    assert watching.problems == []


@pytest.fixture
def page(context: BrowserContext, guard: Guard, server_url: str) -> Page:
    """The page, loaded and ready, with nothing remembered."""
    opened = context.new_page()
    context.new_cdp_session(opened).send(
        "Storage.clearDataForOrigin", {"origin": server_url, "storageTypes": "local_storage"}
    )
    open_page(opened, server_url)
    return opened


ARTIFACTS = {"count": 20, "bytes": 16 << 20, "inline_bytes": 1 << 20}


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `/config` tells the page of `stage`: a test may change it before the page is opened."""
    config = service.page_config(load()) | {"artifacts": ARTIFACTS}
    monkeypatch.setattr(service, "page_config", lambda settings: config)
    monkeypatch.setattr(
        service, "_with_readiness", lambda language, ready: {"ready": True, "add_with": None} | language
    )
    return config


@pytest.fixture
def staged_url(settled: dict[str, Any], tmp_path: Path) -> Iterator[str]:
    with serving(load(data_dir=tmp_path, port=0)) as url:
        yield url


@pytest.fixture
def staged(visit: Visit, staged_url: str) -> Stage:
    """The page of somebody, over a server that answers his runs as the test says."""
    page, _ = visit(staged_url)
    return Stage(page)


@pytest.fixture
def stage(staged: Stage) -> Stage:
    """The same, for tests that change no settings before."""
    return staged
