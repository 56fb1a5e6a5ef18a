"""The page in a real browser: whose runs are seen, by whom, and what "Delete all" deletes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import requests
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.conftest import Server
from tests.page.conftest import Visit
from tests.page.support import archive, codes, history_items, keys_of, open_page, run, sign_in, write


@pytest.fixture
def ada(server: Server) -> str:
    """A key of that name."""
    return new_key(server, "ada")


@pytest.fixture
def root(server: Server) -> str:
    """An operator's key."""
    return new_key(server, "root", is_operator=True)


def new_key(server: Server, name: str, **options: bool) -> str:
    keys = keys_of(server.data_dir)
    keys.revoke(name)
    return keys.add(name, **options)


def run_as_nobody(server: Server, code: str) -> None:
    assert requests.post(f"{server.url}/run", json={"code": code}, timeout=60).ok


def who_sees(page: Page) -> str:
    return page.locator("#history-who").inner_text()


def marks(page: Page) -> list[str]:
    return page.locator("#history-list .whose").all_text_contents()


@pytest.fixture(autouse=True)
def nothing_has_been_run(server: Server, root: str) -> None:
    headers = {"Authorization": f"Bearer {root}"}
    assert requests.delete(f"{server.url}/history?owner=all", headers=headers, timeout=10).ok


# --- Who sees what ----------------------------------------------------------------------------------------


def test_a_browser_sees_its_own_runs_and_no_other_browsers(visit: Visit, server: Server) -> None:
    (one, _), (other, _) = visit(server.url), visit(server.url)
    run(one, "print('of one')")
    run(other, "print('of the other')")
    for page, code in ((one, "print('of one')"), (other, "print('of the other')")):
        page.reload()
        expect(history_items(page)).to_have_count(1)
        assert codes(page) == [code]
        expect(page.get_by_role("heading", name="Your history")).to_be_visible()
        assert who_sees(page).startswith("Only this browser sees these runs.")
        assert "clear its cookies, you lose sight" in who_sees(page)


def test_what_nobody_ran_is_marked_and_explained_where_it_is_seen(visit: Visit, server: Server) -> None:
    page, _ = visit(server.url)
    run(page, "print('mine')")
    expect(page.locator("#history-anyones")).to_be_hidden()
    run_as_nobody(server, "print('by curl')")
    page.reload()
    expect(history_items(page)).to_have_count(2)
    expect(page.locator("#history-list .whose")).to_have_text(["anyone's"])
    expect(history_items(page).first).to_contain_text("by curl")
    expect(page.locator("#history-anyones")).to_contain_text("without this page and without a key")
    expect(page.locator("#history-anyones")).to_contain_text("everybody sees them")
    history_items(page).first.get_by_role("button", name="Delete").click()
    expect(page.locator("#history-anyones")).to_be_hidden()


def test_whoever_has_a_key_sees_its_runs_in_every_browser(visit: Visit, server: Server, ada: str) -> None:
    (one, _), (other, _) = visit(server.url), visit(server.url)
    run(one, "print('without a key')")
    sign_in(one, ada)
    expect(page_state(one)).to_have_text("Nothing has been run yet.")
    run(one, "print('with a key')")
    sign_in(other, ada)
    expect(history_items(other)).to_have_count(1)
    assert codes(other) == ["print('with a key')"]
    assert who_sees(other) == "Signed in as ada: whoever has this key sees these runs."
    expect(other.locator("header")).to_contain_text("Signed in as ada")


def page_state(page: Page) -> Locator:
    return page.locator("#history-state")


def test_an_operator_sees_everybodys_runs_and_whose_each_is(visit: Visit, server: Server, ada: str, root: str) -> None:
    (pupil, _), (holder, _), (operator, _) = (visit(server.url) for _ in range(3))
    run(pupil, "print('a browser')")
    sign_in(holder, ada)
    run(holder, "print('a key')")
    run_as_nobody(server, "print('nobody')")
    sign_in(operator, root)
    run(operator, "print('an operator')")
    expect(history_items(operator)).to_have_count(4)
    assert marks(operator)[:3] == ["yours", "anyone's", "ada"]
    assert re.fullmatch("browser [0-9a-f]{4}", marks(operator)[3])
    assert who_sees(operator) == "Signed in as root, an operator: you see everybody's runs."
    expect(operator.get_by_role("heading", name="Everybody's history")).to_be_visible()


