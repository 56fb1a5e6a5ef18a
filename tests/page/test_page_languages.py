"""The page in a real browser: what it knows of each language comes from the language's file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from sandbox.languages import LANGUAGES
from sandbox.languages.language import Language
from sandbox.settings import load
from tests.fakes import serving
from tests.page.support import Guard, badge, ended, open_page, run, write

EVERY = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)


def failed(page: Page) -> Locator:
    return page.locator(".pce-line.failed")


# --- Every language ---------------------------------------------------------------------------------------


@EVERY
def test_the_editor_has_the_grammar_of_each_language(page: Page, language: Language) -> None:
    page.select_option("#language", language.name)
    assert page.input_value("#code") == language.page.welcome
    why = f"add {language.page.grammar!r} to LATER in scripts/vendor.mjs, then `npm run vendor && npm run bundle`"
    expect(page.locator(".token").first, why).to_be_attached()


@EVERY
def test_the_welcome_program_of_each_language_runs(page: Page, language: Language) -> None:
    page.select_option("#language", language.name)
    page.click("#run")
    expect(page.locator("#output")).to_contain_text("Hello, world!")
    expect(badge(page)).to_have_text("Finished")


@EVERY
def test_a_line_of_each_language_is_commented_out_and_back(page: Page, language: Language) -> None:
    first = language.page.welcome.partition("\n")[0]
    write(page, f"{first}\nword", language.name)
    page.locator("#code").press("Control+End")
    page.keyboard.press("Control+/")
    assert page.input_value("#code") == f"{first}\n{language.page.comment} word"
    page.keyboard.press("Control+/")
    assert page.input_value("#code") == f"{first}\nword"


def test_the_patterns_of_every_language_are_regular_expressions_of_the_page(page: Page) -> None:
    errors = [language.page.errors for language in LANGUAGES.values()]
    patterns = [pattern for error in errors for pattern in (error.place, error.report, error.stack) if pattern]
    assert page.evaluate("all => all.filter((one) => !new RegExp(one, 'gm').source)", patterns) == []
    groups = "all => all.map((one) => new RegExp(`${one}|`).exec('').length - 1)"
    assert page.evaluate(groups, [error.place for error in errors]) == [1] * len(errors)


@EVERY
def test_the_examples_of_the_chosen_language_come_first_and_all_others_after_them(
    page: Page, language: Language
) -> None:
    page.select_option("#language", language.name)
    others = [other for other in LANGUAGES.values() if other is not language]
    offered = page.locator("#examples button").evaluate_all("all => all.map((one) => one.dataset.snippet)")
    assert offered == [example.id for one in (language, *others) for example in one.page.examples]
    assert len(set(offered)) == len(offered)
    first = page.locator("#examples").get_by_role("group").first
    expect(first).to_have_accessible_name(language.title)
    expect(first.get_by_text(language.title, exact=True)).to_be_in_viewport(ratio=1)
    page.reload()
    expect(first).to_have_accessible_name(language.title)


def test_an_example_of_another_language_stays_where_it_was_pressed(page: Page) -> None:
    example = page.get_by_role("button", name="Node hello", exact=True)
    example.scroll_into_view_if_needed()
    before = example.bounding_box()
    example.click()
    expect(page.locator("#language")).to_have_value("node")
    assert example.bounding_box() == before


def test_a_language_without_a_grammar_is_written_as_plain_text(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bash = LANGUAGES["bash"]
    strange = replace(bash, page=replace(bash.page, grammar="nobody-knows", comment=";"))
    monkeypatch.setitem(LANGUAGES, "bash", strange)
    with serving(load(data_dir=tmp_path, port=0)) as url, browser.new_context() as context:
        guard = Guard(context, url)
        page = context.new_page()
        open_page(page, url)
        page.select_option("#language", "bash")
        assert page.input_value("#code") == bash.page.welcome
        expect(page.locator(".token")).to_have_count(0)
        page.locator("#code").press("Control+Home")
        page.keyboard.press("Control+/")
        assert page.input_value("#code") == f"; {bash.page.welcome}"
        guard.leave()
        assert guard.problems == []


# --- Bash -------------------------------------------------------------------------------------------------


def test_bash_is_coloured_while_it_is_typed(page: Page) -> None:
    write(page, "", "bash")
    page.locator("#code").press_sequentially("if tru")
    expect(page.locator(".token.keyword")).to_have_text("if")


BASH_ERRORS = {
    "a command that is missing": ("echo one\n\nfoo\n", "foo: command not found", 3),
    "after one that was survived": ("foo\ncd /nowhere\n", "/nowhere: No such file or directory", 2),
    "a variable that is missing": ("set -u\nf() {\n  echo $nope\n}\nf\n", "nope: unbound variable", 3),
    "no program": ("if true; then\nfoo )\nfi\n", "syntax error near unexpected token", 2),
}


@pytest.mark.parametrize(("code", "message", "line"), BASH_ERRORS.values(), ids=BASH_ERRORS)
def test_an_error_of_bash_marks_its_line_and_leads_to_it(page: Page, code: str, message: str, line: int) -> None:
    run(page, code, "bash")
    expect(page.locator("#error")).to_contain_text(message)
    expect(failed(page)).to_have_count(1)
    expect(page.locator(f".pce-wrapper > :nth-child({line + 1})")).to_have_class(re.compile("failed"))
    place = page.locator(f"#error button.line[data-line='{line}']").last
    expect(place).to_have_text(f"/app/user_code.sh: line {line}")
    place.click()
    expect(page.locator("#code")).to_be_focused()
    start = sum(len(text) + 1 for text in code.split("\n")[: line - 1])
    assert page.locator("#code").evaluate("box => box.selectionStart") == start


def test_an_error_that_a_bash_program_survived_is_led_to_and_not_marked(page: Page) -> None:
    run(page, "foo\necho done\n", "bash")
    expect(badge(page)).to_have_text("Finished")
    expect(page.locator("#error button.line[data-line='1']")).to_have_count(1)
    expect(failed(page)).to_have_count(0)


def test_a_place_of_another_language_marks_nothing(page: Page) -> None:
    run(page, "echo >&2 '/app/user_code.js:1'\nexit 3\n", "bash")
    expect(badge(page)).to_have_text("Exit 3")
    expect(failed(page)).to_have_count(0)


@pytest.mark.parametrize(
    ("example", "panel", "sees", "ends"),
    [
        ("Bash hello", "#output", "Hello from Bash 5.2", "Finished"),
        ("Bash loop", "#output", "5 squared is 25", "Finished"),
        ("Bash network", "#error", "Temporary failure in name resolution", "Exit 1"),
    ],
)
def test_the_examples_of_bash(page: Page, example: str, panel: str, sees: str, ends: str) -> None:
    page.get_by_role("button", name=example, exact=True).click()
    page.click("#run")
    ended(page)
    expect(page.locator(panel)).to_contain_text(sees)
    expect(badge(page)).to_have_text(ends)


# --- TypeScript -------------------------------------------------------------------------------------------

TYPES = "interface Account {\n  owner: string;\n}\n\n"
TYPESCRIPT_ERRORS = {
    "thrown": (TYPES + 'throw new Error("why");\n', "#error", "/app/user_code.ts:5"),
    "no program": (TYPES + "const two: number = 2 why;\n", "#compile", "user_code.ts:5"),
}


@pytest.mark.parametrize(("code", "panel", "place"), TYPESCRIPT_ERRORS.values(), ids=TYPESCRIPT_ERRORS)
def test_an_error_of_typescript_marks_the_line_of_its_source(page: Page, code: str, panel: str, place: str) -> None:
    run(page, code, "typescript")
    expect(page.locator(f"{panel} button.line").first).to_contain_text(place)
    expect(failed(page)).to_have_count(1)
    expect(page.locator(".pce-wrapper > :nth-child(6)")).to_have_class(re.compile("failed"))


# --- Java and Rust ----------------------------------------------------------------------------------------

JAVA = "class Main {\n    public static void main(String[] args) {\n        fail();\n    }\n%s\n}\n"
RUST = "fn main() {\n    fail();\n}\n\n%s\n"
COMPILED_ERRORS = {
    "java, thrown": ("java", JAVA % 'static void fail() { throw new RuntimeException("why"); }', "#error"),
    "java, no program": ("java", JAVA % "static void fail() { why; }", "#compile"),
    "rust, panicked": ("rust", RUST % 'fn fail() { panic!("why") }', "#error"),
    "rust, no program": ("rust", RUST % "fn fail() { why; }", "#compile"),
}


@pytest.mark.parametrize(("language", "code", "panel"), COMPILED_ERRORS.values(), ids=COMPILED_ERRORS)
def test_an_error_of_a_compiled_language_marks_its_line(page: Page, language: str, code: str, panel: str) -> None:
    run(page, code, language)
    expect(page.locator(f"{panel} button.line").first).to_contain_text("user_code")
    expect(failed(page)).to_have_count(1)
    expect(page.locator(".pce-wrapper > :nth-child(6)")).to_have_class(re.compile("failed"))
