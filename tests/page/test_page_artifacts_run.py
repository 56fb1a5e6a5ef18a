"""The page in a real browser, over a real engine: files that go in, and files that come out."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.page.support import badge, history_items, open_page, run, write

PICTURE = """\
import struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = b"".join(b"\\0" + b"".join(bytes((x * 2, y * 2, {blue})) for x in range({side})) for y in range({side}))
with open("plot.png", "wb") as file:
    file.write(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", {side}, {side}, 8, 2, 0, 0, 0))
               + chunk(b"IDAT", zlib.compress(rows, {level})) + chunk(b"IEND", b""))
print("drawn")
"""
SHOWN = "image => image.decode().then(() => image.naturalWidth)"


def test_a_picture_that_a_program_saves_is_shown_and_still_is_in_the_history(page: Page) -> None:
    run(page, PICTURE.format(side=100, blue=99, level=9))
    expect(page.locator("#output")).to_have_text("drawn\n")
    picture = page.locator("#artifacts img")
    expect(picture).to_have_attribute("alt", "plot.png")
    assert picture.evaluate(SHOWN) == 100
    write(page, "another")
    open_page(page, page.url)
    history_items(page).first.locator(".open").click()
    assert page.locator("#artifacts img").evaluate(SHOWN) == 100
    with page.expect_download() as download:
        page.get_by_label("Download plot.png", exact=True).click()
    assert download.value.suggested_filename == "plot.png"
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_a_picture_too_large_to_come_with_the_result_is_fetched(page: Page) -> None:
    run(page, "import os\nos.makedirs('out')\nopen('out/big.svg', 'w').write('<svg xmlns=\"http://www.w3.org/2000/svg\""
        " width=\"60\" height=\"60\"><circle r=\"50\"/>' + ' ' * 2_000_000 + '</svg>')")  # fmt: skip
    picture = page.locator("#artifacts img")
    expect(picture).to_have_attribute("src", re.compile("^/runs/[0-9a-f]{16}/artifacts/0$"))
    assert picture.evaluate(SHOWN) == 60


def test_files_come_from_a_program_that_was_stopped_and_from_an_archive(page: Page) -> None:
    run(page, "open('early.txt', 'w').write('1')\nwhile True: pass")
    expect(badge(page)).to_have_text("Timed out")
    expect(page.locator("#artifacts .name")).to_have_text("early.txt")
    run(page, "import os\nos.symlink('/etc/passwd', 'link')")
    expect(page.locator("#artifacts")).to_contain_text("link left out: a link")
