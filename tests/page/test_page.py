"""The page in a real browser against the real server and engine: running programs, and their results."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.page.support import Guard, badge, ended, history_items, run, write

LOOP = "import time\nwhile True:\n    print('tick', flush=True)\n    time.sleep(0.1)\n"


# --- Running ----------------------------------------------------------------------------------------------


def test_the_example_runs_and_shows_its_output_status_time_and_memory(page: Page) -> None:
    page.get_by_role("button", name="Arithmetic").click()
    page.get_by_role("button", name="Run Ctrl+Enter").click()
    expect(badge(page)).to_have_text("Finished")
    expect(page.locator("#output")).to_contain_text("8\n1267650600228229401496703205376")
    expect(page.locator("#error")).to_have_text("")
    expect(page.locator("#meta")).to_contain_text("CPU")
    expect(page.locator("#meta")).to_contain_text("memory")


def test_output_and_errors_have_panels_of_their_own(page: Page) -> None:
    run(page, "import sys\nprint('to out')\nprint('to err', file=sys.stderr)\nsys.exit(3)")
    expect(badge(page)).to_have_text("Exit 3")
    expect(page.locator("#output")).to_have_text("to out\n")
    expect(page.locator("#error")).to_have_text("to err\n")


def test_the_combined_view_keeps_the_order_and_tells_the_streams_apart(page: Page) -> None:
    page.click("#view-combined")
    run(page, "import os, time\nfor fd, text in ((1, b'a\\n'), (2, b'b\\n'), (1, b'c\\n')):\n"
        "    os.write(fd, text)\n    time.sleep(0.2)")  # fmt: skip
    expect(page.locator("#combined")).to_have_text("a\nb\nc\n")
    expect(page.locator("#combined .e")).to_have_text("b\n")


def test_node_programs_run(page: Page) -> None:
    run(page, "console.log([1, 2, 3].map((n) => n * 2).join(' '))", "node")
    expect(page.locator("#output")).to_have_text("2 4 6\n")


@pytest.mark.parametrize("keys", ["Control+Enter", "Meta+Enter", "Shift+Enter"])
def test_the_keyboard_runs_the_program(page: Page, keys: str) -> None:
    write(page, "print('by key')")
    page.press("#code", keys)
    expect(page.locator("#output")).to_have_text("by key\n")
    assert page.input_value("#code") == "print('by key')"


def test_output_appears_while_the_program_runs(page: Page) -> None:
    write(page, "import time\nprint('first', flush=True)\ntime.sleep(2)\nprint('last')")
    page.click("#run")
    expect(page.locator("#output")).to_have_text("first\n")
    expect(badge(page)).to_have_text("Running")
    expect(page.locator("#output")).to_have_text("first\nlast\n")


def test_the_bar_of_time_moves_towards_the_limit(page: Page) -> None:
    write(page, "import time\ntime.sleep(1.5)")
    page.click("#run")
    expect(badge(page)).to_have_text("Running")
    bar = page.locator("#elapsed")
    assert bar.get_attribute("max") == "10.0"
    earlier = float(bar.evaluate("bar => bar.value"))
    page.wait_for_timeout(500)
    assert 0 < earlier + 0.2 < float(bar.evaluate("bar => bar.value")) < 10
    ended(page)


def test_stop_kills_the_program_and_keeps_what_it_printed(page: Page) -> None:
    write(page, LOOP)
    page.click("#run")
    expect(page.locator("#output")).to_contain_text("tick\ntick\n")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(badge(page)).to_have_text("Stopped", timeout=4000)
    ended(page)
    expect(page.locator("#output")).to_contain_text("tick\ntick\n")


def test_a_new_run_replaces_the_one_under_way(page: Page) -> None:
    write(page, LOOP)
    page.click("#run")
    expect(page.locator("#output")).to_contain_text("tick")
    page.fill("#code", "print('the new one')")
    page.press("#code", "Control+Enter")
    expect(page.locator("#output")).to_have_text("the new one\n")
    expect(badge(page)).to_have_text("Finished")
    page.fill("#history-search", "time.sleep(0.1)")
    expect(history_items(page).first).to_contain_text("Stopped")


def test_what_cannot_be_run_also_ends_the_run_under_way(page: Page) -> None:
    write(page, LOOP)
    page.click("#run")
    expect(page.locator("#output")).to_contain_text("tick")
    page.fill("#code", "")
    page.press("#code", "Control+Enter")
    expect(page.locator("#notice")).to_contain_text("There is no code to run")
    expect(page.locator("#run-label")).to_have_text("Run")


def test_shift_enter_is_a_line_end_in_the_box_of_input(page: Page) -> None:
    page.click("#inputs summary")
    page.fill("#stdin", "one")
    page.press("#stdin", "Shift+Enter")
    assert page.input_value("#stdin") == "one\n"
    expect(badge(page)).to_have_text("Ready")


def test_a_program_over_its_time_says_so(page: Page) -> None:
    page.get_by_role("button", name="Infinite loop").click()
    page.click("#run")
    expect(badge(page)).to_have_text("Timed out", timeout=20_000)
    expect(page.locator("#error")).to_contain_text("Execution timed out after 10 seconds.")


def test_a_program_over_its_memory_says_so(page: Page) -> None:
    page.get_by_role("button", name="Memory bomb").click()
    page.click("#run")
    expect(badge(page)).to_have_text("Out of memory")
    expect(page.locator("#error")).to_contain_text("out of memory")


def test_reloading_while_a_program_runs_says_what_became_of_it(page: Page) -> None:
    write(page, LOOP)
    page.click("#run")
    expect(page.locator("#output")).to_contain_text("tick")
    page.reload()
    expect(page.locator("#notice")).to_contain_text("reloaded while this program ran")
    expect(badge(page)).to_have_text("Stopped")
    expect(page.locator("#output")).to_contain_text("tick")
    assert page.input_value("#code") == LOOP


# --- Output -----------------------------------------------------------------------------------------------


def test_colours_are_shown_and_their_codes_are_not(page: Page) -> None:
    run(page, "print('\\x1b[1;31mred\\x1b[0m plain \\x1b[38;5;208mpalette\\x1b[0m \\x1b[38;2;1;2;3mtrue\\x1b[m')")
    expect(page.locator("#output")).to_have_text("red plain palette true\n")
    expect(page.locator("#output .ansi-red-fg.ansi-bold")).to_have_text("red")
    expect(page.locator("#output span span", has_text="palette")).to_have_css("color", "rgb(255, 135, 0)")
    expect(page.locator("#output span span", has_text="true")).to_have_css("color", "rgb(1, 2, 3)")


def test_a_colour_code_that_arrives_in_two_pieces_is_still_one(page: Page) -> None:
    run(page, "import os, time\nos.write(1, b'\\x1b[3')\ntime.sleep(0.5)\nos.write(1, b'2mgreen\\x1b[0m\\n')")
    expect(page.locator("#output")).to_have_text("green\n")
    expect(page.locator("#output .ansi-green-fg")).to_have_text("green")


def test_a_megabyte_of_output_is_shown_whole_and_the_page_stays_alive(page: Page) -> None:
    write(page, "line = 'x' * 99\nfor n in range(10_400):\n    print(line)")
    page.evaluate("""() => {
        let last = performance.now();
        window.longestFrame = 0;
        const look = (now) => {
            window.longestFrame = Math.max(window.longestFrame, now - last);
            last = now;
            requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }""")
    page.click("#run")
    ended(page)
    expect(badge(page)).to_have_text("Finished")
    deadline = time.monotonic() + 10
    while page.evaluate("document.querySelector('#output').textContent.length") < 1_040_000:
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)
    assert page.evaluate("window.longestFrame") < 1000


def test_output_over_the_limit_is_marked_as_cut(page: Page) -> None:
    run(page, "for n in range(30_000):\n    print('x' * 99)")
    expect(page.locator("#meta")).to_contain_text("output cut")


def test_output_is_copied_saved_cleared_and_wrapped(page: Page) -> None:
    run(page, "print('keep me')")
    page.click("#copy")
    expect(page.locator("#toast")).to_contain_text("Output copied")
    assert page.evaluate("navigator.clipboard.readText()") == "keep me\n"
    with page.expect_download() as saved:
        page.click("#download")
    assert saved.value.path().read_text() == "keep me\n"
    page.click("#wrap")
    expect(page.locator("#output")).to_have_css("white-space", "pre-wrap")
    page.get_by_role("button", name="Clear output").click()
    expect(page.locator("#output")).to_have_text("")
    expect(badge(page)).to_have_text("Ready")


@pytest.mark.parametrize(
    ("language", "code", "line"),
    [
        ("python", "def inner():\n    return 1 / 0\n\ninner()\n", 2),
        ("node", "function inner() {\n  null.x;\n}\ninner();\n", 2),
    ],
)
def test_the_line_of_an_error_is_marked_and_can_be_gone_to(page: Page, language: str, code: str, line: int) -> None:
    run(page, code, language)
    expect(page.locator(".pce-line.failed")).to_have_count(1)
    expect(page.locator(f".pce-wrapper > :nth-child({line + 1})")).to_have_class("pce-line failed")
    page.locator(f"#error button.line[data-line='{line}']").first.click()
    expect(page.locator("#code")).to_be_focused()
    start = sum(len(text) + 1 for text in code.split("\n")[: line - 1])
    assert page.locator("#code").evaluate("box => box.selectionStart") == start
    page.keyboard.type("#")
    expect(page.locator(".pce-line.failed")).to_have_count(0)


# --- Input and arguments ----------------------------------------------------------------------------------


def test_input_and_arguments_reach_the_program(page: Page) -> None:
    page.click("#inputs summary")
    page.fill("#args", """--count 3 "two words" 'single "x"'""")
    page.fill("#stdin", "one\ntwo\n")
    run(page, "import sys\nprint(sys.argv[1:])\nprint(sys.stdin.read(), end='')")
    expect(page.locator("#output")).to_have_text("""['--count', '3', 'two words', 'single "x"']\none\ntwo\n""")


def test_an_open_quote_in_the_arguments_is_refused(page: Page) -> None:
    page.click("#inputs summary")
    page.fill("#args", 'say "hello')
    write(page, "print(1)")
    page.click("#run")
    expect(page.locator("#notice")).to_contain_text('open "')


# --- Nothing of a run becomes markup ----------------------------------------------------------------------

ATTACK = "<img src=x onerror=alert(1)><script>alert(2)</script><b id=broken>"


def test_markup_in_code_output_and_errors_stays_text(page: Page, guard: Guard) -> None:
    def dismiss(dialog: Dialog) -> None:
        guard.problems.append("a script ran")
        dialog.dismiss()

    page.on("dialog", dismiss)
    run(page, f"import sys\nprint('''{ATTACK}''')\nprint('''\\x1b[31m{ATTACK}''', file=sys.stderr)\n# {ATTACK}")
    expect(page.locator("#output")).to_have_text(ATTACK + "\n")
    expect(page.locator("#error")).to_have_text(ATTACK + "\n")
    page.click("#view-combined")
    expect(page.locator("#combined")).to_contain_text(ATTACK)
    assert page.locator("#broken, main img, main script").count() == 0


def test_results_are_announced_to_screen_readers(page: Page) -> None:
    run(page, "raise SystemExit(4)")
    expect(page.locator("[aria-live=polite]")).to_contain_text("Exit 4")


def test_help_is_not_called_like_what_one_signs_in_with_and_says_what_a_run_has(page: Page) -> None:
    page.get_by_role("button", name="Help", exact=True).click()
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("in a container that nobody else's program was ever in.")


def test_question_mark_opens_the_keyboard_help_but_not_while_typing(page: Page) -> None:
    page.focus("#code")
    page.keyboard.type("?")
    expect(page.locator("#help-dialog")).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.type("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help-dialog")).to_be_hidden()
