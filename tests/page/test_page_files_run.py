"""The page in a real browser, over a real engine: programs of several files."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests import zips
from tests.page.support import badge, ended, history_items, write

PYTHON: dict[str, str | bytes] = {"main.py": "import lib.words\nprint(lib.words.word, open('data.bin', 'rb').read())",
          "lib/words.py": "word = 'hi'\n", "data.bin": b"\x00\xff"}  # fmt: skip
BROKEN = {
    "python": ({"main.py": "import lib.deep", "lib/deep.py": "\n\n1 / 0\n"}, "lib/deep.py", 3, "ZeroDivisionError"),
    "node": ({"index.js": "require('./lib/deep.js')", "lib/deep.js": "\nnull.x\n"}, "lib/deep.js", 2, "TypeError"),
    "python in a folder": (
        {"a/main.py": "import deep", "a/deep.py": "\n1 / 0", "b/x.py": ""}, "a/deep.py", 2, "ZeroDivisionError",
    ),
}  # fmt: skip


def open_zip(page: Page, files: Mapping[str, str | bytes]) -> None:
    payload = FilePayload(name="p.zip", mimeType="application/zip", buffer=zips.zip_of(files))
    page.set_input_files("#add-files-input", files=[payload])
    expect(page.locator("#file-tabs [role=tab]")).to_have_count(len(files))


def test_a_project_runs_with_all_that_is_in_its_tabs(page: Page) -> None:
    open_zip(page, PYTHON)
    page.click("#run")
    expect(page.locator("#output")).to_have_text("hi b'\\x00\\xff'\n")
    page.locator("#file-tabs [data-path='lib/words.py']").click()
    page.fill("#code", "word = 'changed'")
    page.click("#run")
    expect(page.locator("#output")).to_have_text("changed b'\\x00\\xff'\n")
    expect(history_items(page).first).to_contain_text("main.py")


def test_of_a_project_only_what_is_new_is_shown(page: Page) -> None:
    open_zip(page, {"main.py": "import lib.words\nopen('new.txt', 'w').write('1')", "lib/words.py": "", "a.csv": "1"})
    page.click("#run")
    expect(page.locator("#artifacts")).to_be_visible()
    ended(page)
    expect(page.locator("#artifacts li")).to_have_text(["new.txt1 BDownload"])


def test_a_project_of_more_than_5000_characters_runs(page: Page) -> None:
    open_zip(page, {"main.py": "import b\nprint(b.x)\n" + "#" * 20_000, "b.py": "x = 7\n" + "#" * 20_000})
    page.click("#run")
    expect(page.locator("#output")).to_have_text("7\n")


@pytest.mark.parametrize(("files", "path", "line", "message"), BROKEN.values(), ids=BROKEN)
def test_an_error_in_a_file_of_a_folder_opens_it_there(
    page: Page, files: Mapping[str, str | bytes], path: str, line: int, message: str
) -> None:
    open_zip(page, files)
    page.click("#run")
    ended(page)
    expect(badge(page)).to_have_text("Exit 1")
    expect(page.locator("#error")).to_contain_text(message)
    tab = page.locator(f"#file-tabs [data-path='{path}']")
    expect(tab).to_have_class("failed")
    page.locator(f"#error button.line[data-path='{path}'][data-line='{line}']").first.click()
    expect(tab).to_have_attribute("aria-selected", "true")
    expect(page.locator(f".pce-wrapper > :nth-child({line + 1})")).to_have_class(re.compile("failed"))


def test_a_helper_that_is_added_by_hand_is_imported(page: Page) -> None:
    write(page, "import helper\nprint(helper.x)")
    page.get_by_role("button", name="Add a file").click()
    page.keyboard.press("Enter")
    page.fill("#code", "x = 'from the helper'")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#output")).to_have_text("from the helper\n")
