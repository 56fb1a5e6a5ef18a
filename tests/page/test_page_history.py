"""The page in a real browser: the history of past runs."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Request, expect

from tests.page.support import MARKUP, Guard, badge, ended, history_items, open_page, run, write


def test_a_past_run_comes_back_with_code_input_and_result_and_is_not_run(page: Page) -> None:
    page.click("#inputs summary")
    page.fill("#args", "'a b' c")
    run(page, "import sys\nprint('from the past', sys.argv[1])\nsys.exit(9)")
    run(page, "console.log('later')", "node")
    expect(history_items(page).nth(0)).to_contain_text("later")
    before = history_items(page).count()
    history_items(page).nth(1).locator(".open").click()
    expect(page.locator("#language")).to_have_value("python")
    assert "from the past" in page.input_value("#code")
    expect(page.locator("#args")).to_have_value("'a b' c")
    expect(page.locator("#output")).to_have_text("from the past a b\n")
    expect(badge(page)).to_have_text("Exit 9")
    assert history_items(page).count() == before


def test_history_is_searched_and_filtered(page: Page) -> None:
    run(page, "print('needle-one')")
    run(page, "console.log('needle-two'); process.exit(5)", "node")
    page.fill("#history-search", "needle-")
    expect(history_items(page)).to_have_count(2)
    page.select_option("#history-language", "python")
    expect(history_items(page)).to_have_count(1)
    expect(history_items(page)).to_contain_text("needle-one")
    page.select_option("#history-language", "")
    page.select_option("#history-status", "error")
    expect(history_items(page)).to_have_count(1)
    expect(history_items(page)).to_contain_text("Exit 5")
    page.fill("#history-search", "nothing like this")
    expect(page.locator("#history-state")).to_have_text("No run matches.")


def test_a_past_run_is_run_again_and_deleted(page: Page) -> None:
    run(page, "print('again-and-again')")
    page.fill("#history-search", "again-and-again")
    expect(history_items(page)).to_have_count(1)
    write(page, "something else")
    history_items(page).get_by_role("button", name="Run again").click()
    ended(page)
    expect(page.locator("#output")).to_have_text("again-and-again\n")
    expect(history_items(page)).to_have_count(2)
    history_items(page).first.get_by_role("button", name="Delete").click()
    expect(history_items(page)).to_have_count(1)


def list_of_35(page: Page, server_url: str, mark: str) -> None:
    """Runs whose code has that mark, the newest 30 of which are listed."""
    for _ in range(7):
        tasks = [{"code": f"pass {mark}", "language": "python"}] * 5
        assert page.request.post(f"{server_url}/run-batch", data={"tasks": tasks}).ok
    with page.expect_response(lambda answer: "/history?" in answer.url and "q=%23" in answer.url):
        page.fill("#history-search", mark)
    expect(history_items(page)).to_have_count(30)


def test_a_tab_that_is_come_back_to_lists_what_was_run_in_another(page: Page) -> None:
    other = page.context.new_page()
    open_page(other, page.url)
    run(other, "print('in the other tab')")
    expect(history_items(other).first).to_contain_text("in the other tab")
    expect(history_items(page).filter(has_text="in the other tab")).to_have_count(0)
    # Without a window no tab is ever hidden.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(history_items(page).first).to_contain_text("in the other tab")


def test_history_loads_more_on_scrolling(page: Page, server_url: str) -> None:
    list_of_35(page, server_url, "# many")
    expect(page.locator("#history-state")).to_have_text("Scroll for more.")
    page.locator("#history-scroll").evaluate("box => box.scrollTo(0, box.scrollHeight)")
    expect(history_items(page)).to_have_count(35)


def test_deleting_the_rows_in_view_brings_the_older_ones(page: Page, server_url: str) -> None:
    list_of_35(page, server_url, "# rows")
    # The next page begins after the last row of this one, which is gone by then.
    assert page.request.delete(f"{server_url}/history/{history_items(page).last.get_attribute('data-id')}").ok
    for left in range(29, 19, -1):
        history_items(page).first.get_by_role("button", name="Delete").click()
        expect(history_items(page)).to_have_count(left)
    page.set_viewport_size({"width": 1280, "height": 2400})
    history_items(page).first.get_by_role("button", name="Delete").click()
    expect(history_items(page)).to_have_count(24)
    page.set_viewport_size({"width": 1280, "height": 800})


def unavailable(page: Page, guard: Guard) -> None:
    """From now on the history answers 503."""
    guard.refusals.add("/history")
    problem = {"error": "The history cannot be read at the moment.", "code": "history_unavailable"}
    page.route("**/history?*", lambda route: route.fulfill(status=503, json=problem))


@pytest.mark.parametrize("why", ["offline", "503"])
def test_a_history_that_cannot_be_loaded_is_asked_for_once(page: Page, guard: Guard, server_url: str, why: str) -> None:
    mark = f"# {why}"
    list_of_35(page, server_url, mark)
    if why == "503":
        unavailable(page, guard)
    else:
        guard.refusals |= {"/history", "/me", "/readyz"}
        page.context.set_offline(True)
    first = "/me" if why == "offline" else "/history?"
    asked: list[str] = []

    def count(request: Request) -> None:
        if first in request.url:
            asked.append(request.url)

    page.on("request", count)
    page.select_option("#history-language", "python")
    expect(page.locator("#history-state")).to_contain_text("This device is offline" if why == "offline" else "cannot")
    for distance in range(0, 3000, 100):
        page.locator("#history-scroll").evaluate("(box, top) => box.scrollTo(0, top)", distance)
        page.wait_for_timeout(100)
    assert len(asked) == 1
    page.context.set_offline(False)
    page.unroute("**/history?*")
    if why == "503":
        page.get_by_role("button", name="Try again").click()
        expect(page.locator("#history-scroll")).to_be_focused()
    expect(history_items(page)).to_have_count(35)
    expect(page.locator("#history-again")).to_be_hidden()


def test_a_page_of_the_history_that_did_not_come_is_asked_for_again(page: Page, guard: Guard, server_url: str) -> None:
    list_of_35(page, server_url, "# late")
    unavailable(page, guard)
    page.locator("#history-scroll").evaluate("box => box.scrollTo(0, box.scrollHeight)")
    expect(page.locator("#history-state")).to_have_text("The history cannot be read at the moment.")
    expect(history_items(page)).to_have_count(30)
    page.unroute("**/history?*")
    page.get_by_role("button", name="Try again").click()
    expect(history_items(page)).to_have_count(35)


def test_a_history_that_was_unavailable_comes_when_the_server_is_ready_again(page: Page, guard: Guard) -> None:
    run(page, "print('soon seen')")
    unavailable(page, guard)
    page.fill("#history-search", "soon seen")
    expect(page.locator("#history-again")).to_be_visible()
    page.unroute("**/history?*")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(history_items(page)).to_have_count(1)
    expect(page.locator("#history-again")).to_be_hidden()


def test_the_times_of_past_runs_grow_older(page: Page, server_url: str) -> None:
    page.clock.install()
    open_page(page, server_url)
    run(page, "print('soon old')")
    expect(history_items(page).first.locator("time")).to_have_text("just now")
    page.clock.fast_forward("12:00")
    expect(history_items(page).first.locator("time")).to_have_text("12 min ago")


def test_past_runs_stay_inside_their_card(page: Page) -> None:
    run(page, "print(1)")
    for width in (500, 1000, 1300):
        page.set_viewport_size({"width": width, "height": 800})
        bottom = "box => box.getBoundingClientRect().bottom"
        assert page.locator("#history-scroll").evaluate(bottom) <= page.locator(".history").evaluate(bottom), width
    page.set_viewport_size({"width": 1280, "height": 800})


def test_markup_in_the_history_stays_text(page: Page) -> None:
    run(page, f"'''{MARKUP}'''; print(1)")
    expect(history_items(page).first).to_contain_text(MARKUP)
    history_items(page).first.locator(".open").click()
    assert page.locator("#broken, main img").count() == 0


def test_all_past_runs_are_deleted_only_after_a_question(page: Page) -> None:
    run(page, "print('to be deleted')")
    expect(history_items(page).first).to_contain_text("to be deleted")
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("button", name="Keep them").click()
    expect(history_items(page).first).to_contain_text("to be deleted")
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
    expect(page.locator("#history-state")).to_have_text("Nothing has been run yet.")
