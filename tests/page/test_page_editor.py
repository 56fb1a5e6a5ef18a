"""The page in a real browser: writing programs, and the examples."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.page.support import badge, ended, open_page, write


def test_there_is_one_labelled_editor_which_also_works_as_a_plain_textarea(page: Page, server_url: str) -> None:
    assert 'textarea id="code"' in page.request.get(server_url).text()
    expect(page.locator("textarea#code")).to_have_count(1)
    expect(page.get_by_label("Code", exact=True)).to_have_id("code")
    expect(page.locator("textarea#code")).to_be_editable()


def test_code_is_coloured_and_numbered_while_it_is_typed(page: Page) -> None:
    page.fill("#code", "")
    page.locator("#code").press_sequentially("def f")
    expect(page.locator(".token.keyword")).to_have_text("def")
    page.keyboard.press("Enter")
    expect(page.locator(".pce-line")).to_have_count(2)


def test_the_editor_indents_closes_brackets_and_comments(page: Page) -> None:
    page.fill("#code", "")
    page.locator("#code").press_sequentially("if x:")
    page.keyboard.press("Enter")
    page.keyboard.type("f(")
    assert page.input_value("#code") == "if x:\n    f()"
    page.keyboard.press("Control+/")
    assert page.input_value("#code") == "if x:\n    # f()"
    page.keyboard.press("Tab")
    assert page.input_value("#code").startswith("if x:\n ")
    expect(page.locator("#code")).to_be_focused()


def test_escape_then_tab_leaves_the_editor(page: Page) -> None:
    page.focus("#code")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.locator("#code")).not_to_be_focused()
    assert page.evaluate("document.activeElement.tagName") in ("SUMMARY", "BUTTON", "SELECT")


def test_clear_empties_the_editor_and_can_be_undone(page: Page) -> None:
    write(page, "precious")
    page.get_by_role("button", name="Clear", exact=True).click()
    assert page.input_value("#code") == ""
    page.get_by_role("button", name="Undo").click()
    assert page.input_value("#code") == "precious"


def test_clear_can_be_undone_from_another_tab(page: Page) -> None:
    write(page, "precious")
    page.get_by_role("button", name="Clear", exact=True).click()
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("button", name="Undo").click()
    assert page.input_value("#code") == "precious"
    expect(page.locator("#counter")).to_contain_text("8 /")
    page.get_by_role("tab", name="ZIP project").click()
    expect(page.locator("#clear")).to_be_hidden()
    open_page(page, page.url)
    assert page.input_value("#code") == "precious"


def test_an_example_can_be_undone(page: Page) -> None:
    write(page, "precious")
    page.click("#inputs summary")
    page.fill("#args", "'open quote")
    page.fill("#stdin", "given")
    page.get_by_role("button", name="Node hello", exact=True).click()
    expect(page.locator("#language")).to_have_value("node")
    expect(page.locator("#stdin")).to_have_value("")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#language")).to_have_value("python")
    assert page.input_value("#code") == "precious"
    expect(page.locator("#args")).to_have_value("'open quote")
    expect(page.locator("#stdin")).to_have_value("given")


def test_the_counter_counts_code_points_as_the_server_does(page: Page) -> None:
    write(page, "#" + "😀" * 4999)
    expect(page.locator("#counter")).to_have_text("5,000 / 5,000 characters")
    page.click("#run")
    expect(badge(page)).to_have_text("Finished")


def test_code_over_the_limit_is_refused_with_what_to_do(page: Page) -> None:
    page.get_by_role("button", name="Over 5000 characters").click()
    expect(page.locator("#counter")).to_have_class("counter of-code over")
    page.click("#run")
    expect(page.locator("#notice")).to_contain_text("the limit is 5000")
    expect(page.locator("#notice")).to_contain_text("Shorten it")


@pytest.mark.parametrize(
    ("example", "sees"),
    [
        ("Hello", "Hello, world!"),
        ("Loop", "5 squared is 25"),
        ("Read /etc/passwd", "root:x:0:0"),
        ("Node hello", "Hello from Node.js v20"),
        ("Node loop", "5 squared is 25"),
    ],
)
def test_examples_that_work(page: Page, example: str, sees: str) -> None:
    page.get_by_role("button", name=example, exact=True).click()
    page.click("#run")
    expect(page.locator("#output")).to_contain_text(sees)
    expect(badge(page)).to_have_text("Finished")


@pytest.mark.parametrize(
    ("example", "sees"),
    [
        ("Network", "urlopen error"),
        ("Write /tmp", "Read-only file system"),
        ("Large allocation", "memory"),
        ("Node network", "EAI_AGAIN"),
    ],
)
def test_examples_that_the_sandbox_stops(page: Page, example: str, sees: str) -> None:
    page.get_by_role("button", name=example, exact=True).click()
    page.click("#run")
    ended(page)
    expect(page.locator("#error")).to_contain_text(sees, ignore_case=True)
    expect(badge(page)).not_to_have_text("Finished")
