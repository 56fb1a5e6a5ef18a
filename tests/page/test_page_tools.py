"""The page in a real browser: projects, batches, the history, links and commands."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.page.support import Guard, badge, ended, history_items, open_page, run, write

ATTACK = "<img src=x onerror=alert(1)><b id=broken>"


def archive(files: dict[str, str]) -> FilePayload:
    """A ZIP as Playwright uploads it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(name, text)
    return {"name": "project.zip", "mimeType": "application/zip", "buffer": buffer.getvalue()}


# --- ZIP projects -----------------------------------------------------------------------------------------


def test_a_project_shows_its_files_proposes_its_entry_and_runs(page: Page) -> None:
    page.get_by_role("tab", name="ZIP project").click()
    page.set_input_files(
        "#zip-file",
        files=[archive({"main.py": "from lib.words import word\nprint(word)", "lib/words.py": "word = 'hi'"})],
    )
    expect(page.locator("#zip-files li .name")).to_have_text(["main.py", "lib/words.py"])
    expect(page.get_by_label("Entry file")).to_have_value("main.py")
    page.click("#run")
    expect(page.locator("#output")).to_have_text("hi\n")
    expect(badge(page)).to_have_text("Finished")


def test_another_entry_with_arguments_and_input_can_be_run(page: Page) -> None:
    page.get_by_role("tab", name="ZIP project").click()
    page.set_input_files(
        "#zip-file",
        files=[archive({"main.py": "print('main')", "tools/other.py": "import sys\nprint(sys.argv[1], input())"})],
    )
    page.get_by_label("Entry file").fill("tools/other.py")
    page.click("#inputs summary")
    page.fill("#args", "'an argument'")
    page.fill("#stdin", "a line")
    page.click("#run")
    expect(page.locator("#output")).to_have_text("an argument a line\n")


def test_a_node_project_switches_the_language(page: Page) -> None:
    page.get_by_role("tab", name="ZIP project").click()
    page.set_input_files(
        "#zip-file", files=[archive({"index.js": "console.log(require('./a.js'))", "a.js": "module.exports = 7"})]
    )
    expect(page.locator("#language")).to_have_value("node")
    expect(page.get_by_label("Entry file")).to_have_value("index.js")
    page.click("#run")
    expect(page.locator("#output")).to_have_text("7\n")


