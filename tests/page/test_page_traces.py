"""The page in a real browser: errors lead to the file and the line that they are about."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page.conftest import Visit
from tests.page.staged import Stage
from tests.page.support import archive, write

PYTHON_FILES = {"main.py": "import lib.words\n", "lib/words.py": "x = 1\n1 / 0\n", "words.py": ""}
PYTHON_ERROR = """\
Traceback (most recent call last):
  File "/app/main.py", line 1, in <module>
    import lib.words
  File "/app/lib/words.py", line 2, in <module>
    1 / 0
ZeroDivisionError: division by zero
"""
NODE_FILES = {
    "index.js": 'require("./lib/b.js").f();\n',
    "lib/b.js": 'exports.f = () => {\n  throw new Error("x");\n};\n',
}
NODE_ERROR = """\
/app/lib/b.js:2
  throw new Error("x");
  ^

Error: x
    at exports.f (/app/lib/b.js:2:9)
    at Object.<anonymous> (/app/index.js:1:23)
    at Module._compile (node:internal/modules/cjs/loader:1554:14)
"""


def tab(page: Page, path: str) -> Locator:
    return page.locator(f"#file-tabs [data-path='{path}']")


def places(page: Page) -> Locator:
    return page.locator("#error button.line")


def fail(stage: Stage, files: dict[str, str], error: str, language: str = "python") -> None:
    """A program of these files that ends with that error."""
    stage.page.set_input_files("#add-files-input", files=[archive(files)])
    expect(stage.page.locator("#file-tabs [role=tab]")).to_have_count(len(files))
    stage.will(error=error, status="error", exit_code=1, language=language)
    stage.run()


def marked(page: Page, line: int) -> None:
    expect(page.locator(".pce-line.failed")).to_have_count(1)
    expect(page.locator(f".pce-wrapper > :nth-child({line + 1})")).to_have_class(re.compile("failed"))


def at_line(page: Page) -> int:
    """Where the cursor is."""
    before = page.locator("#code").evaluate("box => box.value.slice(0, box.selectionStart)")
    return int(before.count("\n") + 1)


@pytest.mark.parametrize(
    ("files", "error", "language", "inner", "outer", "first"),
    [
        (PYTHON_FILES, PYTHON_ERROR, "python", "lib/words.py", "main.py", "outer"),
        (NODE_FILES, NODE_ERROR, "node", "lib/b.js", "index.js", "inner"),
    ],
    ids=["python", "node"],
)
def test_a_place_of_a_traceback_opens_its_file_at_its_line(
    stage: Stage, files: dict[str, str], error: str, language: str, inner: str, outer: str, first: str
) -> None:
    page = stage.page
    fail(stage, files, error, language)
    expect(tab(page, outer)).to_have_attribute("aria-selected", "true")
    expect(tab(page, inner)).to_have_class("failed")
    expect(page.locator(".pce-line.failed")).to_have_count(0)
    place = places(page).first if first == "inner" else places(page).last
    place.click()
    expect(tab(page, inner)).to_have_attribute("aria-selected", "true")
    marked(page, 2)
    assert at_line(page) == 2
    expect(page.locator(".pce-line.active-line")).to_have_class(re.compile("failed"))
    other = places(page).last if first == "inner" else places(page).first
    other.click()
    expect(tab(page, outer)).to_have_attribute("aria-selected", "true")
    marked(page, 1)


@pytest.mark.parametrize(
    ("width", "height", "has_touch"), [(390, 844, True), (844, 390, True), (640, 400, True), (640, 400, False)]
)
def test_a_place_shows_the_tab_and_the_line_in_every_window(
    visit: Visit, staged_url: str, width: int, height: int, has_touch: bool
) -> None:
    page, _ = visit(staged_url, viewport={"width": width, "height": height}, has_touch=has_touch)
    lines = 200 * "x = 1\n"
    files = {"main.py": lines, **{f"lib/part{number}.py": lines for number in range(20)}}
    error = "".join(f'  File "/app/{path}", line {line}, in f\n' for path in files for line in (2, 150))
    fail(Stage(page), files, error)
    for path, line in (("lib/part19.py", 150), ("lib/part3.py", 2), ("lib/part3.py", 150), ("main.py", 150)):
        page.get_by_role("button", name=f'File "/app/{path}", line {line}', exact=True).click()
        expect(tab(page, path)).to_have_attribute("aria-selected", "true")
        marked(page, line)
        expect(tab(page, path)).to_be_in_viewport(ratio=0.9)
        expect(page.locator(".pce-line.failed")).to_be_in_viewport()
        page.locator("#file-tabs").evaluate("strip => (strip.scrollLeft = 0)")


def test_opening_the_file_that_failed_shows_the_line(stage: Stage) -> None:
    page = stage.page
    fail(stage, PYTHON_FILES, PYTHON_ERROR)
    tab(page, "lib/words.py").click()
    marked(page, 2)
    tab(page, "main.py").click()
    expect(page.locator(".pce-line.failed")).to_have_count(0)
    tab(page, "lib/words.py").click()
    page.fill("#code", "x = 1\n1 / 1\n")
    tab(page, "main.py").click()
    tab(page, "lib/words.py").click()
    expect(page.locator(".pce-line.failed")).to_have_count(0)


def test_only_files_of_the_program_are_led_to(stage: Stage) -> None:
    error = 'File "/app/other.py", line 1\nFile "/usr/lib/main.py", line 2\nFile "/app/main.py", line 1\n'
    fail(stage, PYTHON_FILES, error)
    expect(places(stage.page)).to_have_text(['File "/app/main.py", line 1'])


@pytest.mark.parametrize("path", ["my file (1).py", "a+b[c].py", "größe.py"])
def test_a_file_of_any_name_is_led_to(stage: Stage, path: str) -> None:
    fail(stage, {"main.py": "1", path: "\n\n3"}, f'  File "/app/{path}", line 3, in f\n')
    places(stage.page).click()
    expect(tab(stage.page, path)).to_have_attribute("aria-selected", "true")
    assert at_line(stage.page) == 3


def test_a_file_that_is_gone_is_not_opened(stage: Stage) -> None:
    page = stage.page
    fail(stage, PYTHON_FILES, PYTHON_ERROR)
    tab(page, "lib/words.py").focus()
    tab(page, "lib/words.py").click()
    page.keyboard.press("Delete")
    places(page).last.click()
    expect(page.locator("#toast")).to_contain_text("not in the editor any more")


def test_a_renamed_entry_of_one_file_is_still_led_to(stage: Stage) -> None:
    page = stage.page
    write(page, "\n1 / 0")
    stage.will(error='  File "/app/user_code.py", line 2, in <module>\n', status="error", exit_code=1)
    stage.run()
    marked(page, 2)
    page.get_by_role("button", name="Add a file").click()
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    places(page).click()
    expect(tab(page, "main.py")).to_have_attribute("aria-selected", "true")
    marked(page, 2)


def test_the_next_run_takes_the_mark_away(stage: Stage) -> None:
    fail(stage, PYTHON_FILES, PYTHON_ERROR)
    expect(tab(stage.page, "lib/words.py")).to_have_class("failed")
    stage.will()
    stage.run()
    expect(tab(stage.page, "lib/words.py")).not_to_have_class("failed")
