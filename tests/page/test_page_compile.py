"""The page in a real browser: what a compiler says, apart from what the program does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.fakes import row
from tests.page.staged import Stage, result
from tests.page.support import MARKUP, archive, badge, open_page, write

ERROR = """\
/app/user_code.c: In function 'main':
/app/user_code.c:3:3: error: expected ';' before '}' token
    3 | }
      | ^
"""
CODE = 'int main() {\n  puts("x")\n}\n'


def compiled(error: str, exit_code: int = 1, output: str = "") -> dict[str, Any]:
    return {"output": output, "error": error, "exit_code": exit_code, "duration_ms": 40.0}


@pytest.fixture
def stage(settled: dict[str, Any], request: pytest.FixtureRequest) -> Stage:
    """C is among the languages."""
    settled["languages"] = [one for one in settled["languages"] if one["name"] in ("python", "node", "bash")]
    bash = settled["languages"][-1]
    errors = {**bash["page"]["errors"], "place": r"/app/user_code\.c:(\d+)(?::\d+)?", "failed": "first"}
    own = {"name": "c", "title": "C", "file_name": "user_code.c", "extensions": [".c", ".h"], "entry_names": ["main.c"]}
    settled["languages"].append(bash | own | {"page": {**bash["page"], "errors": errors, "examples": []}})
    staged: Stage = request.getfixturevalue("staged")
    return staged


def test_what_does_not_compile_is_said_apart_and_marked(stage: Stage) -> None:
    page = stage.page
    write(page, CODE, "c")
    stage.will(language="c", status="compile_error", exit_code=1, compile=compiled(ERROR))
    stage.run()
    expect(badge(page)).to_have_text("Does not compile")
    expect(page.get_by_role("region", name="Compiler")).to_have_text(ERROR)
    expect(page.locator("#output")).to_be_empty()
    expect(page.locator("#output")).to_have_attribute("data-empty", "The program was not started.")
    expect(page.locator(".pce-wrapper > :nth-child(4)")).to_have_class(re.compile("failed"))
    page.locator("#compile button.line").click()
    expect(page.locator("#code")).to_be_focused()
    assert page.locator("#code").evaluate("box => box.value.slice(0, box.selectionStart).split('\\n').length") == 3


def test_an_error_in_another_file_leads_there(stage: Stage) -> None:
    page = stage.page
    page.set_input_files("#add-files-input", files=[archive({"main.c": '#include "a/b.h"', "a/b.h": "int\nx y;\n"})])
    expect(page.locator("#language")).to_have_value("c")
    error = "In file included from /app/main.c:1:\n/app/a/b.h:2:3: error: expected ';'\n"
    stage.will(language="c", status="compile_error", exit_code=1, compile=compiled(error))
    stage.run()
    page.locator("#compile button.line").last.click()
    expect(page.locator("#file-tabs [aria-selected=true]")).to_have_attribute("data-path", "a/b.h")
    expect(page.locator(".pce-wrapper > :nth-child(3)")).to_have_class(re.compile("failed"))


def test_warnings_stand_beside_what_the_program_prints(stage: Stage) -> None:
    page = stage.page
    write(page, CODE, "c")
    stage.will(language="c", output="x\n", compile=compiled("/app/user_code.c:2:3: warning: implicit\n", 0))
    stage.run()
    expect(badge(page)).to_have_text("Finished")
    expect(page.locator("#compile")).to_contain_text("warning: implicit")
    expect(page.locator("#output")).to_have_text("x\n")
    expect(page.locator(".pce-line.failed")).to_have_count(0)
    page.click("#view-combined")
    expect(page.locator("#combined")).to_have_text("x\n")
    expect(page.locator("#compile")).to_be_visible()
    page.click("#copy")
    expect(page.locator("#toast")).to_contain_text("Output copied")
    assert page.evaluate("navigator.clipboard.readText()") == "/app/user_code.c:2:3: warning: implicit\nx\n"


@pytest.mark.parametrize("compile", [None, compiled("", 0)], ids=["no compiler", "a silent one"])
def test_a_compiler_that_says_nothing_is_not_shown(stage: Stage, compile: dict[str, Any] | None) -> None:
    stage.will(output="x\n", compile=compiled("before"))
    stage.run()
    expect(stage.page.locator("#compile")).to_be_visible()
    stage.will(output="x\n", compile=compile)
    stage.run()
    expect(stage.page.locator("#compile")).to_be_hidden()
    expect(stage.page.locator("#output")).to_have_text("x\n")


def test_a_past_run_that_did_not_compile_shows_why(stage: Stage) -> None:
    page = stage.page
    past = row("0123456789abcdef", language="c", code=CODE, output="", status="compile_error", compile=compiled(ERROR))

    def remember(route: Route) -> None:
        route.fulfill(json=past if route.request.url.endswith("ef") else {"history": [past], "next": None})

    page.route("**/history**", remember)
    open_page(page, page.url)
    expect(page.locator("#history-list .how")).to_have_text("Does not compile")
    page.locator("#history-list .open").click()
    expect(page.locator("#compile")).to_contain_text("expected ';'")
    expect(page.locator("#history-status option[value=compile_error]")).to_have_text("Does not compile")


def test_a_task_of_a_batch_that_does_not_compile_says_why(stage: Stage) -> None:
    page = stage.page
    failed = result(status="compile_error", exit_code=1, language="c", compile=compiled(ERROR))
    page.route("**/run-batch", lambda route: route.fulfill(json={"results": [failed]}))
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("checkbox", name="Hello", exact=True).check()
    page.get_by_role("button", name="Run the batch").click()
    expect(page.locator(".task .badge")).to_have_text("Does not compile")
    expect(page.locator(".task .console")).to_have_text(ERROR)


def test_markup_that_a_compiler_prints_stays_text(stage: Stage) -> None:
    stage.will(status="compile_error", exit_code=1, compile=compiled(MARKUP))
    stage.run()
    expect(stage.page.locator("#compile-output")).to_have_text(MARKUP)
    assert stage.page.locator("#broken, main img").count() == 0


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (320, 640)])
def test_a_long_complaint_leaves_room(stage: Stage, width: int, height: int) -> None:
    page = stage.page
    page.set_viewport_size({"width": width, "height": height})
    stage.will(status="compile_error", exit_code=1, compile=compiled((ERROR + "x" * 300 + "\n") * 30))
    stage.run()
    assert fits(page)
    for panel, least in (("#compile-output", 90), ("#output", 70), ("#editor", 120)):
        box = page.locator(panel).bounding_box()
        assert box and box["height"] >= least, panel
    if width == 1280:
        assert page.evaluate("document.documentElement.scrollHeight - innerHeight") == 0
