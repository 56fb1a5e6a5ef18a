"""What people do with the files of a program, for the tests of the page."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import FilePayload, Locator, Page

from tests import zips
from tests.page.staged import Stage

PROJECT = {"main.py": "import lib.words", "lib/words.py": "word = 'hi'", "data.bin": b"\x00\xff\x00"}


def tabs(page: Page) -> Locator:
    return page.get_by_role("tablist", name="Files").get_by_role("tab")


def names(page: Page) -> Locator:
    return tabs(page).locator(".name")


def add(page: Page, path: str, text: str = "") -> None:
    page.get_by_role("button", name="Add a file").click()
    page.get_by_role("dialog").get_by_label("Name").fill(path)
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    page.fill("#code", text)


def choose(page: Page, path: str) -> None:
    tabs(page).and_(page.locator(f"[data-path='{path}']")).click()


def ask(page: Page) -> Locator:
    """The dialog about the file that is shown."""
    page.get_by_role("button", name="Rename, delete or start").click()
    return page.get_by_role("dialog")


def zip_of(files: dict[str, Any]) -> FilePayload:
    return {"name": "project.zip", "mimeType": "application/zip", "buffer": zips.zip_of(files)}


def open_zip(page: Page, payload: FilePayload) -> None:
    page.set_input_files("#add-files-input", files=[payload])


def sent(stage: Stage) -> dict[str, Any]:
    """What Run sends."""
    stage.will()
    stage.run()
    return stage.asked[-1]
