"""The page in a real browser: output as a terminal would show it, followed to its end; errors where they say why."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page.support import badge, ended, run, write

NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 800}
COUNTING = (
    "import time\nfor i in range({lines}):\n    print(i, {more})\n    if i % 40 == 39:\n        time.sleep({pause})"
)

WHERE = """(box, wanted) => {
    const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    const { top, bottom } = box.getBoundingClientRect();
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
        const start = text.data.lastIndexOf(wanted);
        if (start < 0) continue;
        const range = document.createRange();
        range.setStart(text, start);
        range.setEnd(text, start + 1);
        const letter = range.getBoundingClientRect();
        return [letter.top - top, bottom - letter.bottom];
    }
}"""
"""How many pixels below the panel's top, and above its bottom, a text begins."""


def shows(panel: Locator, wanted: str) -> bool:
    above, below = panel.evaluate(WHERE, wanted)
    return bool(above >= 0 and below >= 0)


@pytest.fixture(autouse=True)
def sizes(page: Page) -> None:
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


# --- Following --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wraps", [False, True], ids=["unwrapped", "wrapped"])
@pytest.mark.parametrize("more", ["''", "'word ' * (i % 50)"], ids=["short", "long"])
def test_output_is_followed_to_its_end(page: Page, wraps: bool, more: str) -> None:
    if wraps:
        page.click("#wrap")
    run(page, COUNTING.format(lines=4000, more=more, pause=0.005))
    page.wait_for_timeout(500)
    assert shows(page.locator("#output"), "\n3999 ")


def test_a_reader_who_has_scrolled_up_stays_there_until_the_end_is_scrolled_to_again(page: Page) -> None:
    panel = page.locator("#output")
    write(page, COUNTING.format(lines=10**6, more="''", pause=0.05))
    page.click("#run")
    expect(panel).to_contain_text("\n400 ")
    panel.hover()
    page.mouse.wheel(0, -50)
    page.wait_for_timeout(300)
    place = panel.evaluate("box => box.scrollTop")
    length = len(panel.inner_text())
    page.wait_for_timeout(500)
    assert len(panel.inner_text()) > length
    assert panel.evaluate("box => box.scrollTop") == place
    panel.evaluate("box => box.scrollTo(0, box.scrollHeight)")
    page.wait_for_timeout(500)
    page.click("#run")
    ended(page)
    page.wait_for_timeout(200)
    assert panel.evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight") <= 1


# --- As on a terminal -------------------------------------------------------------------------------------

TERMINAL = {
    "a bar of progress": (r"for i in range(101): print(f'\r{i} %', end='', flush=True)", "100 %"),
    "what is longer stays": (r"print('abcdef\rXY')", "XYcdef\n"),
    "backspaces": (r"print('abc\b\bX', end='\b!\n')", "a!c\n"),
    "line ends of Windows": (r"print('one\r\ntwo\r\n', end='')", "one\ntwo\n"),
    "erased": (r"print('downloading\r\x1b[Kdone', 'x\x1b[2K\x1b[1Ggone')", "gone  \n"),
    "pieces": (
        r"""
import os, time
for piece in (b'one\r', b'\ntwo 10 %', b'\rtwo 20 %\x1b', b'[K\x1b[3', b'1m!\n', b'red\x1b[0', b'm'):
    os.write(1, piece)
    time.sleep(0.15)
""",
        "one\ntwo 20 %!\nred",
    ),
    "codes of all kinds": (
        r"print('\x1b]0;title\x07\x1b[?25l\x1b(Ba\x1b[>4;2m\x1b[1 qb\x1bPq#\x1b\\\x1b7c\x1b=\x1b[5Ad\x1b')",
        "abcd\n",
    ),
}


@pytest.mark.parametrize(("code", "shown"), TERMINAL.values(), ids=TERMINAL)
def test_a_line_is_written_as_on_a_terminal(page: Page, code: str, shown: str) -> None:
    run(page, code)
    assert page.locator("#output").text_content() == shown


def test_what_overwrites_has_its_own_colour_and_colours_last_over_lines_and_pieces(page: Page) -> None:
    run(page, "import os, time\nos.write(1, b'\\x1b[31m####\\r\\x1b[32m##\\x1b[34m\\nblue')\ntime.sleep(0.3)\n"
        "os.write(1, b' still\\x1b[0m not')")  # fmt: skip
    assert page.locator("#output").text_content() == "####\nblue still not"
    expect(page.locator("#output .ansi-green-fg")).to_have_text("##")
    expect(page.locator("#output .ansi-red-fg")).to_have_text("##")
    assert "".join(page.locator("#output .ansi-blue-fg").all_text_contents()) == "blue still"


