"""Helpers for the tests of the page: the guard that every page has, and what people do on it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    FilePayload,
    Locator,
    Page,
    Request,
    Route,
    WebError,
    expect,
)

from sandbox.settings import load
from sandbox.store.database import Database, url_of
from sandbox.store.keys import Keys

ARTIFACTS = Path(__file__).resolve().parent.parent / "artifacts"
"""Where the tests leave their photographs."""

MARKUP = "<img src=x onerror=alert(1)><b id=broken>"
"""Must stay text wherever it is shown."""


class Guard:
    """Watches a context. `refusals` are paths whose error answers a test has asked for."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.origin = origin
        self.refusals: set[str] = set()
        self.problems: list[str] = []
        self.context = context
        context.on("console", self._hear)
        context.on("weberror", self._catch)
        context.on("request", self._see)

    def leave(self) -> None:
        """See nothing of what comes after."""
        self.context.remove_listener("console", self._hear)
        self.context.remove_listener("weberror", self._catch)
        self.context.remove_listener("request", self._see)

    def _catch(self, problem: WebError) -> None:
        self.problems.append(f"uncaught: {problem.error}")

    def _hear(self, message: ConsoleMessage) -> None:
        path = urlsplit(message.location.get("url", "")).path
        if message.type in ("error", "warning") and path not in self.refusals:
            self.problems.append(f"console {message.type}: {message.text} ({path})")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.origin + "/", f"blob:{self.origin}/")):
            self.problems.append(f"request to elsewhere: {request.url}")


def refuse(page: Page, guard: Guard, path: str, status: int, body: dict[str, str], **headers: str) -> None:
    """From now on that route answers so."""
    guard.refusals.add(path)

    def answer(route: Route) -> None:
        route.fulfill(status=status, json=body, headers=headers)

    page.route(f"**{path}", answer)


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("body")).to_have_attribute("data-ready", "true")


def write(page: Page, code: str, language: str = "python") -> None:
    page.select_option("#language", language)
    page.fill("#code", code)


def run(page: Page, code: str, language: str = "python") -> None:
    """Run `code` to its end."""
    write(page, code, language)
    page.click("#run")
    ended(page)


def ended(page: Page) -> None:
    expect(page.locator("#run-label")).to_have_text("Run", timeout=20_000)


def archive(files: dict[str, str]) -> FilePayload:
    """A ZIP as Playwright uploads it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(name, text)
    return {"name": "project.zip", "mimeType": "application/zip", "buffer": buffer.getvalue()}


def badge(page: Page) -> Locator:
    return page.locator("#badge")


def history_items(page: Page) -> Locator:
    return page.locator("#history-list .run-item")


def keys_of(data_dir: Path) -> Keys:
    """The keys of the server with that data folder."""
    return Keys(Database(url_of(load(data_dir=data_dir))))


def sign_in(page: Page, key: str) -> None:
    page.get_by_role("button", name="Sign in").click()
    give(page, key)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def give(page: Page, key: str) -> None:
    """Answer the question for a key."""
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()


def codes(page: Page) -> list[str]:
    """The first lines of the past runs that are listed, newest first."""
    return history_items(page).locator(".what").all_text_contents()
