"""The page in a real browser: signing in with a key, where one is needed and where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from sandbox.store.keys import Keys
from tests.conftest import Server, serve
from tests.page.conftest import Visit
from tests.page.support import (
    ARTIFACTS,
    archive,
    badge,
    codes,
    ended,
    give,
    history_items,
    keys_of,
    run,
    sign_in,
    write,
)

NAMES = (f"pupil{number}" for number in count())
SIZES = {"wide": (1280, 800), "zoomed": (640, 400), "phone": (390, 844), "small": (320, 480)}
STORED = "JSON.stringify([localStorage, sessionStorage, location.href, document.documentElement.outerHTML])"


@pytest.fixture(scope="module")
def closed(real_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that answers only those who have a key."""
    with serve(tmp_path_factory.mktemp("closed"), require_key="true", pool="python:1") as running:
        yield running


@pytest.fixture
def keys(closed: Server) -> Keys:
    return keys_of(closed.data_dir)


@pytest.fixture
def name() -> str:
    return next(NAMES)


@pytest.fixture
def key(keys: Keys, name: str) -> str:
    return keys.add(name)


def question(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Sign in")


# --- Where a key is needed --------------------------------------------------------------------------------


def test_a_page_that_needs_a_key_asks_for_it_once_and_stays_readable(visit: Visit, closed: Server) -> None:
    page, _ = visit(closed.url)
    expect(question(page)).to_be_visible()
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(question(page)).to_be_hidden()
    expect(page.locator("#history-who")).to_contain_text("This server asks for a key")
    expect(page.locator("#history-state")).to_have_text("Sign in to see your runs.")
    page.fill("#history-search", "anything")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_timeout(700)
    expect(question(page)).to_be_hidden()
    write(page, "print('readable')")
    page.get_by_role("button", name="Loop", exact=True).click()


def test_a_password_manager_knows_the_field_for_what_it_is(visit: Visit, closed: Server) -> None:
    page, _ = visit(closed.url)
    field = page.get_by_label("Key", exact=True)
    expect(field).to_have_attribute("type", "password")
    expect(field).to_have_attribute("autocomplete", "current-password")
    expect(question(page)).to_have_accessible_description(page.locator("#key-hint").inner_text())


def test_a_key_that_is_pasted_signs_in_and_is_kept_nowhere_on_the_page(
    visit: Visit, closed: Server, key: str, name: str
) -> None:
    page, _ = visit(closed.url)
    expect(question(page)).to_be_visible()
    page.evaluate("text => navigator.clipboard.writeText(text)", f" {key}\n")
    page.keyboard.press("Control+V")
    page.keyboard.press("Enter")
    expect(question(page)).to_be_hidden()
    expect(page.locator("#toast")).to_have_text(f"Signed in as {name}.")
    expect(page.locator("#history-who")).to_have_text(f"Signed in as {name}: whoever has this key sees these runs.")
    run(page, "print('welcome')")
    expect(page.locator("#output")).to_have_text("welcome\n")
    assert key not in page.evaluate(STORED)
    assert page.locator("#key").input_value() == ""
    page.reload()
    expect(history_items(page)).to_have_count(1)
    expect(question(page)).to_be_hidden()


def test_a_wrong_key_is_said_to_be_wrong_and_another_one_can_be_given(visit: Visit, closed: Server, key: str) -> None:
    page, guard = visit(closed.url)
    guard.refusals.add("/sign-in")
    give(page, "sce_" + "x" * 32)
    expect(page.get_by_role("alert")).to_contain_text("This server does not know this key.")
    field = page.get_by_label("Key", exact=True)
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(page.get_by_role("alert").inner_text())
    page.keyboard.insert_text(key)
    page.keyboard.press("Enter")
    expect(question(page)).to_be_hidden()


def test_a_key_that_could_not_be_sent_is_not_called_wrong(visit: Visit, closed: Server, key: str) -> None:
    page, guard = visit(closed.url)
    guard.refusals |= {"/sign-in", "/readyz"}
    page.context.set_offline(True)
    give(page, key)
    expect(page.get_by_role("alert")).to_contain_text("This device is offline.")
    page.context.set_offline(False)
    page.keyboard.press("Enter")
    expect(question(page)).to_be_hidden()


def prepare(page: Page, kind: str) -> tuple[Locator, str]:
    """Something to run: the button that runs it, and its notice."""
    if kind == "batch":
        page.get_by_role("tab", name="Batch").click()
        page.get_by_role("checkbox", name="Hello", exact=True).check()
        return page.locator("#batch-run"), "#batch-notice"
    write(page, "print('my draft')")
    if kind == "project":
        page.get_by_role("tab", name="ZIP project").click()
        page.set_input_files("#zip-file", files=[archive({"main.py": "print('my draft')"})])
    return page.locator("#run"), "#notice"


def finished(page: Page, kind: str) -> None:
    if kind == "batch":
        expect(page.locator(".task .badge")).to_have_text("Finished")
    else:
        expect(page.locator("#output")).to_have_text("my draft\n")
        ended(page)


@pytest.mark.parametrize("kind", ["program", "project", "batch"])
def test_run_asks_again_and_runs_when_there_is_a_key(visit: Visit, closed: Server, key: str, kind: str) -> None:
    page, guard = visit(closed.url)
    guard.refusals |= {"/run", "/run-zip", "/run-batch"}
    expect(question(page)).to_be_visible()
    page.keyboard.press("Escape")
    button, notice = prepare(page, kind)
    button.click()
    expect(question(page)).to_be_visible()
    page.get_by_role("button", name="Not now").click()
    expect(page.locator(notice)).to_contain_text("This server asks for a key: sign in first.")
    expect(button).to_be_enabled()
    page.locator(notice).get_by_role("button", name="Sign in").click()
    give(page, key)
    finished(page, kind)
    expect(page.locator(notice)).to_be_hidden()


def test_a_key_revoked_meanwhile_is_asked_for_again_and_the_draft_stays(
    visit: Visit, closed: Server, keys: Keys, key: str, name: str
) -> None:
    page, guard = visit(closed.url)
    guard.refusals.add("/run")
    give(page, key)
    run(page, "print('of the first key')")
    expect(history_items(page)).to_have_count(1)
    keys.revoke(name)
    write(page, "print('my draft')")
    page.click("#run")
    expect(question(page)).to_be_visible()
    expect(badge(page)).to_have_text("Not signed in")
    expect(page.locator("#toast")).to_contain_text(f"No longer signed in as {name}: the key was revoked")
    expect(page.get_by_text("goes out of sight")).to_be_hidden()
    expect(history_items(page)).to_have_count(0)
    assert page.input_value("#code") == "print('my draft')"
    give(page, keys.add(f"{name}-anew"))
    finished(page, "program")
    expect(history_items(page)).to_have_count(1)
    assert codes(page) == ["print('my draft')"]


def test_signing_out_leaves_nothing_in_sight_and_another_tab_knows(visit: Visit, closed: Server, key: str) -> None:
    page, _ = visit(closed.url)
    give(page, key)
    run(page, "print('private')")
    expect(history_items(page)).to_have_count(1)
    other = page.context.new_page()
    other.goto(closed.url)
    expect(history_items(other)).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#history-state")).to_have_text("Sign in to see your runs.")
    expect(history_items(page)).to_have_count(0)
    expect(question(page)).to_be_hidden()
    expect(question(other)).to_be_visible()
    expect(history_items(other)).to_have_count(0)
    give(other, key)
    expect(history_items(page)).to_have_count(1)


def test_where_a_key_is_needed_the_curl_command_has_a_place_for_it_before_it_is_given(
    visit: Visit, closed: Server
) -> None:
    page, _ = visit(closed.url)
    page.get_by_role("button", name="Not now").click()
    write(page, "print(1)")
    page.click("#curl")
    expect(page.locator("#toast")).to_contain_text("Set SCE_KEY to your key")
    assert '-H "Authorization: Bearer $SCE_KEY"' in page.evaluate("navigator.clipboard.readText()")


# --- Where it is not --------------------------------------------------------------------------------------


def test_where_a_key_is_not_needed_nobody_is_asked_for_one(page: Page) -> None:
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.locator("#history-state")).not_to_have_text("Loading")
    expect(question(page)).to_be_hidden()