def test_a_project_can_be_dropped(page: Page) -> None:
    page.get_by_role("tab", name="ZIP project").click()
    data = base64.b64encode(archive({"app.py": "print('dropped')"})["buffer"]).decode()
    transfer = page.evaluate_handle(
        """async (data) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "dropped.zip", { type: "application/zip" }));
            return transfer;
        }""",
        data,
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(page.locator("#zip-title")).to_have_text("dropped.zip: 1 file")
    page.click("#run")
    expect(page.locator("#output")).to_have_text("dropped\n")


def test_what_is_no_archive_is_refused_at_once(page: Page) -> None:
    page.get_by_role("tab", name="ZIP project").click()
    page.set_input_files(
        "#zip-file", files=[{"name": "a.zip", "mimeType": "application/zip", "buffer": b"not a zip" * 9}]
    )
    expect(page.locator("#zip-problem")).to_have_text("This is not a ZIP archive, or it is damaged.")
    page.click("#run")
    expect(page.locator("#notice")).to_contain_text("Choose a ZIP archive first")


def test_an_archive_that_was_packed_again_is_to_be_chosen_again(page: Page, tmp_path: Path) -> None:
    project = tmp_path / "project.zip"

    def choose(text: str) -> None:
        project.write_bytes(archive({"main.py": f"print('{text}')"})["buffer"])
        with page.expect_file_chooser() as chooser:
            page.click("#zip-file")
        chooser.value.set_files(project)

    page.get_by_role("tab", name="ZIP project").click()
    choose("first")
    page.click("#run")
    expect(page.locator("#output")).to_have_text("first\n")
    project.write_bytes(archive({"main.py": "print('another length')"})["buffer"])
    page.click("#run")
    expect(page.locator("#notice")).to_contain_text("project.zip has changed on disk since it was chosen")
    expect(badge(page)).to_have_text("Refused")
    choose("second")
    page.click("#run")
    expect(page.locator("#output")).to_have_text("second\n")


def test_what_the_server_refuses_is_said_in_its_words(page: Page, guard: Guard) -> None:
    guard.refusals.add("/run-zip")
    page.get_by_role("tab", name="ZIP project").click()
    page.set_input_files("#zip-file", files=[archive({"../up.py": "print(1)"})])
    page.click("#run")
    ended(page)
    expect(badge(page)).to_have_text("Refused")
    expect(page.locator("#notice")).to_be_visible()


def test_markup_in_names_of_files_stays_text(page: Page) -> None:
    page.get_by_role("tab", name="ZIP project").click()
    upload = archive({f"{ATTACK}.py": "print(1)", "main.py": "print(2)"})
    page.set_input_files("#zip-file", files=[{**upload, "name": f"{ATTACK}.zip"}])
    expect(page.locator("#zip-files")).to_contain_text(ATTACK)
    page.click("#run")
    ended(page)
    expect(history_items(page).first).to_contain_text("<img")
    assert page.locator("#broken, main img").count() == 0


# --- Batch ------------------------------------------------------------------------------------------------


def test_marked_examples_run_side_by_side_with_their_times(page: Page) -> None:
    page.get_by_role("tab", name="Batch").click()
    for example in ("Hello", "Arithmetic", "Read /etc/passwd", "Write /tmp", "Node hello"):
        page.get_by_role("checkbox", name=example, exact=True).check()
    page.get_by_role("button", name="Run the batch").click()
    expect(page.locator("#batch-state")).to_contain_text("5 tasks in")
    tasks = page.locator(".task")
    expect(tasks.locator(".badge")).to_have_text(["Finished", "Finished", "Finished", "Exit 1", "Finished"])
    expect(tasks.nth(0).locator(".console")).to_have_text("Hello, world!\n")
    expect(tasks.nth(4).locator(".console")).to_contain_text("Hello from Node.js")
    for number in range(5):
        expect(tasks.nth(number).locator(".meta")).to_contain_text("s · CPU")
    tops = {round(box["y"]) for number in range(5) if (box := tasks.nth(number).bounding_box())}
    assert len(tops) == 1


def test_a_list_can_be_edited_and_has_room_for_five(page: Page) -> None:
    page.get_by_role("tab", name="Batch").click()
    for number in range(1, 6):
        page.get_by_role("button", name="Add a task").click()
        page.get_by_label(f"Code of task {number}").fill(f"print({number} * 11)")
    page.get_by_role("button", name="Add a task").click()
    expect(page.locator("#toast")).to_contain_text("at most 5 tasks")
    page.get_by_role("button", name="Remove task 2").click()
    expect(page.locator(".task")).to_have_count(4)
    page.get_by_role("button", name="Run the batch").click()
    expect(page.locator(".task .console")).to_have_text(["11\n", "33\n", "44\n", "55\n"])


def test_a_batch_takes_the_current_program_with_its_input(page: Page) -> None:
    page.click("#inputs summary")
    page.fill("#stdin", "given")
    write(page, "print(input().upper())")
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("button", name="Add the current program").click()
    page.get_by_role("button", name="Run the batch").click()
    expect(page.locator(".task .console")).to_have_text("GIVEN\n")


def test_a_batch_with_an_impossible_task_names_it_and_runs_nothing(page: Page, guard: Guard) -> None:
    guard.refusals.add("/run-batch")
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("checkbox", name="Hello", exact=True).check()
    page.get_by_role("checkbox", name="Over 5000 characters").check()
    page.get_by_role("button", name="Run the batch").click()
    expect(page.locator("#batch-notice")).to_contain_text("Task 2: The code has")
    expect(page.locator(".task .number")).to_have_text(["1.", "2."])
    expect(page.locator(".task .badge")).to_have_text(["Not run", "Not run"])


def test_tabs_are_chosen_with_the_arrow_keys(page: Page) -> None:
    page.focus("#tab-code")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-zip")).to_be_focused()
    expect(page.locator("#panel-zip")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#code")).to_be_visible()


# --- History ----------------------------------------------------------------------------------------------


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
    run(page, f"'''{ATTACK}'''; print(1)")
    expect(history_items(page).first).to_contain_text(ATTACK)
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


# --- Links and commands -----------------------------------------------------------------------------------


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
        {"l": "perl", "c": "1", "a": [], "i": ""},
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
    open_page(other, link_to(server_url, {"l": "python", "c": ATTACK, "a": [ATTACK], "i": ATTACK}))
    assert other.input_value("#code") == ATTACK
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