def test_a_browser_without_a_cookie_is_told_that_everybody_sees_its_runs(visit: Visit, server: Server) -> None:
    page, _ = visit(server.url)
    page.context.clear_cookies()
    run(page, "print('seen by all')")
    expect(page.locator("#history-who")).to_contain_text("your runs are anyone's: everybody sees them")
    expect(page.locator("#history-list .whose")).to_have_text(["anyone's"])
    page.reload()
    expect(page.locator("#history-who")).to_contain_text("Only this browser sees these runs.")


# --- Several tabs -----------------------------------------------------------------------------------------


def second_tab(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    open_page(page, url)
    return page


def test_signing_in_and_out_in_one_tab_is_seen_in_the_others(visit: Visit, server: Server, ada: str) -> None:
    page, _ = visit(server.url)
    run(page, "print('of the browser')")
    other = second_tab(page.context, server.url)
    expect(history_items(other)).to_have_count(1)
    sign_in(page, ada)
    expect(other.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page_state(other)).to_have_text("Nothing has been run yet.")
    run(other, "print('of ada')")
    other.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page_state(page)).to_have_text("Nothing has been run yet.")


def test_a_tab_that_was_not_told_notices_at_its_next_request(visit: Visit, server: Server, ada: str) -> None:
    page, _ = visit(server.url)
    sign_in(page, ada)
    run(page, "print('of ada')")
    assert page.context.request.post(f"{server.url}/sign-out").ok
    run(page, "print('of the browser')")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(history_items(page)).to_have_count(1)
    assert codes(page) == ["print('of the browser')"]


def test_delete_all_of_a_tab_that_was_not_told_shows_whose_runs_are_seen_now_and_asks_nothing(
    visit: Visit, server: Server, ada: str
) -> None:
    page, _ = visit(server.url)
    sign_in(page, ada)
    run(page, "print('of ada')")
    assert page.context.request.post(f"{server.url}/sign-out").ok
    page.get_by_role("button", name="Delete all").click()
    expect(page_state(page)).to_have_text("Nothing has been run yet.")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#toast")).to_contain_text("No longer signed in as ada")


def test_a_page_that_the_browser_brings_back_looks_who_it_is(visit: Visit, server: Server, ada: str) -> None:
    page, _ = visit(server.url)
    sign_in(page, ada)
    run(page, "print('of ada')")
    expect(history_items(page)).to_have_count(1)
    assert page.context.request.post(f"{server.url}/sign-out").ok
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page_state(page)).to_have_text("Nothing has been run yet.")
    expect(history_items(page)).to_have_count(0)


def test_a_question_about_deleting_is_gone_when_it_is_about_somebody_else(
    visit: Visit, server: Server, ada: str
) -> None:
    page, _ = visit(server.url)
    other = second_tab(page.context, server.url)
    page.get_by_role("button", name="Delete all").click()
    expect(page.get_by_role("dialog", name="Delete past runs?")).to_contain_text("the runs of this browser")
    sign_in(other, ada)
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_older_runs_of_one_owner_are_never_put_below_those_of_another(visit: Visit, server: Server, ada: str) -> None:
    page, _ = visit(server.url)
    sign_in(page, ada)
    tasks = [{"code": "pass # of ada", "language": "python"}] * 5
    for _ in range(7):
        assert page.context.request.post(f"{server.url}/run-batch", data={"tasks": tasks}).ok
    page.reload()
    expect(history_items(page)).to_have_count(30)
    assert page.context.request.post(f"{server.url}/sign-out").ok
    page.locator("#history-scroll").evaluate("box => box.scrollTo(0, box.scrollHeight)")
    expect(page_state(page)).to_have_text("Nothing has been run yet.")
    expect(history_items(page)).to_have_count(0)


# --- Delete all -------------------------------------------------------------------------------------------


