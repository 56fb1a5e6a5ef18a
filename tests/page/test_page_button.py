"""The page in a real browser: Run and Stop are one button at one place, and a double click is one click."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.page.support import badge, ended, write

LOOP = "import time\nwhile True:\n    print('tick', flush=True)\n    time.sleep(0.1)\n"
WINDOWS = {"wide": (1280, 800), "zoomed": (960, 475), "phone": (390, 844), "small": (320, 640)}


@pytest.fixture
def started(page: Page) -> list[str]:
    """The runs that the page asks for, as they come."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/run") else None)
    return asked


@pytest.mark.parametrize("window", WINDOWS)
def test_stop_stands_exactly_where_run_was(page: Page, window: str) -> None:
    width, height = WINDOWS[window]
    page.set_viewport_size({"width": width, "height": height})
    button = page.locator("#run")
    write(page, LOOP)
    button.scroll_into_view_if_needed()
    before = button.bounding_box()
    expect(page.locator("#run-label")).to_have_text("Run")
    assert before
    corner = {"x": 3.0, "y": before["height"] / 2}
    button.click(position=corner)  # type: ignore[arg-type]
    expect(page.locator("#run-label")).to_have_text("Stop")
    expect(page.locator("#output")).to_contain_text("tick")
    assert button.bounding_box() == before
    page.mouse.click(before["x"] + 3, before["y"] + before["height"] / 2)
    ended(page)
    expect(badge(page)).to_have_text("Stopped")
    button.scroll_into_view_if_needed()
    page.evaluate("top => scrollBy(0, document.querySelector('#run').getBoundingClientRect().top - top)", before["y"])
    assert button.bounding_box() == before, "in the page; a narrow window has scrolled to the result"


def test_a_double_click_on_run_starts_one_run_and_does_not_stop_it(page: Page, started: list[str]) -> None:
    write(page, LOOP)
    page.dblclick("#run")
    expect(page.locator("#output")).to_contain_text("tick\ntick\ntick\n")
    expect(badge(page)).to_have_text("Running")
    assert len(started) == 1
    page.click("#run")
    expect(badge(page)).to_have_text("Stopped")


def test_a_double_click_runs_a_short_program_once(page: Page, started: list[str]) -> None:
    write(page, "print('once')")
    page.dblclick("#run", delay=120)
    expect(page.locator("#output")).to_have_text("once\n")
    ended(page)
    page.wait_for_timeout(300)
    assert len(started) == 1


def test_a_double_click_on_stop_starts_nothing(page: Page, started: list[str]) -> None:
    write(page, LOOP)
    page.click("#run")
    expect(page.locator("#output")).to_contain_text("tick")
    page.dblclick("#run", delay=120)
    expect(badge(page)).to_have_text("Stopped")
    page.wait_for_timeout(300)
    expect(page.locator("#run-label")).to_have_text("Run")
    assert len(started) == 1


def test_a_second_click_after_a_moment_stops_also_when_the_browser_counts_it_as_double(page: Page) -> None:
    write(page, LOOP)
    page.click("#run")
    page.wait_for_timeout(450)
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    expect(badge(page)).to_have_text("Stopped")


@pytest.mark.parametrize(("place", "keys"), [("#run", "Enter"), ("#code", "Control+Enter")])
def test_keys_held_down_start_one_run(page: Page, started: list[str], place: str, keys: str) -> None:
    write(page, LOOP)
    page.focus(place)
    for key in keys.split("+"):
        page.keyboard.down(key)
    for _ in range(5):
        page.wait_for_timeout(100)
        page.keyboard.down("Enter")
    for key in keys.split("+"):
        page.keyboard.up(key)
    expect(page.locator("#output")).to_contain_text("tick\ntick\n")
    assert len(started) == 1
    page.click("#run")
    ended(page)


def test_the_button_is_pressed_with_the_keyboard_to_run_and_to_stop(page: Page) -> None:
    write(page, LOOP)
    page.press("#run", "Enter")
    expect(page.locator("#output")).to_contain_text("tick")
    page.press("#run", "Space")
    expect(badge(page)).to_have_text("Stopped")
    ended(page)
