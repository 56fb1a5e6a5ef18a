"""The page in a real browser: the places that a traceback names lead into the program that ran, and into no other."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.page.support import ended, history_items, run, write

FAILING = "def inner():\n    return 1 / 0\n\ninner()\n"
OTHER = "\n".join(f"value_{n} = {n}" for n in range(10))
GONE = "The program of this line is not in the editor any more."


def marks(page: Page) -> Locator:
    return page.locator(".pce-line.failed")


def place(page: Page) -> Locator:
    return page.locator("#error button.line[data-line='2']")


def line_of_cursor(page: Page) -> int:
    before = page.locator("#code").evaluate("box => box.value.slice(0, box.selectionStart)")
    return int(before.count("\n")) + 1


def test_a_place_in_python_clicked_while_node_is_shown_leads_back_to_python(page: Page) -> None:
    run(page, FAILING)
    write(page, OTHER.replace("value", "let value"), "node")
    place(page).click()
    expect(page.locator("#language")).to_have_value("python")
    assert page.input_value("#code") == FAILING
    expect(marks(page)).to_contain_text("return 1 / 0")
    assert line_of_cursor(page) == 2


def test_a_place_marks_nothing_in_a_program_loaded_since(page: Page) -> None:
    run(page, FAILING)
    page.get_by_role("button", name="Loop", exact=True).click()
    place(page).click()
    expect(page.locator("#toast")).to_have_text(GONE)
    expect(marks(page)).to_have_count(0)
    page.get_by_role("button", name="Node loop", exact=True).click()
    place(page).click()
    expect(page.locator("#toast")).to_have_text(GONE)
    expect(page.locator("#language")).to_have_value("node")
    expect(marks(page)).to_have_count(0)


def test_a_place_is_found_again_when_loading_another_program_is_undone(page: Page) -> None:
    run(page, FAILING)
    page.get_by_role("button", name="Node loop", exact=True).click()
    page.get_by_role("button", name="Undo").click()
    place(page).click()
    expect(marks(page)).to_contain_text("return 1 / 0")


def test_a_place_is_gone_to_while_its_program_is_edited_and_marked_while_its_line_is_the_same(page: Page) -> None:
    run(page, FAILING)
    page.locator("#code").press("Control+End")
    page.keyboard.type("# more")
    place(page).click()
    expect(marks(page)).to_contain_text("return 1 / 0")
    page.keyboard.type("# ")
    place(page).click()
    assert line_of_cursor(page) == 2
    expect(page.locator("#code")).to_be_focused()
    expect(marks(page)).to_have_count(0)


def test_an_error_that_arrives_after_the_language_was_changed_marks_nothing(page: Page) -> None:
    write(page, "import time\ntime.sleep(1); 1 / 0\n")
    page.click("#run")
    write(page, "let a;\nlet b;\n", "node")
    ended(page)
    expect(place(page)).to_be_visible()
    expect(marks(page)).to_have_count(0)


def test_a_place_of_a_past_run_leads_into_the_program_that_came_with_it(page: Page) -> None:
    run(page, FAILING)
    run(page, "console.log(1)", "node")
    history_items(page).nth(1).locator(".open").click()
    expect(marks(page)).to_contain_text("return 1 / 0")
    page.select_option("#language", "node")
    place(page).click()
    expect(page.locator("#language")).to_have_value("python")
    expect(marks(page)).to_contain_text("return 1 / 0")


def test_a_place_leads_from_the_view_of_projects_to_the_program(page: Page) -> None:
    run(page, FAILING)
    page.get_by_role("tab", name="ZIP project").click()
    place(page).click()
    expect(page.locator("#code")).to_be_focused()
    expect(marks(page)).to_contain_text("return 1 / 0")
