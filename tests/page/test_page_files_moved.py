"""The page in a real browser: how the files of a program come in, and go out."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, expect

from tests import zips
from tests.page.files import PROJECT, add, choose, names, open_zip, sent, tabs, zip_of
from tests.page.staged import Stage
from tests.page.support import archive, write

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