def test_progress_on_stderr_in_the_combined_view_overwrites_and_is_told_apart(page: Page) -> None:
    page.click("#view-combined")
    run(page, "import os, time\nfor fd, text in ((1, b'begin\\n'), (2, b'10 %'), (2, b'\\r20 %'), (1, b'\\nend\\n')):\n"
        "    os.write(fd, text)\n    time.sleep(0.2)")  # fmt: skip
    assert page.locator("#combined").text_content() == "begin\n20 %\nend\n"
    expect(page.locator("#combined .e")).to_have_text("20 %")


def test_markup_that_overwrites_stays_text(page: Page) -> None:
    run(page, r"print('12345\r<b id=broken>\r<i>')")
    assert page.locator("#output").text_content() == "<i>id=broken>\n"
    assert page.locator("#broken").count() == 0


COLOURED = r"""
import sys
for i in range(2000):
    print(f'\x1b[32m{i}\x1b[0m plain', end='\r\n')
print('\r10 %\r20 %\x1b[K')
sys.stdout.flush()
1 / 0
"""


def copied(page: Page) -> str:
    text = page.evaluate("navigator.clipboard.readText()")
    return str(text)


def test_copied_output_is_what_is_shown_without_codes(page: Page) -> None:
    lines = "".join(f"{i} plain\n" for i in range(2000)) + "20 %\n"
    run(page, COLOURED)
    page.click("#copy")
    expect(page.locator("#toast")).to_contain_text("Output copied")
    assert copied(page).startswith(lines + "Traceback")
    assert copied(page).endswith("ZeroDivisionError: division by zero\n")
    for panel, text in (("#output", lines), ("#error", page.locator("#error").text_content())):
        page.evaluate("id => getSelection().selectAllChildren(document.querySelector(id))", panel)
        page.keyboard.press("Control+c")
        assert copied(page).rstrip("\n") == (text or "").rstrip("\n")


def test_a_saved_file_has_what_the_program_wrote(page: Page) -> None:
    run(page, r"print('a\r\n\x1b[1mb', end='')")
    with page.expect_download() as saved:
        page.click("#download")
    assert saved.value.path().read_bytes() == b"a\r\n\x1b[1mb"


# --- Errors of Node.js ------------------------------------------------------------------------------------

NODE_ERRORS = {
    "a module that is missing": ('\nconst _ = require("lodash");', "Error: Cannot find module 'lodash'", 2),
    "an assertion": ('const a = require("assert");\n\na.equal(1, 2);', "AssertionError [ERR_ASSERTION]: 1 == 2", 3),
    "thrown": ('function f() {\n  throw new Error("boom");\n}\nf();', "Error: boom", 2),
    "thrown text": ('// one\nthrow "only text";', "only text\n", 2),
    "rejected": ('async function f() {\n  throw new TypeError("late");\n}\nf();', "TypeError: late", 2),
    "no program": ("let a = 1;\nlet b = ;", "SyntaxError: Unexpected token ';'", 2),
    "in the library": ('\n\nJSON.parse("{bad");', "SyntaxError: Expected property name", 3),
    "after one that was caught": (
        "try {\n  null.x;\n} catch (e) {\n  console.error(e);\n}\nmissing();",
        "ReferenceError: missing is not defined",
        6,
    ),
    "printed by the program": (
        "try {\n  null.x;\n} catch (e) {\n  console.error(e);\n  process.exit(1);\n}",
        "TypeError: Cannot read properties of null",
        2,
    ),
    "below much else": (
        'for (let i = 0; i < 99; i++) console.error("before", i);\n'
        "const deep = (n) => (n ? deep(n - 1) : null.x);\ndeep(9);",
        "TypeError: Cannot read properties of null",
        2,
    ),
    "a line of thousands of letters": (f'throw new Error("far"); // {"long " * 800}', "Error: far", 1),
}  # fmt: skip


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize(("code", "message", "line"), NODE_ERRORS.values(), ids=NODE_ERRORS)
def test_an_error_of_node_shows_its_message_and_marks_the_line(
    page: Page, size: dict[str, int], code: str, message: str, line: int
) -> None:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    if size is NARROW:
        page.click("#wrap")
        expect(page.locator("#wrap")).to_have_attribute("aria-pressed", "true")
    run(page, code, "node")
    expect(badge(page)).to_have_text("Exit 1")
    assert shows(page.locator("#error"), message)
    expect(page.locator(f".pce-wrapper > :nth-child({line + 1})")).to_have_class(re.compile("failed"))


def test_the_message_of_node_comes_first_also_in_the_combined_view(page: Page) -> None:
    page.click("#view-combined")
    run(page, 'for (let i = 0; i < 99; i++) console.log("before", i);\nrequire("lodash");', "node")
    assert shows(page.locator("#combined"), "Error: Cannot find module")
