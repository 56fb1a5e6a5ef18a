"""The page in a real browser: the tabs of a program's files, and what becomes of them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.fakes import row
from tests.page.files import PROJECT, add, ask, choose, names, open_zip, sent, tabs, zip_of
from tests.page.staged import Stage
from tests.page.support import MARKUP, open_page, write

# --- One file ---------------------------------------------------------------------------------------------


def test_whoever_has_one_file_sees_no_tabs_and_sends_code(stage: Stage) -> None:
    expect(stage.page.get_by_role("tablist", name="Files")).to_be_hidden()
    expect(stage.page.get_by_role("button", name="Rename, delete or start")).to_be_hidden()
    expect(stage.page.get_by_role("button", name="Add a file")).to_have_text("+")
    write(stage.page, "print(1)")
    assert sent(stage) == {"code": "print(1)", "language": "python", "args": [], "stdin": "", "artifacts": ["**"]}


# --- Tabs -------------------------------------------------------------------------------------------------


def test_an_added_file_is_a_tab_and_is_sent_with_the_entry(stage: Stage) -> None:
    page = stage.page
    write(page, "import helper")
    page.get_by_role("button", name="Add a file").click()
    expect(page.get_by_role("dialog").get_by_label("Name")).to_have_value("helper.py")
    page.keyboard.press("Enter")
    expect(names(page)).to_have_text(["main.py", "helper.py"])
    expect(page.locator("#code")).to_be_focused()
    page.keyboard.type("x = 1")
    choose(page, "main.py")
    assert page.input_value("#code") == "import helper"
    choose(page, "helper.py")
    assert page.input_value("#code") == "x = 1"
    asked = sent(stage)
    assert (asked["files"], asked["entry"]) == ({"main.py": "import helper", "helper.py": "x = 1"}, "main.py")
    assert "code" not in asked


def test_tabs_say_what_they_are_to_a_screen_reader(stage: Stage) -> None:
    page = stage.page
    add(page, "helper.py")
    expect(page.get_by_role("tab", name="main.py, runs first", selected=False)).to_have_count(1)
    expect(page.get_by_role("tab", name="helper.py", exact=True, selected=True)).to_have_count(1)
    expect(page.get_by_role("tabpanel", name="helper.py", exact=True).get_by_label("Code", exact=True)).to_be_visible()


def test_tabs_are_used_with_the_keyboard_alone(stage: Stage) -> None:
    page = stage.page
    add(page, "b.py", "b")
    add(page, "c.py", "c")
    tabs(page).last.focus()
    for key, path in {"ArrowRight": "main.py", "ArrowLeft": "c.py", "Home": "main.py", "End": "c.py"}.items():
        page.keyboard.press(key)
        expect(page.locator("[role=tab]:focus")).to_have_attribute("data-path", path)
        expect(page.locator("#file-tabs [aria-selected=true]")).to_have_attribute("data-path", path)
    page.keyboard.press("F2")
    page.keyboard.type("d.py")
    page.keyboard.press("Enter")
    expect(names(page)).to_have_text(["main.py", "b.py", "d.py"])
    tabs(page).last.focus()
    page.keyboard.press("Delete")
    expect(names(page)).to_have_text(["main.py", "b.py"])
    page.get_by_role("button", name="Undo").click()
    expect(names(page)).to_have_text(["main.py", "b.py", "d.py"])
    assert page.input_value("#code") == "c"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "needs a name"),
        ("main.py", "a file main.py already"),
        ("../up.py", "from the program's folder"),
        ("/abs.py", "from the program's folder"),
        ("a\\b.py", "neither backslashes"),
        ("main.py/x.py", "main.py is in the way"),
        ("x" * 300, "No part of a name"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused_at_once(stage: Stage, path: str, problem: str) -> None:
    page = stage.page
    page.get_by_role("button", name="Add a file").click()
    page.get_by_role("dialog").get_by_label("Name").fill(path)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(problem)
    page.keyboard.press("Escape")
    expect(tabs(page)).to_have_count(0)


def test_each_file_has_the_colours_of_its_language(stage: Stage) -> None:
    page = stage.page
    add(page, "tool.js", "const x = 1")
    expect(page.locator(".token.keyword")).to_have_text("const")
    add(page, "notes.txt", "if const def")
    expect(page.locator(".token")).to_have_count(0)


def test_a_file_is_shown_where_it_was_left(stage: Stage) -> None:
    page = stage.page
    write(page, "line\n" * 300)
    add(page, "b.py", "b")
    choose(page, "main.py")
    page.focus("#code")
    page.keyboard.press("Control+End")
    page.wait_for_timeout(100)
    top = page.locator(".prism-code-editor").evaluate("box => box.scrollTop")
    assert top > 1000
    choose(page, "b.py")
    choose(page, "main.py")
    assert page.locator(".prism-code-editor").evaluate("box => box.scrollTop") == top
    assert page.locator("#code").evaluate("box => box.selectionStart") == 1500


def test_a_project_may_be_longer_than_a_single_file(stage: Stage) -> None:
    page = stage.page
    write(page, "#" * 6000)
    page.click("#run")
    expect(page.locator("#notice")).to_contain_text("the limit is 5000. Shorten it, or make it two files with +.")
    add(page, "b.py")
    choose(page, "main.py")
    expect(page.locator("#counter")).to_have_text("6,000 characters")
    expect(page.locator("#counter")).not_to_have_class("over")
    assert len(sent(stage)["files"]["main.py"]) == 6000


def test_markup_in_names_of_tabs_stays_text(stage: Stage) -> None:
    add(stage.page, f"{MARKUP}.py")
    expect(names(stage.page).last).to_have_text(f"{MARKUP}.py")
    assert stage.page.locator("#broken, main img").count() == 0


# --- Kept -------------------------------------------------------------------------------------------------


def test_each_language_keeps_its_files_over_a_reload(stage: Stage) -> None:
    page = stage.page
    open_zip(page, zip_of(PROJECT))
    choose(page, "lib/words.py")
    page.fill("#code", "word = 'changed'")
    page.select_option("#language", "node")
    expect(tabs(page)).to_have_count(0)
    page.select_option("#language", "python")
    open_page(page, page.url)
    expect(names(page)).to_have_text(list(PROJECT))
    expect(page.get_by_role("tab", name="lib/words.py", selected=True)).to_have_count(1)
    assert page.input_value("#code") == "word = 'changed'"
    ask(page).get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Clear", exact=True).click()
    open_page(page, page.url)
    expect(tabs(page)).to_have_count(0)


def test_line_ends_stay_until_a_file_is_edited(stage: Stage) -> None:
    page = stage.page
    open_zip(page, zip_of({"main.py": "1", "a.csv": "1\r\n2\r\n"}))
    choose(page, "a.csv")
    choose(page, "main.py")
    assert sent(stage)["files"]["a.csv"] == "1\r\n2\r\n"


def test_a_project_that_the_browser_cannot_keep_is_said_to_be_lost_on_a_reload(stage: Stage) -> None:
    page = stage.page
    open_zip(page, zip_of({"main.py": "1", "large.txt": "x" * 6_000_000}))
    expect(page.locator("#toast")).to_contain_text("a reload would lose it. Download it as a ZIP.")


def test_a_past_run_of_files_shows_its_result_and_leaves_the_editor_alone(stage: Stage) -> None:
    page = stage.page
    past = row("0123456789abcdef", kind="files", code="", entry="main.py", output="from before\n")
    page.route("**/history**", lambda route: route.fulfill(
        json=past if route.request.url.endswith("ef") else {"history": [past], "next": None}
    ))  # fmt: skip
    open_page(page, page.url)
    write(page, "mine")
    expect(page.locator("#history-list .what")).to_have_text("main.py")
    expect(page.locator("#history-list").get_by_role("button", name="Run again")).to_have_count(0)
    page.locator("#history-list .open").click()
    expect(page.locator("#output")).to_have_text("from before\n")
    expect(page.locator("#toast")).to_have_text("This is its result. The history does not keep the files of a program.")
    assert page.input_value("#code") == "mine"


# --- Where ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (640, 400), (390, 844), (320, 640)])
def test_many_files_with_long_names_fit_every_window(stage: Stage, width: int, height: int) -> None:
    page = stage.page
    page.set_viewport_size({"width": width, "height": height})
    open_zip(page, zip_of({"main.py": "1"} | {f"{'long' * 12}/file{number}.py": "" for number in range(40)}))
    expect(names(page)).to_have_count(41)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    tabs(page).first.focus()
    page.keyboard.press("End")
    expect(tabs(page).last).to_be_in_viewport(ratio=0.9)
    for button in ("Add a file", "Rename, delete or start"):
        page.get_by_role("button", name=button).click()
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        box = page.get_by_role("dialog").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
        page.keyboard.press("Escape")
    box = page.locator("#editor").bounding_box()
    assert box and box["height"] >= 120
