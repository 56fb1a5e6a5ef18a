"""The page in a real browser: a server that asks to wait is understood, and waited for."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import Server
from tests.page.conftest import Visit
from tests.page.support import Guard, archive, badge, ended, keys_of, open_page, refuse, sign_in, write

REASON = "Programs of yours have used up the limit of 3600 CPU seconds an hour."
SPENT = {"error": f"{REASON} Try again in 1500 seconds.", "code": "quota"}
KINDS = ["program", "project", "batch"]


def prepare(page: Page, kind: str) -> Locator:
    """Something to run; the button that runs it."""
    if kind == "program":
        write(page, "print('at last')")
        return page.locator("#run")
    if kind == "project":
        page.get_by_role("tab", name="ZIP project").click()
        page.set_input_files("#zip-file", files=[archive({"main.py": "print('at last')"})])
        return page.locator("#run")
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("checkbox", name="Hello", exact=True).check()
    return page.locator("#batch-run")


def path_of(kind: str) -> str:
    return {"program": "/run", "project": "/run-zip", "batch": "/run-batch"}[kind]


def notice(page: Page, kind: str) -> Locator:
    return page.locator("#batch-notice" if kind == "batch" else "#notice")


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_is_over_a_limit_reads_why_waits_and_runs_again(page: Page, guard: Guard, kind: str) -> None:
    refuse(page, guard, path_of(kind), 429, SPENT, **{"Retry-After": "2"})
    button = prepare(page, kind)
    button.click()
    expect(notice(page, kind)).to_contain_text(REASON)
    again = notice(page, kind).get_by_role("button", name="Try again")
    expect(again).to_be_disabled()
    expect(button).to_be_enabled()
    if kind == "batch":
        expect(page.locator(".task .badge")).to_have_text("Not run")
    else:
        expect(badge(page)).to_have_text("Limit reached")
        expect(page.locator("#run-label")).to_have_text("Run")
    page.unroute(f"**{path_of(kind)}")
    expect(again).to_be_enabled()
    again.click()
    expect(notice(page, kind)).to_be_hidden()
    ended(page)
    if kind == "batch":
        expect(page.locator(".task .badge")).to_have_text("Finished")
    else:
        expect(page.locator("#output")).to_have_text("at last\n")


def test_a_long_time_to_wait_is_said_once_and_in_minutes(page: Page, guard: Guard) -> None:
    refuse(page, guard, "/run", 429, SPENT, **{"Retry-After": "1500"})
    prepare(page, "program").click()
    expect(page.locator("#notice")).to_have_text(f"{REASON} Ready to try again in 25 min.Try again")


def test_a_program_and_a_batch_that_wait_do_not_stop_each_others_clock(page: Page, guard: Guard) -> None:
    refuse(page, guard, "/run", 429, SPENT, **{"Retry-After": "3"})
    refuse(page, guard, "/run-batch", 429, SPENT, **{"Retry-After": "1"})
    prepare(page, "program").click()
    expect(page.locator("#notice .wait")).to_contain_text("s.")
    prepare(page, "batch").click()
    for kind in ("batch", "program"):
        expect(notice(page, kind).locator("button")).to_be_enabled()


def test_a_wait_is_over_in_time_though_the_browser_let_the_page_rest(page: Page, guard: Guard, server_url: str) -> None:
    page.clock.install()
    page.goto(server_url)
    refuse(page, guard, "/run", 429, SPENT, **{"Retry-After": "60"})
    prepare(page, "program").click()
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_disabled()
    page.clock.fast_forward("01:01")
    expect(again).to_be_enabled()


def test_a_program_more_than_a_key_may_have_at_once_runs_when_one_has_ended(visit: Visit, server: Server) -> None:
    page, guard = visit(server.url)
    guard.refusals.add("/run")
    sign_in(page, keys_of(server.data_dir).add("one-place", runs_at_once=1))
    write(page, "print('first', flush=True)\nwhile True: pass")
    page.click("#run")
    expect(page.locator("#output")).to_have_text("first\n")
    other = page.context.new_page()
    open_page(other, server.url)
    prepare(other, "program").click()
    expect(badge(other)).to_have_text("Limit reached")
    expect(other.locator("#notice")).to_contain_text("At most 1 program of yours")
    page.click("#run")
    ended(page)
    other.get_by_role("button", name="Try again").click()
    expect(other.locator("#output")).to_have_text("at last\n")


def test_a_batch_that_can_never_be_within_the_limit_is_not_offered_again(visit: Visit, server: Server) -> None:
    page, guard = visit(server.url)
    guard.refusals.add("/run-batch")
    sign_in(page, keys_of(server.data_dir).add("few-places", runs_at_once=1))
    button = prepare(page, "batch")
    page.get_by_role("checkbox", name="Arithmetic", exact=True).check()
    button.click()
    expect(notice(page, "batch")).to_contain_text("Send fewer together.")
    expect(notice(page, "batch").get_by_role("button")).to_have_count(0)


def test_code_is_counted_against_what_a_key_may_send(visit: Visit, server: Server) -> None:
    page, _ = visit(server.url)
    sign_in(page, keys_of(server.data_dir).add("long-writer", max_code_characters=8000))
    write(page, "#" * 5990 + "\nprint(6 * 7)")
    expect(page.locator("#counter")).to_have_text("6,003 / 8,000 characters")
    page.click("#run")
    ended(page)
    expect(page.locator("#output")).to_have_text("42\n")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#counter")).to_have_text("6,003 / 5,000 characters")
