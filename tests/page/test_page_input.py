"""The page in a real browser: a program that asks for input it was not given leads to where it is written."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Visit
from tests.page.staged import Stage
from tests.page.support import run

ASKS = 'print("Hello", input("Your name? "))'
SENTENCE = "The program asked for more input than it was given."


def test_a_program_that_asks_for_input_leads_to_the_field_for_it(page: Page) -> None:
    run(page, ASKS)
    expect(page.locator("#notice")).to_contain_text(SENTENCE)
    expect(page.locator("#live")).to_contain_text(SENTENCE)
    expect(page.locator("#error")).to_contain_text("EOFError")
    page.get_by_role("button", name="Write input").click()
    expect(page.get_by_label("Standard input")).to_be_focused()
    page.keyboard.type("Ada")
    run(page, ASKS)
    expect(page.locator("#output")).to_have_text("Your name? Hello Ada\n")
    expect(page.locator("#notice")).to_be_hidden()


def test_on_a_phone_the_field_comes_into_view(visit: Visit, server_url: str) -> None:
    page, _ = visit(server_url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    run(page, ASKS)
    page.get_by_role("button", name="Write input").tap()
    expect(page.get_by_label("Standard input")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        ("main.rb:1:in `readline': end of file reached (EOFError)\n", True),
        ("EOFError: EOF when reading a line\n", True),
        ("EOFError: Ran out of input\n", False),
        ("ValueError: EOFError: EOF when reading a line\n", False),
    ],
)
def test_only_an_end_of_the_input_is_told(stage: Stage, error: str, is_told: bool) -> None:
    stage.will(error=error, status="error", exit_code=1)
    stage.run()
    expect(stage.page.get_by_role("button", name="Write input")).to_have_count(int(is_told))