def test_deleting_all_says_what_that_is_and_leaves_what_is_other_peoples(visit: Visit, server: Server) -> None:
    (one, _), (other, _) = visit(server.url), visit(server.url)
    run(one, "print('of one')")
    run(other, "print('of the other')")
    run_as_nobody(server, "print('nobody')")
    one.get_by_role("button", name="Delete all").click()
    dialog = one.get_by_role("dialog", name="Delete past runs?")
    expect(dialog).to_contain_text("This deletes the runs of this browser and, for everybody, those that are anyone's")
    expect(dialog.get_by_role("button", name="everybody's")).to_be_hidden()
    expect(dialog).to_have_accessible_description(re.compile("the runs of this browser.*cannot be undone"))
    dialog.get_by_role("button", name="Delete all").click()
    expect(page_state(one)).to_have_text("Nothing has been run yet.")
    other.reload()
    expect(history_items(other)).to_have_count(1)
    assert codes(other) == ["print('of the other')"]


def test_deleting_all_says_that_a_search_does_not_save_what_it_hides(visit: Visit, server: Server) -> None:
    page, _ = visit(server.url)
    hidden = page.get_by_text("Those that do not match the search are deleted, too.")
    page.get_by_role("button", name="Delete all").click()
    expect(page.get_by_role("dialog", name="Delete past runs?")).to_be_visible()
    expect(hidden).to_be_hidden()
    page.keyboard.press("Escape")
    page.fill("#history-search", "needle")
    page.get_by_role("button", name="Delete all").click()
    expect(hidden).to_be_visible()


@pytest.mark.parametrize(("choice", "left"), [("Delete mine and anyone's", 1), ("Delete everybody's", 0)])
def test_an_operator_chooses_between_his_own_and_everybodys(
    visit: Visit, server: Server, root: str, choice: str, left: int
) -> None:
    (pupil, _), (operator, _) = visit(server.url), visit(server.url)
    run(pupil, "print('a browser')")
    run_as_nobody(server, "print('nobody')")
    sign_in(operator, root)
    run(operator, "print('an operator')")
    expect(history_items(operator)).to_have_count(3)
    operator.get_by_role("button", name="Delete all").click()
    dialog = operator.get_by_role("dialog", name="Delete past runs?")
    expect(dialog).to_contain_text("Mine are the runs of the key root")
    expect(dialog).to_contain_text("Everybody's are all runs that this server has kept.")
    expect(dialog.get_by_role("button", name="Keep them")).to_be_focused()
    dialog.get_by_role("button", name=choice).click()
    expect(operator.locator("#toast")).to_have_text(f"{3 - left} runs deleted.")
    expect(history_items(operator)).to_have_count(left)


# --- The command for a terminal ---------------------------------------------------------------------------


def copied(page: Page) -> str:
    page.click("#curl")
    expect(page.locator("#toast")).to_contain_text("curl command copied.")
    return str(page.evaluate("navigator.clipboard.readText()"))


@pytest.mark.parametrize("kind", ["program", "project"])
def test_the_curl_command_of_whoever_has_a_key_takes_it_from_the_shell(
    visit: Visit, server: Server, ada: str, tmp_path: Path, kind: str
) -> None:
    page, _ = visit(server.url)
    sign_in(page, ada)
    if kind == "program":
        write(page, "print('by ada')")
    else:
        page.get_by_role("tab", name="ZIP project").click()
        project = archive({"main.py": "print('by ada')"})
        page.set_input_files("#zip-file", files=[project])
        (tmp_path / project["name"]).write_bytes(project["buffer"])
    command = copied(page)
    expect(page.locator("#toast")).to_contain_text("Set SCE_KEY to your key before you run it.")
    assert '-H "Authorization: Bearer $SCE_KEY"' in command
    assert ada not in command
    environment = {**os.environ, "SCE_KEY": ada}
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert json.loads(done.stdout)["output"] == "by ada\n", done
    page.reload()
    expect(history_items(page)).to_have_count(1)
    assert marks(page) == []


def test_the_curl_command_without_a_key_asks_for_none(visit: Visit, server: Server) -> None:
    page, _ = visit(server.url)
    write(page, "print(1)")
    assert "Authorization" not in copied(page)
    expect(page.locator("#toast")).to_have_text("curl command copied.")
