"""The page in a real browser: projects and batches."""

from __future__ import annotations

import base64
from pathlib import Path

from playwright.sync_api import FilePayload, Page, expect

from tests.page.support import MARKUP, Guard, archive, badge, ended, history_items, write

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
        "#zip-file", files=[FilePayload(name="a.zip", mimeType="application/zip", buffer=b"not a zip" * 9)]
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
    upload = archive({f"{MARKUP}.py": "print(1)", "main.py": "print(2)"})
    page.set_input_files(
        "#zip-file", files=[FilePayload(name=f"{MARKUP}.zip", mimeType=upload["mimeType"], buffer=upload["buffer"])]
    )
    expect(page.locator("#zip-files")).to_contain_text(MARKUP)
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
