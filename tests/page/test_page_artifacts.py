"""The page in a real browser: pictures and files that a program has made."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.fakes import row
from tests.page.staged import Stage, elsewhere, file
from tests.page.support import MARKUP, open_page, write

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><circle r="9"/></svg>'
HOSTILE_SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"
onload="parent.document.title='broken'"><script>parent.document.title = 'broken'</script><image href="http://elsewhere.test/x.png"/></svg>"""
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
DRAW = """(type) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
    canvas.getContext("2d").fillRect(20, 20, 300, 200);
    return canvas.toDataURL(type);
}"""
SHOWN = "images => Promise.all(images.map((image) => image.decode().then(() => image.naturalWidth > 0, () => false)))"


def drawn(page: Page, media_type: str) -> bytes:
    """A picture that the browser has made."""
    address = page.evaluate(DRAW, media_type)
    assert address.startswith(f"data:{media_type};")
    return base64.b64decode(address.split(",")[1])


def are_shown(page: Page) -> list[bool]:
    shown: list[bool] = page.locator("#artifacts img").evaluate_all(SHOWN)
    return shown


def saved(page: Page, path: str) -> tuple[str, bytes]:
    """What the button beside a file saves."""
    with page.expect_download() as download:
        page.get_by_label(f"Download {path}", exact=True).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def pictures(page: Page) -> list[dict[str, Any]]:
    made = [file(f"a.{kind}", drawn(page, f"image/{kind}"), f"image/{kind}") for kind in ("png", "jpeg", "webp")]
    return [*made, file("a.gif", GIF, "image/gif"), file("plots/a.svg", SVG, "image/svg+xml")]


# --- Asking -----------------------------------------------------------------------------------------------


def test_a_run_asks_for_the_files_that_the_program_makes(stage: Stage) -> None:
    stage.will()
    stage.run()
    assert stage.asked[0]["artifacts"] == ["**"]
    stage.page.get_by_role("button", name="Copy curl").click()
    expect(stage.page.locator("#toast")).to_contain_text("curl command copied")
    assert '"artifacts":["**"]' in stage.page.evaluate("navigator.clipboard.readText()")


def test_the_help_says_where_a_program_may_write(stage: Stage) -> None:
    stage.page.get_by_role("button", name="Help").click()
    expect(stage.page.get_by_role("dialog")).to_contain_text("no network, and no place to write but its own folder")


