"""The page in a real browser: the sentence that says what happened covers no control, and its Undo can be reached."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.page.support import open_page, write

WINDOWS = {"wide": (1280, 800), "tablet": (900, 700), "zoomed": (960, 475), "phone": (390, 844), "small": (320, 640)}
COVERED = """() => {
    const box = document.querySelector("#toast").getBoundingClientRect();
    const controls = ".program .bar button, .program .actions :is(button, select), .program summary, .top button";
    return [...document.querySelectorAll(controls)].filter((control) => {
        const { left, right, top, bottom, width } = control.getBoundingClientRect();
        return width && left < box.right && right > box.left && top < box.bottom && bottom > box.top;
    }).map((control) => control.id || control.textContent);
}"""


def covered(page: Page) -> list[str]:
    """The controls of the program and of the page's head that the toast covers, a frame after it was seen."""
    expect(page.locator("#toast")).to_be_visible()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = page.locator("#toast").bounding_box()
    size = page.viewport_size
    assert box
    assert size
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size["width"]
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= size["height"]
    return list(page.evaluate(COVERED))


@pytest.fixture(params=WINDOWS)
def window(request: pytest.FixtureRequest, page: Page) -> str:
    width, height = WINDOWS[request.param]
    page.set_viewport_size({"width": width, "height": height})
    return str(request.param)


def test_the_toast_covers_no_control_of_the_program(page: Page, window: str) -> None:
    write(page, "precious")
    page.click("#share")
    expect(page.locator("#toast")).to_contain_text("Link copied")
    assert covered(page) == []
    page.click("#clear")
    expect(page.locator("#toast")).to_have_text("Cleared.Undo")
    assert covered(page) == []
    page.get_by_role("button", name="Loop", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("Example: Loop.")
    assert covered(page) == []


def test_the_toast_makes_way_when_the_page_is_scrolled(page: Page, window: str) -> None:
    write(page, "precious")
    page.click("#clear")
    for place in ("#run", "#share", "#inputs"):
        page.locator(place).evaluate("control => control.scrollIntoView({ block: 'end' })")
        assert covered(page) == []


def test_the_toast_makes_way_when_another_view_is_chosen(page: Page) -> None:
    write(page, "precious")
    page.click("#clear")
    for view in ("ZIP project", "Program"):
        page.get_by_role("tab", name=view).click()
        assert covered(page) == []
    page.click("#inputs summary")
    assert covered(page) == []


def tab_on(page: Page) -> None:
    """From wherever the focus is; the editor lets it go after Escape."""
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")


def test_undo_is_the_next_stop_of_tab_and_gives_the_focus_back(page: Page) -> None:
    write(page, "precious")
    page.press("#share", "Enter")
    expect(page.locator("#toast")).to_contain_text("Link copied")
    page.get_by_role("button", name="Loop", exact=True).press("Enter")
    before = page.evaluate_handle("document.activeElement")
    tab_on(page)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.input_value("#code") == "precious"
    expect(page.locator("#toast")).to_be_hidden()
    assert page.evaluate("element => element === document.activeElement", before)


def test_undo_is_reached_from_the_editor_after_clear(page: Page) -> None:
    write(page, "precious")
    page.press("#clear", "Enter")
    expect(page.locator("#code")).to_be_focused()
    tab_on(page)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Space")
    assert page.input_value("#code") == "precious"
    expect(page.locator("#code")).to_be_focused()


def test_a_toast_stays_while_its_undo_has_the_focus_and_escape_ends_it(page: Page, server_url: str) -> None:
    page.clock.install()
    open_page(page, server_url)
    write(page, "precious")
    page.get_by_role("button", name="Loop", exact=True).press("Enter")
    tab_on(page)
    page.clock.run_for(20_000)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#toast")).to_be_hidden()
    page.get_by_role("button", name="Hello", exact=True).press("Enter")
    expect(page.locator("#toast")).to_be_visible()
    page.clock.run_for(9_000)
    expect(page.locator("#toast")).to_be_hidden()
