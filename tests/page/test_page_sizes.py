"""The page in a real browser: on small windows, enlarged, on telephones, and with the keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.page.support import Guard, archive, badge, ended, history_items, open_page, run, write

WIDE = (1280, 800)
ENLARGED = (960, 475)
LOW = (1280, 600)
TELEPHONE = (390, 844)
LONG = (
    "import sys\nfor i in range(3000):\n    print(i, 'x' * 200)\nprint('y\\n' * 3000, file=sys.stderr)\n" + "#\n" * 300
)
FIRST = [("Program", "code"), ("ZIP project", "zip-file"), ("Batch", "mark-hello")]


@pytest.fixture
def telephone(browser: Browser, server_url: str) -> Iterator[Page]:
    """The page on a device that is touched."""
    size = {"width": TELEPHONE[0], "height": TELEPHONE[1]}
    context = browser.new_context(viewport=size, has_touch=True, is_mobile=True)  # type: ignore[arg-type]
    guard = Guard(context, server_url)
    page = context.new_page()
    open_page(page, server_url)
    yield page
    guard.leave()
    context.close()
    assert guard.problems == []


def resize(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})


@pytest.fixture(autouse=True)
def wide(page: Page) -> None:
    resize(page, WIDE)


def height(place: Locator) -> float:
    box = place.bounding_box()
    assert box
    return box["height"]


def too_wide(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def too_high(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollHeight - innerHeight"))


# --- Low windows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [WIDE, ENLARGED, LOW, TELEPHONE], ids=lambda size: "x".join(map(str, size)))
def test_editor_and_output_keep_a_height_to_work_with(page: Page, size: tuple[int, int]) -> None:
    resize(page, size)
    run(page, LONG)
    page.click("#inputs summary")
    assert height(page.locator("#editor")) >= 120
    assert height(page.locator("#output")) >= 70
    assert height(page.locator("#error")) >= 70
    page.click("#view-combined")
    assert height(page.locator("#combined")) >= 70
    page.get_by_role("tab", name="ZIP project").click()
    assert height(page.locator("#panel-zip")) >= height(page.locator("#drop"))
    page.get_by_role("tab", name="Batch").click()
    assert height(page.locator("#batch-tasks")) >= 120 or size is TELEPHONE


def test_where_everything_fits_only_the_panels_scroll(page: Page) -> None:
    for size in (WIDE, LOW):
        resize(page, size)
        run(page, LONG)
        assert too_high(page) == 0, size


# --- Narrow windows ---------------------------------------------------------------------------------------


def test_nothing_is_wider_than_a_window_of_320_pixels(page: Page) -> None:
    resize(page, (320, 640))
    write(page, "import os\nprint('wide ' * 99)\nos.kill(os.getpid(), 9)\n" + "#" * 4000)
    page.click("#run")
    expect(badge(page)).to_have_text("Killed by SIGKILL")
    assert too_wide(page) <= 0
    page.get_by_role("tab", name="ZIP project").click()
    page.set_input_files("#zip-file", files=[archive({f"{'long' * 20}.py": "print('x' * 200)"})])
    page.click("#run")
    expect(badge(page)).to_have_text("Finished")
    assert too_wide(page) <= 0
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("checkbox", name="Node network", exact=True).check()
    page.get_by_role("checkbox", name="Infinite loop").check()
    assert too_wide(page) <= 0


@pytest.mark.parametrize("width", [320, 390, 960, 1280])
def test_the_languages_of_a_batch_are_read_in_full(page: Page, width: int) -> None:
    resize(page, (width, 800))
    page.get_by_role("tab", name="Batch").click()
    for _ in range(5):
        page.get_by_role("button", name="Add a task").click()
    missing = page.locator(".task select").evaluate_all(
        """boxes => boxes.map((box) => {
            const given = box.getBoundingClientRect().width;
            box.style.flex = "none";
            box.style.width = "max-content";
            return box.getBoundingClientRect().width - given;
        })"""
    )
    assert max(missing) <= 0.5
    expect(page.locator(".task option").first).to_have_text("Python 3.11")


# --- Telephones -------------------------------------------------------------------------------------------


def test_fields_on_a_telephone_are_too_large_to_be_zoomed_into(telephone: Page) -> None:
    telephone.click("#inputs summary")
    telephone.get_by_role("tab", name="Batch").tap()
    telephone.get_by_role("button", name="Add a task").tap()
    small = telephone.evaluate(
        """() => [...document.querySelectorAll("input:not([type=checkbox]), textarea, select")]
            .filter((field) => parseFloat(getComputedStyle(field).fontSize) < 16)
            .map((field) => field.id || field.outerHTML)"""
    )
    assert small == []


def test_a_past_run_on_a_telephone_is_shown_without_a_keyboard(telephone: Page) -> None:
    run(telephone, "print('from before')")
    write(telephone, "another")
    telephone.locator("#history-title").tap()
    history_items(telephone).first.locator(".open").tap()
    expect(telephone.locator("#code")).to_have_value("print('from before')")
    expect(telephone.locator("#code")).not_to_be_focused()
    expect(telephone.locator("#badge")).to_be_in_viewport(ratio=1)
    expect(telephone.locator("#output")).to_be_in_viewport(ratio=1)
    telephone.get_by_role("button", name="Undo").tap()
    expect(telephone.locator("#code")).to_have_value("another")
    expect(telephone.locator("#code")).not_to_be_focused()


def test_the_place_of_an_error_on_a_telephone_is_shown_without_a_keyboard(telephone: Page) -> None:
    run(telephone, "\n" * 30 + "1 / 0\n" + "\n" * 30)
    telephone.locator("#error button.line").tap()
    expect(telephone.locator(".pce-line.failed")).to_be_in_viewport()
    expect(telephone.locator("#code")).not_to_be_focused()


def test_a_result_below_the_window_is_scrolled_to(page: Page) -> None:
    resize(page, TELEPHONE)
    write(page, "print(1)\n1 / 0")
    expect(page.locator("#error")).not_to_be_in_viewport(ratio=1)
    page.locator("#run").evaluate("button => button.click()")
    ended(page)
    for place in ("#badge", "#output", "#error"):
        expect(page.locator(place)).to_be_in_viewport(ratio=1)
    page.evaluate("scrollTo(0, 0)")
    page.fill("#code", "")
    page.locator("#run").evaluate("button => button.click()")
    expect(page.locator("#notice")).to_be_in_viewport(ratio=1)


# --- The keyboard -----------------------------------------------------------------------------------------


def test_the_editors_ring_of_focus_has_four_sides(page: Page) -> None:
    box = page.locator("#editor").bounding_box()
    assert box

    def sides() -> list[bytes]:
        x, y, wide, high = box["x"], box["y"], box["width"], box["height"]
        clips = [(x, y + 9, 2, high - 18), (x + wide - 2, y + 9, 2, high - 18), (x + 9, y + 1, wide - 18, 2)]
        clips.append((x + 9, y + high - 3, wide - 18, 2))
        return [
            page.screenshot(clip={"x": left, "y": top, "width": w, "height": h}, caret="hide")
            for left, top, w, h in clips
        ]

    before = sides()
    page.focus("#code")
    assert [was != now for was, now in zip(before, sides(), strict=True)] == [True] * 4


@pytest.mark.parametrize(("tab", "first"), FIRST)
def test_the_skip_link_leads_to_what_the_tab_is_about(page: Page, tab: str, first: str) -> None:
    page.get_by_role("tab", name=tab).click()
    page.evaluate("document.activeElement.blur()")
    page.locator(".skip").focus()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    if tab == "Batch":
        page.keyboard.press("Tab")
    expect(page.locator(f"#{first}")).to_be_focused()


# --- Words ------------------------------------------------------------------------------------------------


def test_a_field_in_a_refusal_has_the_name_that_the_page_gives_it(page: Page, guard: Guard) -> None:
    guard.refusals.add("/run-zip")
    page.get_by_role("tab", name="ZIP project").click()
    page.set_input_files("#zip-file", files=[archive({"a.py": "print(1)", "b.py": "print(2)"})])
    page.click("#run")
    expect(page.locator("#notice")).to_contain_text("Name it as “Entry file”: 'a.py', 'b.py'.")


@pytest.mark.parametrize("kind", ["program", "batch"])
def test_a_notice_of_an_outage_goes_when_it_is_over(page: Page, guard: Guard, kind: str) -> None:
    guard.refusals |= {"/run", "/run-batch", "/history", "/me", "/readyz"}
    box = "#notice" if kind == "program" else "#batch-notice"
    if kind == "batch":
        page.get_by_role("tab", name="Batch").click()
        page.get_by_role("checkbox", name="Hello", exact=True).check()
    page.context.set_offline(True)
    page.click("#run" if kind == "program" else "#batch-run")
    expect(page.locator(box)).to_contain_text("offline")
    expect(page.locator("#service")).to_have_text("Offline")
    page.context.set_offline(False)
    expect(page.locator("#service")).to_have_text("Ready")
    expect(page.locator(box)).to_be_hidden()
    if kind == "program":
        expect(badge(page)).to_have_text("Ready")


def test_a_notice_about_the_program_stays_when_an_outage_is_over(page: Page, guard: Guard) -> None:
    guard.refusals |= {"/history", "/me", "/readyz"}
    write(page, " ")
    page.click("#run")
    page.context.set_offline(True)
    expect(page.locator("#service")).to_have_text("Offline")
    page.context.set_offline(False)
    expect(page.locator("#service")).to_have_text("Ready")
    expect(page.locator("#notice")).to_contain_text("There is no code to run")
