"""The page in a real browser: what is being written outlives a reload, and each tab has its own."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.page.support import badge, ended, open_page, write

LONG = "import time\nprint('on', flush=True)\ntime.sleep(5)\n"
SAVED_MILLISECONDS = 500
"""Longer than the pause in typing after which a draft is kept."""


def copy_of(page: Page) -> Page:
    """Another tab with a copy of this one's session, as a browser's "Duplicate" makes one."""
    with page.expect_popup() as opened:
        page.evaluate("void open(location.href)")
    expect(opened.value.locator("body")).to_have_attribute("data-ready", "true")
    return opened.value


def test_each_language_keeps_its_draft_also_over_a_reload(page: Page) -> None:
    write(page, "# my python")
    write(page, "// my node", "node")
    page.select_option("#language", "python")
    assert page.input_value("#code") == "# my python"
    page.select_option("#language", "node")
    page.reload()
    expect(page.locator("body")).to_have_attribute("data-ready", "true")
    expect(page.locator("#language")).to_have_value("node")
    assert page.input_value("#code") == "// my node"


def test_arguments_and_input_outlive_a_reload_as_they_were_typed(page: Page) -> None:
    page.click("#inputs summary")
    page.fill("#args", """--name 'an open quote""")
    page.fill("#stdin", "one\ntwo\n")
    open_page(page, page.url)
    expect(page.locator("#args")).to_be_visible()
    expect(page.locator("#args")).to_have_value("--name 'an open quote")
    expect(page.locator("#stdin")).to_have_value("one\ntwo\n")
    expect(page.locator("#inputs-summary")).to_have_text("(arguments, 8 characters of input)")
    page.fill("#args", "")
    page.fill("#stdin", "")
    open_page(page, page.url)
    expect(page.locator("#inputs")).not_to_have_attribute("open", "")
    expect(page.locator("#args")).to_have_value("")
    expect(page.locator("#stdin")).to_have_value("")


def test_the_tasks_of_a_batch_outlive_a_reload(page: Page) -> None:
    page.get_by_role("tab", name="Batch").click()
    page.get_by_label("Arithmetic", exact=True).check()
    page.get_by_role("button", name="Add a task").click()
    page.get_by_label("Code of task 2").fill("mine")
    page.get_by_label("Language of task 2").select_option("node")
    page.locator("#batch-tasks details").last.locator("summary").click()
    page.get_by_label("Arguments of task 2").fill("an 'open quote")
    open_page(page, page.url)
    page.get_by_role("tab", name="Batch").click()
    expect(page.get_by_label("Code of task 2")).to_have_value("mine")
    expect(page.get_by_label("Language of task 2")).to_have_value("node")
    expect(page.get_by_label("Arguments of task 2")).to_have_value("an 'open quote")
    expect(page.get_by_label("Arithmetic", exact=True)).to_be_checked()
    page.get_by_label("Arithmetic", exact=True).uncheck()
    expect(page.locator("#batch-tasks li")).to_have_count(1)
    page.get_by_role("button", name="Remove task 1").click()
    open_page(page, page.url)
    page.get_by_role("tab", name="Batch").click()
    expect(page.locator("#batch-tasks li")).to_have_count(0)


def test_two_tabs_keep_their_own_program_and_input(page: Page) -> None:
    write(page, "# of the first")
    page.click("#inputs summary")
    page.fill("#stdin", "first")
    other = page.context.new_page()
    open_page(other, page.url)
    write(other, "// of the second", "node")
    other.locator("#inputs").evaluate("details => (details.open = true)")
    other.fill("#stdin", "second")
    other.wait_for_timeout(SAVED_MILLISECONDS)
    open_page(page, page.url)
    expect(page.locator("#language")).to_have_value("python")
    assert page.input_value("#code") == "# of the first"
    expect(page.locator("#stdin")).to_have_value("first")
    write(page, "# of the first, continued")
    page.close()
    open_page(other, other.url)
    expect(other.locator("#language")).to_have_value("node")
    assert other.input_value("#code") == "// of the second"
    expect(other.locator("#stdin")).to_have_value("second")


def test_a_new_tab_begins_with_what_was_written_last(page: Page) -> None:
    write(page, "# earlier")
    page.wait_for_timeout(SAVED_MILLISECONDS)
    other = page.context.new_page()
    open_page(other, page.url)
    assert other.input_value("#code") == "# earlier"
    write(other, "# later")
    other.wait_for_timeout(SAVED_MILLISECONDS)
    third = page.context.new_page()
    open_page(third, page.url)
    assert third.input_value("#code") == "# later"
    assert page.input_value("#code") == "# earlier"


def test_a_tab_that_is_closed_leaves_its_program_to_the_next_one(page: Page) -> None:
    other = page.context.new_page()
    open_page(other, page.url)
    write(page, "# closed first")
    write(other, "# still open")
    other.wait_for_timeout(SAVED_MILLISECONDS)
    page.close(run_before_unload=True)
    other.wait_for_timeout(SAVED_MILLISECONDS)
    third = other.context.new_page()
    open_page(third, other.url)
    assert third.input_value("#code") == "# closed first"
    open_page(other, other.url)
    assert other.input_value("#code") == "# still open"


def test_a_copy_of_a_tab_begins_like_it_and_goes_its_own_way(page: Page) -> None:
    write(page, "# the original")
    page.wait_for_timeout(SAVED_MILLISECONDS)
    copy = copy_of(page)
    assert copy.input_value("#code") == "# the original"
    write(copy, "# the copy")
    copy.wait_for_timeout(SAVED_MILLISECONDS)
    open_page(page, page.url)
    assert page.input_value("#code") == "# the original"
    open_page(copy, copy.url)
    assert copy.input_value("#code") == "# the copy"


def test_a_copy_made_while_a_program_runs_does_not_say_that_it_was_reloaded(page: Page) -> None:
    write(page, LONG)
    page.click("#run")
    expect(page.locator("#output")).to_have_text("on\n")
    copy = copy_of(page)
    expect(badge(copy)).to_have_text("Ready")
    ended(page)
    expect(badge(page)).to_have_text("Finished")
    expect(badge(copy)).to_have_text("Ready")
    expect(copy.locator("#notice")).to_be_hidden()