def test_whoever_signs_in_is_told_what_goes_out_of_sight(page: Page) -> None:
    page.get_by_role("button", name="Sign in").click()
    expect(question(page)).to_contain_text("What this browser has run without a key goes out of sight.")


def test_a_key_revoked_where_none_is_needed_leaves_a_browser_like_any_other(visit: Visit, server: Server) -> None:
    requests.delete(f"{server.url}/history", timeout=10)  # what other tests have run as nobody
    page, _ = visit(server.url)
    keys = keys_of(server.data_dir)
    sign_in(page, keys.add("soon-gone"))
    run(page, "print('of the key')")
    keys.revoke("soon-gone")
    run(page, "print('of the browser')")
    expect(page.locator("#toast")).to_contain_text("No longer signed in as soon-gone: the key was revoked")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(history_items(page)).to_have_count(1)
    assert codes(page) == ["print('of the browser')"]
    expect(page.locator("#history-who")).to_contain_text("Only this browser sees these runs.")


# --- Looks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_signing_in_passes_axe_fits_every_window_and_is_photographed(
    visit: Visit, closed: Server, keys: Keys, size: str, theme: str
) -> None:
    width, height = SIZES[size]
    viewport = {"width": width, "height": height}
    page, guard = visit(closed.url, viewport=viewport, color_scheme=theme, reduced_motion="reduce")
    guard.refusals.add("/sign-in")
    give(page, "sce_wrong")
    expect(page.get_by_role("alert")).not_to_be_empty()
    for place in ("#key", "#key-submit", "#key-cancel"):
        expect(page.locator(place)).to_be_in_viewport(ratio=1)
    check(page, f"signin-{size}-{theme}")
    give(page, keys.add(f"a_name_that_is_as_long_as_names_may_be_{size}_{theme}".ljust(64, "x"), is_operator=True))
    expect(question(page)).to_be_hidden()
    run(page, "print(1)")
    check(page, f"operator-{size}-{theme}")
    page.get_by_role("button", name="Delete all").click()
    for button in page.get_by_role("dialog").get_by_role("button").all():
        expect(button).to_be_in_viewport(ratio=1)
    check(page, f"delete-{size}-{theme}")


def check(page: Page, view: str) -> None:
    """No violation that axe knows, and nothing wider than the window."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{view}.png", full_page=True)
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], [node["html"][:120] for node in rule["nodes"][:3]]) for rule in found] == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_signing_in_and_out_is_done_with_the_keyboard_alone(visit: Visit, closed: Server, key: str) -> None:
    page, _ = visit(closed.url)
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    sign = page.locator("#sign")
    sign.press("Enter")
    page.keyboard.insert_text(key)
    page.keyboard.press("Enter")
    expect(sign).to_have_text("Sign out")
    expect(sign).to_be_focused()
    expect(page.locator("#history-state")).to_have_text("Nothing has been run yet.")
    page.keyboard.press("Enter")
    expect(sign).to_have_text("Sign in")
