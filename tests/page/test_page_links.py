"""The page in a real browser: links that carry a program, and the command for a terminal."""

from __future__ import annotations

import base64
import json
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import serve
from tests.page.support import MARKUP, open_page, write

LAN_NAME = "lan.test"
"""Leads to this machine in the browser of the tests, which takes it for a host of a network: no secure context."""


def link_to(server_url: str, value: object) -> str:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(json.dumps(value).encode()) + packer.flush()
    return f"{server_url}/#p={base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def test_a_link_carries_the_program_and_opening_it_runs_nothing(page: Page) -> None:
    page.click("#inputs summary")
    page.fill("#args", "x y")
    write(page, "console.log('¡shared! 😀')", "node")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#toast")).to_contain_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    other = page.context.new_page()
    sent: list[str] = []
    other.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    open_page(other, link)
    expect(other.locator("#toast")).to_contain_text("nothing was run")
    assert other.input_value("#code") == "console.log('¡shared! 😀')"
    assert other.input_value("#language") == "node"
    assert other.input_value("#args") == "x y"
    assert not any(entry.startswith("POST") or "p=" in entry.split("#")[0] for entry in sent)
    assert "#" not in other.url


def test_a_link_opened_from_another_tab_of_the_page_is_seen(page: Page) -> None:
    write(page, "print('by link')")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#toast")).to_contain_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    write(page, "print('mine')")
    page.get_by_role("tab", name="ZIP project").click()
    page.evaluate("link => (location.hash = new URL(link).hash)", link)
    expect(page.locator("#code")).to_be_visible()
    expect(page.locator("#code")).to_have_value("print('by link')")


def test_there_is_no_curl_command_for_an_archive_not_chosen(page: Page) -> None:
    page.get_by_role("tab", name="ZIP project").click()
    page.get_by_role("button", name="Copy curl").click()
    expect(page.locator("#toast")).to_have_text("Choose a ZIP archive first.")


@pytest.mark.parametrize(
    "fragment", ["#p=!!!", "#p=AAAA", "#p=", "#p=" + base64.urlsafe_b64encode(zlib.compress(b"1" * 99)).decode()]
)
def test_a_broken_link_is_no_program(page: Page, server_url: str, fragment: str) -> None:
    other = page.context.new_page()
    open_page(other, f"{server_url}/{fragment}")
    expect(other.locator("#toast")).to_contain_text("does not hold a program")


def test_a_link_that_unpacks_to_megabytes_is_refused(page: Page, server_url: str) -> None:
    other = page.context.new_page()
    open_page(other, link_to(server_url, {"l": "python", "c": "x" * 30_000_000, "a": [], "i": ""}))
    expect(other.locator("#toast")).to_contain_text("does not hold a program")


@pytest.mark.parametrize(
    "value",
    [
        {"l": "cobol", "c": "1", "a": [], "i": ""},
        {"l": "python", "c": {"x": 1}, "a": [], "i": ""},
        {"l": "python", "c": "1", "a": [1], "i": ""},
        None,
    ],
)
def test_a_link_with_other_types_is_refused(page: Page, server_url: str, value: object) -> None:
    other = page.context.new_page()
    open_page(other, link_to(server_url, value))
    expect(other.locator("#toast")).to_contain_text("does not hold a program")


def test_markup_in_a_link_stays_text(page: Page, server_url: str) -> None:
    other = page.context.new_page()
    open_page(other, link_to(server_url, {"l": "python", "c": MARKUP, "a": [MARKUP], "i": MARKUP}))
    assert other.input_value("#code") == MARKUP
    assert other.locator("#broken, main img").count() == 0


def test_the_curl_command_runs_the_same_program(page: Page) -> None:
    page.click("#inputs summary")
    page.fill("#args", '"a b" c')
    page.fill("#stdin", "it's input\n")
    write(page, "import sys\nprint(sys.argv[1:], input(), \"quote's\", '$HOME `x` \\\\')")
    page.get_by_role("button", name="Copy curl").click()
    expect(page.locator("#toast")).to_contain_text("curl command copied")
    command = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout)["output"] == "['a b', 'c'] it's input quote's $HOME `x` \\\n"


# --- Without a clipboard ----------------------------------------------------------------------------------


@pytest.fixture
def lan_page(browser: Browser, real_engine: None, tmp_path: Path) -> Iterator[Page]:
    """The page as another machine of a network sees it: plain HTTP, so that the browser gives it no clipboard."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    with serve(tmp_path, allowed_hosts=LAN_NAME, pool="") as server:
        page = context.new_page()
        open_page(page, f"http://{LAN_NAME}:{urlsplit(server.url).port}")
        assert page.evaluate("[isSecureContext, typeof navigator.clipboard]") == [False, "undefined"]
        yield page
        context.close()


def selected(page: Page) -> str:
    """The selected text of the field that has the focus, which can be seen whole or scrolled."""
    expect(page.get_by_role("dialog", name="Copy by hand")).to_be_visible()
    field = page.get_by_role("textbox", name="Copy by hand")
    expect(field).to_be_focused()
    expect(field).not_to_be_editable()
    return str(field.evaluate("box => box.value.slice(box.selectionStart, box.selectionEnd)"))


def test_without_a_clipboard_link_and_command_are_shown_selected_to_be_copied_by_hand(lan_page: Page) -> None:
    page = lan_page
    write(page, "print('by hand')")
    page.get_by_role("button", name="Copy link").click()
    link = selected(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Copy link")).to_be_focused()
    page.get_by_role("button", name="Copy curl").click()
    assert selected(page).startswith(f"curl -sS http://{LAN_NAME}:")
    assert "by hand" in selected(page)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    write(page, "# another")
    page.evaluate("link => (location.href = link)", link)
    expect(page.locator("#code")).to_have_value("print('by hand')")


def test_a_clipboard_that_is_forbidden_is_as_none(page: Page) -> None:
    page.evaluate(
        "void (navigator.clipboard.writeText = async () => { throw new DOMException('no', 'NotAllowedError'); })"
    )
    page.get_by_role("button", name="Copy curl").click()
    assert selected(page).startswith("curl -sS ")
