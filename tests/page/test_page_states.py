"""The page in a real browser: what it says when things are not as they should be, and how it looks and loads."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from tests.page.support import ARTIFACTS, Guard, badge, ended, open_page, refuse, run, write

ROOT = Path(__file__).resolve().parent.parent.parent
STATIC = ROOT / "static"
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}
SHOWN = """import sys

def divide(a, b):
    \"\"\"Divide two numbers.\"\"\"
    return a / b

for n in (4, 2, 0):
    print(f"\\033[32m12 / {n}\\033[0m =", divide(12, n))
"""


# --- Honest states ----------------------------------------------------------------------------------------


def test_a_busy_server_is_named_with_a_countdown_until_the_next_try(page: Page, guard: Guard) -> None:
    busy = {"error": "All places are taken.", "code": "busy"}
    refuse(page, guard, "/run", 503, busy, **{"Retry-After": "2"})
    write(page, "print('at last')")
    page.click("#run")
    expect(badge(page)).to_have_text("Server busy")
    expect(page.locator("#notice")).to_contain_text("All places are taken.")
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_disabled()
    expect(page.locator("#notice .wait")).to_contain_text("1 s")
    page.unroute("**/run")
    expect(again).to_be_enabled()
    again.click()
    expect(page.locator("#output")).to_have_text("at last\n")
    expect(page.locator("#notice")).to_be_hidden()


def test_an_engine_that_is_down_is_named_in_the_servers_words(page: Page, guard: Guard) -> None:
    down = {"error": "The container engine does not answer. Start it: `make engine`.", "code": "engine_unavailable"}
    refuse(page, guard, "/run", 503, down, **{"Retry-After": "5"})
    refuse(page, guard, "/readyz", 503, down)
    write(page, "print(1)")
    page.click("#run")
    expect(badge(page)).to_have_text("Not run")
    expect(page.locator("#notice")).to_contain_text("make engine")
    expect(page.locator("#service")).to_have_text("Engine down")
    assert page.input_value("#code") == "print(1)"


def test_without_a_connection_the_code_is_kept_and_the_page_says_so(page: Page, guard: Guard) -> None:
    guard.refusals |= {"/run", "/history", "/me", "/readyz"}
    write(page, "print('kept')")
    page.context.set_offline(True)
    page.click("#run")
    expect(badge(page)).to_have_text("No connection")
    expect(page.locator("#notice")).to_contain_text("offline")
    expect(page.locator("#service")).to_have_text("Offline")
    page.context.set_offline(False)
    expect(page.locator("#service")).to_have_text("Ready")
    page.click("#run")
    expect(page.locator("#output")).to_have_text("kept\n")


def test_an_answer_from_before_does_not_hide_that_the_connection_is_gone(page: Page) -> None:
    held: list[Route] = []
    page.route("**/readyz", lambda route: held.append(route))
    with page.expect_request("**/readyz"):
        page.evaluate("dispatchEvent(new Event('online'))")
    page.context.set_offline(True)
    expect(page.locator("#service")).to_have_text("Offline")
    with page.expect_response("**/readyz"):
        held[0].fulfill(json={"status": "ready"})
    page.wait_for_timeout(200)
    expect(page.locator("#service")).to_have_text("Offline")


def test_a_server_that_has_gone_is_named(page: Page, guard: Guard) -> None:
    guard.refusals.add("/run")
    page.route("**/run", lambda route: route.abort())
    write(page, "print(1)")
    page.click("#run")
    expect(page.locator("#notice")).to_contain_text("The server does not answer")


def test_a_connection_that_breaks_in_the_middle_is_no_result(page: Page) -> None:
    events = 'event: started\ndata: {"id":"x"}\n\nevent: stdout\ndata: {"text":"half"}\n\n'
    page.route("**/run", lambda route: route.fulfill(status=200, body=events, content_type="text/event-stream"))
    write(page, "print(1)")
    page.click("#run")
    expect(page.locator("#notice")).to_contain_text("The connection broke")
    expect(badge(page)).to_have_text("Connection lost")
    expect(page.locator("#output")).to_have_text("half")


def test_empty_code_is_not_sent(page: Page) -> None:
    write(page, "  \n")
    page.click("#run")
    expect(page.locator("#notice")).to_contain_text("There is no code to run")


def test_a_history_that_does_not_answer_says_so(page: Page, guard: Guard, server_url: str) -> None:
    guard.refusals.add("/history")
    problem = {"error": "The history cannot be read at the moment.", "code": "history_unavailable"}
    page.route("**/history?*", lambda route: route.fulfill(status=503, json=problem))
    open_page(page, server_url)
    expect(page.locator("#history-state")).to_have_text("The history cannot be read at the moment.")


# --- Looks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_view_passes_axe_and_is_photographed(
    page: Page, server_url: str, theme: str, size: dict[str, int]
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    name = f"{'wide' if size is WIDE else 'narrow'}-{theme}"
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    run(page, SHOWN)
    page.click("#inputs summary")
    check(page, f"{name}-error")
    page.click("#inputs summary")
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=size is NARROW)
    page.click("#view-combined")
    check(page, f"{name}-combined")
    page.click("#view-separate")
    page.get_by_role("tab", name="ZIP project").click()
    check(page, f"{name}-zip")
    page.get_by_role("tab", name="Batch").click()
    for example in ("Hello", "Memory bomb", "Read /etc/passwd", "Write /tmp", "Node loop"):
        page.get_by_role("checkbox", name=example, exact=True).check()
    page.get_by_role("button", name="Run the batch").click()
    expect(page.locator("#batch-state")).to_contain_text("5 tasks in")
    check(page, f"{name}-batch")
    page.screenshot(path=ARTIFACTS / f"{name}-batch.png", full_page=size is NARROW)
    page.locator("#help").click()
    check(page, f"{name}-help")


def check(page: Page, where: str) -> None:
    """No violation that axe knows, and nothing wider than the window."""
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], [node["html"][:120] for node in rule["nodes"][:3]]) for rule in found] == [], where
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, where


def test_the_theme_is_the_systems_until_chosen_and_then_remembered(page: Page) -> None:
    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="light")
    light = background()
    page.emulate_media(color_scheme="dark")
    dark = background()
    assert light != dark
    page.get_by_role("button", name="Theme: system").click()
    assert background() == light
    page.reload()
    assert background() == light
    page.get_by_role("button", name="Theme: light").click()
    page.emulate_media(color_scheme="light")
    assert background() == dark


def test_nothing_moves_for_people_who_asked_for_less_motion(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].map((e) => getComputedStyle(e))"
        ".filter((s) => s.animationName !== 'none' || s.transitionDuration !== '0s').length"
    )
    assert moving == 0


def test_results_do_not_move_the_controls(page: Page) -> None:
    places = ["#run", "#view-separate", "#output-title", "#error-title", "#history-title", "#code"]
    before = {place: page.locator(place).bounding_box() for place in places}
    write(page, SHOWN + "\n" * 60)
    page.click("#run")
    expect(badge(page)).to_have_text("Exit 1")
    ended(page)
    after = {place: page.locator(place).bounding_box() for place in places}
    for place in places[:-1]:
        was, now = before[place], after[place]
        assert was and now
        assert (round(was["y"]), round(was["height"])) == (round(now["y"]), round(now["height"])), place


def test_focus_is_visible_on_everything_that_tab_reaches(page: Page) -> None:
    page.keyboard.press("Tab")
    seen = set()
    for _ in range(13 + page.locator("#examples button").count()):
        outline = page.evaluate(
            "(() => { const e = document.activeElement; const box = e.closest('.editor');"
            " const of = box ? '::after' : null;"
            " return [e.id || e.className || e.tagName, getComputedStyle(box ?? e, of).outlineStyle]; })()"
        )
        assert outline[1] not in ("none", ""), outline
        seen.add(outline[0])
        if outline[0] == "code":
            page.keyboard.press("Escape")
        page.keyboard.press("Tab")
    assert {"tab-code", "theme", "help", "code", "run"} <= seen


def test_without_scripts_the_page_has_its_textarea_and_says_what_is_missing(browser: Browser, server_url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server_url)
    page.get_by_label("Code", exact=True).fill("print(1)")
    expect(page.locator(".noscript")).to_be_visible()
    context.close()


# --- What the page is made of ---------------------------------------------------------------------------


def test_no_inline_script_or_style_is_in_the_page(page: Page, server_url: str) -> None:
    html = page.request.get(server_url).text()
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son\w+=", html) == []


def test_the_vendored_files_are_the_ones_of_the_manifest() -> None:
    vendor = STATIC / "vendor"
    manifest = json.loads((vendor / "manifest.json").read_text())
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.iterdir()
        if path.name != "manifest.json"
    }
    assert digests == manifest["sha256"]


def test_the_vendored_libraries_are_pinned_and_carry_their_licences() -> None:
    manifest = json.loads((STATIC / "vendor" / "manifest.json").read_text())
    pinned = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    for library in manifest["libraries"]:
        assert pinned[library["name"]] == library["version"]
        assert library["license"] == "MIT"
        assert "Permission is hereby granted" in (STATIC / "vendor" / f"LICENSE-{library['name']}.txt").read_text()
