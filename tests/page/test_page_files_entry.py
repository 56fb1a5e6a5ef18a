"""The page in a real browser: the file that a program begins with."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.page.files import add, ask, choose, names, sent
from tests.page.staged import Stage


def test_the_entry_is_marked_and_another_file_can_become_it(stage: Stage) -> None:
    page = stage.page
    add(page, "other.py", "2")
    dialog = ask(page)
    dialog.get_by_role("button", name="Start with this file").click()
    expect(page.get_by_role("tab", name="other.py, runs first")).to_have_count(1)
    assert sent(stage)["entry"] == "other.py"
    dialog = ask(page)
    expect(dialog).to_contain_text("The program begins with this file.")
    expect(dialog.get_by_role("button", name="Start with this file")).to_be_disabled()
    dialog.get_by_label("Name").fill("first.py")
    page.keyboard.press("Enter")
    assert sent(stage)["entry"] == "first.py"
    ask(page).get_by_role("button", name="Delete").click()
    expect(page.get_by_role("tablist", name="Files")).to_be_hidden()
    assert "code" in sent(stage)


def test_a_program_that_begins_with_a_file_of_another_language_is_one_of_that(stage: Stage) -> None:
    page = stage.page
    add(page, "tool.js", "1")
    ask(page).get_by_role("button", name="Start with this file").click()
    expect(page.locator("#language")).to_have_value("node")
    asked = sent(stage)
    assert (asked["language"], asked["entry"]) == ("node", "tool.js")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#language")).to_have_value("python")
    expect(names(page)).to_have_text(["main.py", "tool.js"])


def test_an_entry_that_is_renamed_to_another_language_is_run_in_that(stage: Stage) -> None:
    page = stage.page
    add(page, "b.py")
    choose(page, "main.py")
    ask(page).get_by_label("Name").fill("main.js")
    page.keyboard.press("Enter")
    expect(page.locator("#language")).to_have_value("node")
    expect(page.locator("#toast")).to_contain_text("The program is one of Node.js 20 now.")
    expect(names(page)).to_have_text(["main.js", "b.py"])
    asked = sent(stage)
    assert (asked["language"], asked["entry"]) == ("node", "main.js")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#language")).to_have_value("python")
    expect(names(page)).to_have_text(["main.py", "b.py"])


def test_no_entry_gets_a_name_that_the_server_would_refuse(stage: Stage) -> None:
    page = stage.page
    sentence = "A program in Python 3.11 begins with a file whose name ends in .py."
    add(page, "notes.txt")
    choose(page, "main.py")
    dialog = ask(page)
    dialog.get_by_label("Name").fill("main.txt")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text(sentence)
    page.keyboard.press("Escape")
    choose(page, "notes.txt")
    ask(page).get_by_role("button", name="Start with this file").click()
    expect(page.locator("#toast")).to_have_text(sentence)
    assert sent(stage)["entry"] == "main.py"
    ask(page).get_by_label("Name").fill("words.txt")
    page.keyboard.press("Enter")
    expect(names(page)).to_have_text(["main.py", "words.txt"])