def test_a_server_that_gives_no_files_back_is_not_asked_for_them(
    settled: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    settled.pop("artifacts")
    stage: Stage = request.getfixturevalue("stage")
    stage.will()
    stage.run()
    assert "artifacts" not in stage.asked[0]


# --- Pictures ---------------------------------------------------------------------------------------------


def test_pictures_of_all_kinds_are_shown_with_name_and_size_and_can_be_saved(stage: Stage) -> None:
    page = stage.page
    made = pictures(page)
    stage.will(artifacts=made, output="done\n")
    stage.run()
    expect(page.locator("#artifacts")).to_be_visible()
    expect(page.locator("#output")).to_have_text("done\n")
    assert are_shown(page) == [True] * 5
    expect(page.locator("#artifacts img").first).to_have_attribute("alt", "a.png")
    expect(page.locator("figcaption .name")).to_have_text([entry["path"] for entry in made])
    expect(page.locator("figcaption .hint").last).to_have_text(f"{len(SVG)} B")
    assert saved(page, "a.gif") == ("a.gif", GIF)
    assert saved(page, "plots/a.svg") == ("a.svg", SVG)


def test_a_picture_of_vectors_runs_no_script_and_loads_nothing(stage: Stage) -> None:
    stage.will(artifacts=[file("evil.svg", HOSTILE_SVG, "image/svg+xml")])
    stage.run()
    assert are_shown(stage.page) == [True]
    assert stage.page.locator("svg").count() == 0
    assert stage.page.title() == "Safe Code Executor"


def test_what_only_says_that_it_is_a_picture_is_said_to_be_none(stage: Stage) -> None:
    stage.will(artifacts=[file("plot.png", b"no picture", "image/png")])
    stage.run()
    expect(stage.page.locator("#artifacts figure")).to_contain_text("This picture cannot be shown.")
    assert saved(stage.page, "plot.png") == ("plot.png", b"no picture")


def test_a_large_picture_is_fetched_from_the_server(stage: Stage) -> None:
    page = stage.page
    content = drawn(page, "image/png")
    headers = {"Content-Type": "image/png", "Content-Disposition": 'attachment; filename="big.png"'}
    page.route("**/runs/*/artifacts/0", lambda route: route.fulfill(body=content, headers=headers))
    stage.will(artifacts=[elsewhere("big.png", 0, "image/png")])
    stage.run()
    assert are_shown(page) == [True]
    expect(page.locator("figcaption .hint")).to_have_text("1.9 MB")
    link = page.get_by_label("Download big.png", exact=True)
    expect(link).to_have_attribute("href", "/runs/0123456789abcdef/artifacts/0")
    expect(link).to_have_attribute("download", "big.png")


# --- Other files ------------------------------------------------------------------------------------------


def test_other_files_are_listed_and_can_be_saved(stage: Stage) -> None:
    page = stage.page
    stage.will(artifacts=[file("out/data.csv", b"a,b\n" * 500, "text/csv"), file("page.html", b"<b>", "text/html")])
    stage.run()
    expect(page.locator("#artifacts li")).to_have_text(["out/data.csv2.0 KBDownload", "page.html3 BDownload"])
    assert saved(page, "out/data.csv") == ("data.csv", b"a,b\n" * 500)
    assert page.locator("#artifacts img").count() == 0


def test_what_is_left_out_is_named_with_its_reason(stage: Stage) -> None:
    stage.will(artifacts_omitted=[{"path": "huge.bin", "reason": "size"}, {"path": "", "reason": "more"}])
    stage.run()
    expect(stage.page.locator("#artifacts ul.hint li")).to_have_text(
        [
            "huge.bin left out: too large for what a run may give back.",
            "Other files left out: more than can be listed.",
        ]
    )


def test_markup_in_names_of_made_files_stays_text(stage: Stage) -> None:
    stage.will(
        artifacts=[file(f"{MARKUP}.png", GIF, "image/gif"), file(MARKUP, b"1")],
        artifacts_omitted=[{"path": MARKUP, "reason": MARKUP}],
    )
    stage.run()
    assert are_shown(stage.page) == [True]
    expect(stage.page.locator("#artifacts .name").first).to_have_text(f"{MARKUP}.png")
    assert stage.page.locator("#broken, main img[src=x]").count() == 0


# --- When -------------------------------------------------------------------------------------------------


def test_a_file_that_comes_while_the_program_runs_is_there_once(stage: Stage) -> None:
    early, late = file("a.gif", GIF, "image/gif"), file("b.gif", GIF, "image/gif")
    stage.will(("artifact", early), ("artifact", late), artifacts=[early, late])
    stage.run()
    expect(stage.page.locator("figcaption .name")).to_have_text(["a.gif", "b.gif"])
    stage.will(("artifact", early), ("artifact", late))
    stage.run()
    expect(stage.page.locator("figcaption .name")).to_have_text(["a.gif", "b.gif"])


def test_the_files_of_before_go_with_the_output(stage: Stage) -> None:
    stage.will(artifacts=[file("a.gif", GIF, "image/gif")], output="seen")
    stage.run()
    stage.page.get_by_role("button", name="Clear output").click()
    expect(stage.page.locator("#artifacts")).to_be_hidden()
    expect(stage.page.locator("#output")).to_be_empty()
    stage.run()
    expect(stage.page.locator("#artifacts img")).to_have_count(1)
    stage.will()
    stage.run()
    expect(stage.page.locator("#artifacts")).to_be_hidden()


def test_a_past_run_shows_its_pictures_from_the_server(stage: Stage) -> None:
    page = stage.page
    past = row("0123456789abcdef", artifacts=[elsewhere("old.gif", 0, "image/gif")], artifacts_omitted=[])

    def remember(route: Route) -> None:
        route.fulfill(json=past if route.request.url.endswith("ef") else {"history": [past], "next": None})

    page.route("**/history**", remember)
    page.route("**/runs/*/artifacts/0", lambda route: route.fulfill(body=GIF, content_type="image/gif"))
    open_page(page, page.url)
    page.locator("#history-list .open").click()
    expect(page.locator("figcaption .name")).to_have_text("old.gif")
    assert are_shown(page) == [True]


def test_a_task_of_a_batch_shows_what_it_made(stage: Stage) -> None:
    page = stage.page
    made = {"output": "1\n", "error": "", "status": "ok", "exit_code": 0, "signal": None, "duration_ms": 1.0,
            "cpu_ms": 1.0, "memory_kb": 1, "queued_ms": 0, "truncated": False, "language": "python",
            "artifacts": [file("a.gif", GIF, "image/gif")]}  # fmt: skip
    page.route("**/run-batch", lambda route: route.fulfill(json={"results": [made]}))
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("checkbox", name="Hello", exact=True).check()
    page.get_by_role("button", name="Run the batch").click()
    expect(page.locator(".task figcaption .name")).to_have_text("a.gif")


# --- Where ------------------------------------------------------------------------------------------------


def test_a_plot_of_the_usual_size_is_seen_whole(stage: Stage) -> None:
    plot = b'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="480"><rect width="640" height="480"/></svg>'
    stage.will(artifacts=[file("plot.svg", plot, "image/svg+xml")], output="1\n")
    stage.run()
    assert are_shown(stage.page) == [True]
    expect(stage.page.locator("#artifacts img")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (960, 475), (390, 844), (320, 640)])
def test_a_picture_fits_the_window_and_leaves_room_for_the_output(stage: Stage, width: int, height: int) -> None:
    page = stage.page
    page.set_viewport_size({"width": width, "height": height})
    made = [file("plot.png", drawn(page, "image/png"), "image/png"), file(f"{'long' * 40}.csv", b"1")]
    stage.will(artifacts=made, output="line\n" * 50)
    write(page, "print('line\\n' * 50)")
    stage.run()
    assert are_shown(page) == [True]
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    for panel, least in (("#output", 70), ("#artifacts", 160), ("#editor", 120)):
        box = page.locator(panel).bounding_box()
        assert box and box["height"] >= least, panel
    if (width, height) == (1280, 800):
        assert page.evaluate("document.documentElement.scrollHeight - innerHeight") == 0
