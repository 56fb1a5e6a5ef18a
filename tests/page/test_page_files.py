"""The page in a real browser: programs of several files."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests import zips
from tests.fakes import row
from tests.page.staged import Stage
from tests.page.support import MARKUP, archive, open_page, write

PROJECT = {"main.py": "import lib.words", "lib/words.py": "word = 'hi'", "data.bin": b"\x00\xff\x00"}

DROP = """(place, files) => {
    // What a browser makes of a dropped folder cannot be made by a script.
    const entry = (path, content) => ({
        isDirectory: false, fullPath: `/${path}`, file: (done) => done(new File([content], path.split("/").at(-1))),
    });
    const folder = (name, inner) => ({
        isDirectory: true, fullPath: `/${name}`,
        createReader: () => ({ readEntries: (done) => done(inner.splice(0, 1)) }),
    });
    const entries = Object.entries(files).map(([path, content]) => entry(path, content));
    const tops = new Set(Object.keys(files).map((path) => path.split("/")[0]));
    const items = [...tops].map((top) => {
        const inside = entries.filter(({ fullPath }) => fullPath.startsWith(`/${top}/`));
        const one = inside.length ? folder(top, inside) : entries.find(({ fullPath }) => fullPath === `/${top}`);
        return { webkitGetAsEntry: () => one };
    });
    const event = new Event("drop", { bubbles: true, cancelable: true });
    Object.defineProperty(event, "dataTransfer", { value: { types: ["Files"], items } });
    place.dispatchEvent(event);
}"""


def tabs(page: Page) -> Locator:
    return page.get_by_role("tablist", name="Files").get_by_role("tab")


def names(page: Page) -> Locator:
    return tabs(page).locator(".name")


def add(page: Page, path: str, text: str = "") -> None:
    page.get_by_role("button", name="Add a file").click()
    page.get_by_role("dialog").get_by_label("Name").fill(path)
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    page.fill("#code", text)


def choose(page: Page, path: str) -> None:
    tabs(page).and_(page.locator(f"[data-path='{path}']")).click()


def ask(page: Page) -> Locator:
    """The dialog about the file that is shown."""
    page.get_by_role("button", name="Rename, delete or start").click()
    return page.get_by_role("dialog")


def zip_of(files: dict[str, Any]) -> FilePayload:
    return {"name": "project.zip", "mimeType": "application/zip", "buffer": zips.zip_of(files)}


def open_zip(page: Page, payload: FilePayload) -> None:
    page.set_input_files("#add-files-input", files=[payload])


def sent(stage: Stage) -> dict[str, Any]:
    """What Run sends."""
    stage.will()
    stage.run()
    return stage.asked[-1]


# --- One file ---------------------------------------------------------------------------------------------


def test_whoever_has_one_file_sees_no_tabs_and_sends_code(stage: Stage) -> None:
    expect(stage.page.get_by_role("tablist", name="Files")).to_be_hidden()
    expect(stage.page.get_by_role("button", name="Rename, delete or start")).to_be_hidden()
    expect(stage.page.get_by_role("button", name="Add a file")).to_have_text("+")
    write(stage.page, "print(1)")
    assert sent(stage) == {"code": "print(1)", "language": "python", "args": [], "stdin": "", "artifacts": ["**"]}


# --- Tabs -------------------------------------------------------------------------------------------------


def test_an_added_file_is_a_tab_and_is_sent_with_the_entry(stage: Stage) -> None:
    page = stage.page
    write(page, "import helper")
    page.get_by_role("button", name="Add a file").click()
    expect(page.get_by_role("dialog").get_by_label("Name")).to_have_value("helper.py")
    page.keyboard.press("Enter")
    expect(names(page)).to_have_text(["main.py", "helper.py"])
    expect(page.locator("#code")).to_be_focused()
    page.keyboard.type("x = 1")
    choose(page, "main.py")
    assert page.input_value("#code") == "import helper"
    choose(page, "helper.py")
    assert page.input_value("#code") == "x = 1"
    asked = sent(stage)
    assert (asked["files"], asked["entry"]) == ({"main.py": "import helper", "helper.py": "x = 1"}, "main.py")
    assert "code" not in asked


def test_tabs_say_what_they_are_to_a_screen_reader(stage: Stage) -> None:
    page = stage.page
    add(page, "helper.py")
    expect(page.get_by_role("tab", name="main.py, runs first", selected=False)).to_have_count(1)
    expect(page.get_by_role("tab", name="helper.py", exact=True, selected=True)).to_have_count(1)
    expect(page.get_by_role("tabpanel", name="helper.py", exact=True).get_by_label("Code", exact=True)).to_be_visible()


def test_tabs_are_used_with_the_keyboard_alone(stage: Stage) -> None:
    page = stage.page
    add(page, "b.py", "b")
    add(page, "c.py", "c")
    tabs(page).last.focus()
    for key, path in {"ArrowRight": "main.py", "ArrowLeft": "c.py", "Home": "main.py", "End": "c.py"}.items():
        page.keyboard.press(key)
        expect(page.locator("[role=tab]:focus")).to_have_attribute("data-path", path)
        expect(page.locator("#file-tabs [aria-selected=true]")).to_have_attribute("data-path", path)
    page.keyboard.press("F2")
    page.keyboard.type("d.py")
    page.keyboard.press("Enter")
    expect(names(page)).to_have_text(["main.py", "b.py", "d.py"])
    tabs(page).last.focus()
    page.keyboard.press("Delete")
    expect(names(page)).to_have_text(["main.py", "b.py"])
    page.get_by_role("button", name="Undo").click()
    expect(names(page)).to_have_text(["main.py", "b.py", "d.py"])
    assert page.input_value("#code") == "c"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "needs a name"),
        ("main.py", "a file main.py already"),
        ("../up.py", "from the program's folder"),
        ("/abs.py", "from the program's folder"),
        ("a\\b.py", "neither backslashes"),
        ("main.py/x.py", "main.py is in the way"),
        ("x" * 300, "No part of a name"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused_at_once(stage: Stage, path: str, problem: str) -> None:
    page = stage.page
    page.get_by_role("button", name="Add a file").click()
    page.get_by_role("dialog").get_by_label("Name").fill(path)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(problem)
    page.keyboard.press("Escape")
    expect(tabs(page)).to_have_count(0)


def test_the_entry_is_marked_and_another_file_can_become_it(stage: Stage) -> None:
    page = stage.page
    add(page, "other.py", "2")
    dialog = ask(page)
    dialog.get_by_role("button", name="Start with this file").click()
    expect(page.get_by_role("tab", name="other.py, runs first")).to_have_count(1)
    assert sent(stage)["entry"] == "other.py"
    dialog = ask(page)
    expect(dialog).to_contain_text("The program begins with this file.")
    expect(dialog.get_by_role("button", name="Start with this file")).to_be_disabled()
    dialog.get_by_label("Name").fill("first.py")
    page.keyboard.press("Enter")
    assert sent(stage)["entry"] == "first.py"
    ask(page).get_by_role("button", name="Delete").click()
    expect(page.get_by_role("tablist", name="Files")).to_be_hidden()
    assert "code" in sent(stage)


def test_a_program_that_begins_with_a_file_of_another_language_is_one_of_that(stage: Stage) -> None:
    page = stage.page
    add(page, "tool.js", "1")
    ask(page).get_by_role("button", name="Start with this file").click()
    expect(page.locator("#language")).to_have_value("node")
    asked = sent(stage)
    assert (asked["language"], asked["entry"]) == ("node", "tool.js")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#language")).to_have_value("python")
    expect(names(page)).to_have_text(["main.py", "tool.js"])


def test_an_entry_that_is_renamed_to_another_language_is_run_in_that(stage: Stage) -> None:
    page = stage.page
    add(page, "b.py")
    choose(page, "main.py")
    ask(page).get_by_label("Name").fill("main.js")
    page.keyboard.press("Enter")
    expect(page.locator("#language")).to_have_value("node")
    expect(page.locator("#toast")).to_contain_text("The program is one of Node.js 20 now.")
    expect(names(page)).to_have_text(["main.js", "b.py"])
    asked = sent(stage)
    assert (asked["language"], asked["entry"]) == ("node", "main.js")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#language")).to_have_value("python")
    expect(names(page)).to_have_text(["main.py", "b.py"])


def test_no_entry_gets_a_name_that_the_server_would_refuse(stage: Stage) -> None:
    page = stage.page
    sentence = "A program in Python 3.11 begins with a file whose name ends in .py."
    add(page, "notes.txt")
    choose(page, "main.py")
    dialog = ask(page)
    dialog.get_by_label("Name").fill("main.txt")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text(sentence)
    page.keyboard.press("Escape")
    choose(page, "notes.txt")
    ask(page).get_by_role("button", name="Start with this file").click()
    expect(page.locator("#toast")).to_have_text(sentence)
    assert sent(stage)["entry"] == "main.py"
    ask(page).get_by_label("Name").fill("words.txt")
    page.keyboard.press("Enter")
    expect(names(page)).to_have_text(["main.py", "words.txt"])


def test_each_file_has_the_colours_of_its_language(stage: Stage) -> None:
    page = stage.page
    add(page, "tool.js", "const x = 1")
    expect(page.locator(".token.keyword")).to_have_text("const")
    add(page, "notes.txt", "if const def")
    expect(page.locator(".token")).to_have_count(0)


def test_a_file_is_shown_where_it_was_left(stage: Stage) -> None:
    page = stage.page
    write(page, "line\n" * 300)
    add(page, "b.py", "b")
    choose(page, "main.py")
    page.focus("#code")
    page.keyboard.press("Control+End")
    page.wait_for_timeout(100)
    top = page.locator(".prism-code-editor").evaluate("box => box.scrollTop")
    assert top > 1000
    choose(page, "b.py")
    choose(page, "main.py")
    assert page.locator(".prism-code-editor").evaluate("box => box.scrollTop") == top
    assert page.locator("#code").evaluate("box => box.selectionStart") == 1500


def test_a_project_may_be_longer_than_a_single_file(stage: Stage) -> None:
    page = stage.page
    write(page, "#" * 6000)
    page.click("#run")
    expect(page.locator("#notice")).to_contain_text("the limit is 5000. Shorten it, or make it two files with +.")
    add(page, "b.py")
    choose(page, "main.py")
    expect(page.locator("#counter")).to_have_text("6,000 characters")
    expect(page.locator("#counter")).not_to_have_class("over")
    assert len(sent(stage)["files"]["main.py"]) == 6000


def test_markup_in_names_of_tabs_stays_text(stage: Stage) -> None:
    add(stage.page, f"{MARKUP}.py")
    expect(names(stage.page).last).to_have_text(f"{MARKUP}.py")
    assert stage.page.locator("#broken, main img").count() == 0


# --- Coming in, going out ---------------------------------------------------------------------------------


def test_a_zip_opens_as_tabs_and_what_is_no_text_is_kept(stage: Stage) -> None:
    page = stage.page
    open_zip(page, zip_of(PROJECT))
    expect(names(page)).to_have_text(["main.py", "lib/words.py", "data.bin"])
    expect(page.locator("#toast")).to_contain_text("3 files opened; nothing was run.")
    assert page.input_value("#code") == "import lib.words"
    choose(page, "data.bin")
    expect(page.locator("#binary")).to_have_text("data.bin is no text. The program gets its 3 B as they are.")
    expect(page.locator("#code")).to_be_hidden()
    asked = sent(stage)
    assert asked["files"] == PROJECT | {"data.bin": {"base64": base64.b64encode(b"\x00\xff\x00").decode()}}
    assert asked["entry"] == "main.py"


def test_a_project_is_downloaded_as_a_zip_that_holds_the_same(stage: Stage, tmp_path: Path) -> None:
    page = stage.page
    files = PROJECT | {"größe.txt": "ä\r\nö\r\n", "bom.csv": b"\xef\xbb\xbfa,b\r\n", "empty.txt": ""}
    open_zip(page, zip_of(files))
    choose(page, "bom.csv")
    choose(page, "main.py")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download all files as a ZIP").click()
    assert saved.value.suggested_filename == "project.zip"
    data = saved.value.path().read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        assert made.testzip() is None
        expected = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
        assert {name: made.read(name) for name in made.namelist()} == expected
    open_zip(page, {"name": "again.zip", "mimeType": "application/zip", "buffer": data})
    expect(names(page)).to_have_text(list(files))


def test_a_zip_whose_files_all_lie_in_one_folder_opens_without_it(stage: Stage) -> None:
    open_zip(stage.page, zip_of({"proj/index.js": "1", "proj/a/b.js": "2", "__MACOSX/proj/._b": "x"}))
    expect(names(stage.page)).to_have_text(["index.js", "a/b.js"])
    expect(stage.page.locator("#language")).to_have_value("node")


BROKEN = {
    "no archive": (b"not a zip" * 9, "This is not a ZIP archive, or it is damaged."),
    "encrypted": (zips.encrypted(), "main.py is encrypted."),
    "a bomb": (zips.bomb(), "bytes when unpacked; the limit is"),
    "a size that is a lie": (zips.lying_size(10, 1000), "damaged"),
    "out of the folder": (zips.traversal(), "../escape.py: A name says the way"),
    "cut": (zips.truncated(), "damaged"),
    "too many": (zips.many_entries(1001), "more than 1000 files"),
    "nothing": (zips.zip_of({"folder/": ""}), "There are no files in it."),
}


@pytest.mark.parametrize(("data", "sentence"), BROKEN.values(), ids=BROKEN)
def test_a_zip_that_cannot_be_opened_says_why_and_changes_nothing(stage: Stage, data: bytes, sentence: str) -> None:
    write(stage.page, "precious")
    open_zip(stage.page, {"name": "a.zip", "mimeType": "application/zip", "buffer": data})
    expect(stage.page.locator("#toast")).to_contain_text(sentence)
    expect(tabs(stage.page)).to_have_count(0)
    assert stage.page.input_value("#code") == "precious"


def test_opening_a_project_can_be_undone(stage: Stage) -> None:
    page = stage.page
    write(page, "precious")
    open_zip(page, zip_of({"index.js": "1", "b.js": "2"}))
    expect(page.locator("#language")).to_have_value("node")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#language")).to_have_value("python")
    assert page.input_value("#code") == "precious"


def test_a_dropped_program_takes_the_place_of_one_file(stage: Stage) -> None:
    page = stage.page
    page.locator("#editor").evaluate(DROP, {"hw1.py": "print(1)", "data.csv": "1,2"})
    expect(names(page)).to_have_text(["hw1.py", "data.csv"])
    expect(page.get_by_role("tab", name="hw1.py, runs first", selected=True)).to_have_count(1)


def test_a_file_that_is_chosen_is_added_to_what_was_written(stage: Stage) -> None:
    page = stage.page
    helper: FilePayload = {"name": "helper.py", "mimeType": "text/x-python", "buffer": b"x = 1"}
    page.set_input_files("#add-files-input", files=[helper])
    expect(names(page)).to_have_text(["helper.py"])
    page.get_by_role("button", name="Undo").click()
    expect(tabs(page)).to_have_count(0)
    write(page, "import helper")
    page.set_input_files("#add-files-input", files=[helper])
    expect(names(page)).to_have_text(["main.py", "helper.py"])
    expect(page.get_by_role("tab", name="main.py, runs first")).to_have_count(1)


def test_dropped_data_is_added_to_the_program(stage: Stage) -> None:
    page = stage.page
    write(page, "open('data/a.csv')")
    page.locator("#editor").evaluate(DROP, {"data/a.csv": "1", "data/sub/b.csv": "2", "data/__pycache__/x.pyc": "3"})
    expect(names(page)).to_have_text(["main.py", "data/a.csv", "data/sub/b.csv"])
    choose(page, "main.py")
    assert page.input_value("#code") == "open('data/a.csv')"


def test_a_folder_is_chosen(stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "proj"
    (folder / "lib").mkdir(parents=True)
    (folder / "app.py").write_text("import lib.x")
    (folder / "lib" / "x.py").write_text("1")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")
    stage.page.get_by_role("button", name="Add a file").click()
    with stage.page.expect_file_chooser() as chooser:
        stage.page.get_by_role("button", name="Open a folder").click()
    chooser.value.set_files(folder)
    expect(names(stage.page)).to_have_count(2)
    expect(stage.page.get_by_role("tab", name="app.py, runs first")).to_have_count(1)
    assert sent(stage)["files"] == {"app.py": "import lib.x", "lib/x.py": "1"}


def test_an_archive_of_the_zip_panel_can_be_edited(stage: Stage) -> None:
    page = stage.page
    page.get_by_role("tab", name="ZIP project").click()
    page.set_input_files("#zip-file", files=[archive({"main.py": "1", "b.py": "2"})])
    page.get_by_role("button", name="Open in the editor").click()
    expect(names(page)).to_have_text(["main.py", "b.py"])
    expect(page.locator("#code")).to_be_visible()


def test_a_link_carries_all_files(stage: Stage) -> None:
    page = stage.page
    open_zip(page, zip_of(PROJECT))
    expect(names(page)).to_have_count(3)
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#toast")).to_contain_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(tabs(page)).to_have_count(0)
    page.evaluate("link => (location.hash = new URL(link).hash)", link)
    expect(names(page)).to_have_text(list(PROJECT))


def test_a_command_carries_all_files(stage: Stage) -> None:
    page = stage.page
    open_zip(page, zip_of({"main.py": "it's", "b.py": ""}))
    expect(names(page)).to_have_count(2)
    page.get_by_role("button", name="Copy curl").click()
    expect(page.locator("#toast")).to_contain_text("curl command copied")
    command = page.evaluate("navigator.clipboard.readText()")
    body = json.loads(command.split("--data-binary ")[1].strip("'").replace("'\\''", "'"))
    assert (body["files"], body["entry"]) == ({"main.py": "it's", "b.py": ""}, "main.py")


@pytest.mark.parametrize(("button", "what"), [("Copy link", "a link"), ("Copy curl", "a command")])
def test_what_is_too_large_to_be_copied_is_said(stage: Stage, button: str, what: str) -> None:
    page = stage.page
    noise = base64.b64encode(bytes((index * index * 7919) >> 8 & 255 for index in range(150_000))).decode()
    open_zip(page, zip_of({"main.py": "1", "noise.txt": noise}))
    expect(names(page)).to_have_count(2)
    page.get_by_role("button", name=button).click()
    expect(page.locator("#toast")).to_have_text(f"The program is too large for {what}. Download it as a ZIP.")


def test_no_link_is_copied_that_would_not_be_opened(stage: Stage) -> None:
    page = stage.page
    open_zip(page, zip_of({"main.py": "1", "zeros.txt": "0" * 500_000}))
    expect(names(page)).to_have_count(2)
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#toast")).to_have_text("The program is too large for a link. Download it as a ZIP.")


def test_a_project_is_no_task_of_a_batch(stage: Stage) -> None:
    page = stage.page
    add(page, "b.py")
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("button", name="Add the current program").click()
    expect(page.locator("#toast")).to_have_text("A task here is a program of one file.")


# --- Kept -------------------------------------------------------------------------------------------------


def test_each_language_keeps_its_files_over_a_reload(stage: Stage) -> None:
    page = stage.page
    open_zip(page, zip_of(PROJECT))
    choose(page, "lib/words.py")
    page.fill("#code", "word = 'changed'")
    page.select_option("#language", "node")
    expect(tabs(page)).to_have_count(0)
    page.select_option("#language", "python")
    open_page(page, page.url)
    expect(names(page)).to_have_text(list(PROJECT))
    expect(page.get_by_role("tab", name="lib/words.py", selected=True)).to_have_count(1)
    assert page.input_value("#code") == "word = 'changed'"
    ask(page).get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Clear", exact=True).click()
    open_page(page, page.url)
    expect(tabs(page)).to_have_count(0)


def test_line_ends_stay_until_a_file_is_edited(stage: Stage) -> None:
    page = stage.page
    open_zip(page, zip_of({"main.py": "1", "a.csv": "1\r\n2\r\n"}))
    choose(page, "a.csv")
    choose(page, "main.py")
    assert sent(stage)["files"]["a.csv"] == "1\r\n2\r\n"


def test_a_project_that_the_browser_cannot_keep_is_said_to_be_lost_on_a_reload(stage: Stage) -> None:
    page = stage.page
    open_zip(page, zip_of({"main.py": "1", "large.txt": "x" * 6_000_000}))
    expect(page.locator("#toast")).to_contain_text("a reload would lose it. Download it as a ZIP.")


def test_a_past_run_of_files_shows_its_result_and_leaves_the_editor_alone(stage: Stage) -> None:
    page = stage.page
    past = row("0123456789abcdef", kind="files", code="", entry="main.py", output="from before\n")
    page.route("**/history**", lambda route: route.fulfill(
        json=past if route.request.url.endswith("ef") else {"history": [past], "next": None}
    ))  # fmt: skip
    open_page(page, page.url)
    write(page, "mine")
    expect(page.locator("#history-list .what")).to_have_text("main.py")
    expect(page.locator("#history-list").get_by_role("button", name="Run again")).to_have_count(0)
    page.locator("#history-list .open").click()
    expect(page.locator("#output")).to_have_text("from before\n")
    expect(page.locator("#toast")).to_have_text("This is its result. The history does not keep the files of a program.")
    assert page.input_value("#code") == "mine"


# --- Where ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (640, 400), (390, 844), (320, 640)])
def test_many_files_with_long_names_fit_every_window(stage: Stage, width: int, height: int) -> None:
    page = stage.page
    page.set_viewport_size({"width": width, "height": height})
    open_zip(page, zip_of({"main.py": "1"} | {f"{'long' * 12}/file{number}.py": "" for number in range(40)}))
    expect(names(page)).to_have_count(41)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    tabs(page).first.focus()
    page.keyboard.press("End")
    expect(tabs(page).last).to_be_in_viewport(ratio=0.9)
    for button in ("Add a file", "Rename, delete or start"):
        page.get_by_role("button", name=button).click()
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        box = page.get_by_role("dialog").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
        page.keyboard.press("Escape")
    box = page.locator("#editor").bounding_box()
    assert box and box["height"] >= 120
