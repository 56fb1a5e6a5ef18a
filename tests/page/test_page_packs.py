"""The page in a real browser: the list of languages, grouped, with those that are missing on this server."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Visit
from tests.page.staged import Stage
from tests.page.support import MARKUP, archive, open_page

ADD = "make packs PACKS=scripts"


def language(settled: dict[str, Any], name: str, title: str, group: str, add_with: str | None = None) -> None:
    """One more language, like Bash."""
    bash = next(one for one in settled["languages"] if one["name"] == "bash")
    page = {
        **bash["page"],
        "examples": [{"id": f"{name}-hello", "label": f"{title} hello", "code": "1", "is_last": False}],
    }
    own = {"name": name, "title": title, "group": group, "aliases": [], "extensions": [f".{name}"], "page": page}
    own |= {"file_name": f"user_code.{name}", "entry_names": [f"main.{name}"]}
    settled["languages"].append(bash | own | {"ready": add_with is None, "add_with": add_with})


@pytest.fixture
def packs(settled: dict[str, Any]) -> dict[str, Any]:
    """Perl is here, Ruby and C are not."""
    settled["languages"] = [one for one in settled["languages"] if one["name"] in ("python", "node", "bash")]
    for one in settled["languages"]:
        group = {"bash": "scripts"}.get(one["name"], one["name"])
        one |= {"group": group, "ready": True, "add_with": None}
    language(settled, "perl", "Perl 5", "scripts")
    language(settled, "ruby", "Ruby 3", "scripts", ADD)
    language(settled, "c", "C", "native", "make packs PACKS=native")
    return settled


def options(page: Page, place: str) -> list[str]:
    read = "boxes => boxes.map((box) => `${box.parentElement.label ?? ''}|${box.textContent}|${box.disabled}`)"
    return [str(text) for text in page.locator(f"{place} option").evaluate_all(read)]


def test_languages_are_grouped_and_the_missing_ones_are_grey_with_what_adds_them(
    packs: dict[str, Any], stage: Stage
) -> None:
    titles = [one["title"] for one in packs["languages"]]
    assert options(stage.page, "#language") == [
        f"|{titles[0]}|false", f"|{titles[1]}|false", f"Scripts · {ADD}|{titles[2]}|false",
        f"Scripts · {ADD}|Perl 5|false", f"Scripts · {ADD}|Ruby 3 (not here)|true", "|C (not here)|true",
    ]  # fmt: skip
    expect(stage.page.locator("#language option[value=c]")).to_have_attribute("title", "make packs PACKS=native")
    stage.page.get_by_role("button", name="Help").click()
    help_dialog = stage.page.get_by_role("dialog")
    expect(help_dialog).to_contain_text(f"Not on this server: Ruby 3. Whoever runs it can add it with {ADD}.")
    expect(help_dialog).to_contain_text(
        "Not on this server: C. Whoever runs it can add it with make packs PACKS=native."
    )


def test_tasks_of_a_batch_have_the_same_list(packs: dict[str, Any], stage: Stage) -> None:
    page = stage.page
    page.select_option("#language", "perl")
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("button", name="Add a task").click()
    page.get_by_role("button", name="Add the current program").click()
    chosen = page.get_by_label("Language of task")
    expect(chosen.first).to_have_value("python")
    expect(chosen.last).to_have_value("perl")
    for number in (1, 2):
        assert options(page, f"#batch-tasks li:nth-child({number})") == options(page, "#language")


def test_no_program_begins_with_a_file_of_a_missing_language(packs: dict[str, Any], stage: Stage) -> None:
    page = stage.page
    page.set_input_files("#add-files-input", files=[archive({"main.py": "1", "b.ruby": "2"})])
    page.get_by_role("button", name="Rename, delete or start").click()
    page.get_by_role("dialog").get_by_label("Name").fill("main.ruby")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Ruby 3 is not on this server: no program can begin with main.ruby.")


def test_past_runs_of_a_missing_language_can_be_looked_for(packs: dict[str, Any], stage: Stage) -> None:
    assert "Scripts|Ruby 3|false" in options(stage.page, "#history-language")


def test_a_server_that_groups_nothing_shows_a_plain_list(settled: dict[str, Any], stage: Stage) -> None:
    for one in settled["languages"]:
        one.pop("group", None)
    open_page(stage.page, stage.page.url)
    assert stage.page.locator("#language optgroup").count() == 0
    assert len(options(stage.page, "#language")) == len(settled["languages"])


def test_a_missing_language_has_no_examples_and_takes_no_files(packs: dict[str, Any], stage: Stage) -> None:
    page = stage.page
    expect(page.get_by_role("button", name="Perl 5 hello")).to_have_count(1)
    expect(page.get_by_role("button", name="Ruby 3 hello")).to_have_count(0)
    page.set_input_files("#add-files-input", files=[archive({"main.ruby": "1", "b.ruby": "2"})])
    expect(page.locator("#toast")).to_contain_text("2 files added.")
    expect(page.locator("#language")).to_have_value("python")


def test_a_language_that_was_taken_away_is_not_begun_with(packs: dict[str, Any], visit: Visit, staged_url: str) -> None:
    page, _ = visit(staged_url)
    page.evaluate("localStorage.setItem('sce.language', 'ruby'); sessionStorage.setItem('sce.language', 'ruby')")
    page.evaluate("sessionStorage.setItem = localStorage.setItem = () => {}")
    open_page(page, page.url)
    expect(page.locator("#language")).to_have_value("python")


def test_markup_in_the_names_of_languages_stays_text(settled: dict[str, Any], stage: Stage) -> None:
    settled["languages"][-1] |= {"title": MARKUP, "group": MARKUP, "ready": False, "add_with": MARKUP}
    settled["languages"][-2] |= {"group": MARKUP}
    open_page(stage.page, stage.page.url)
    assert stage.page.locator("#broken, main img").count() == 0
    assert any(MARKUP in text for text in options(stage.page, "#language"))


@pytest.mark.parametrize("width", [390, 320])
def test_the_grouped_list_fits_a_narrow_window(packs: dict[str, Any], stage: Stage, width: int) -> None:
    stage.page.set_viewport_size({"width": width, "height": 700})
    assert stage.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
