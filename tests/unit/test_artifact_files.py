"""The files of past runs: on disk by number, for their owner only, within a budget, and no longer than their run."""

from __future__ import annotations

import base64
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import create_app
from sandbox.errors import HistoryError, NotFound
from sandbox.models import Artifact, Caller, InlineArtifact, Omission, RunRequest, RunResult, Status, StoredArtifact
from sandbox.settings import load
from sandbox.store.artifacts import INLINE_BYTES, INLINE_TOTAL_BYTES, ArtifactFiles, media_type_of
from tests.databases import NOBODY, Database
from tests.fakes import FakeExecutor, keys_of

IDS = [f"{number:016x}" for number in range(1000)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


def give(files: ArtifactFiles, run_id: str, made: dict[str, bytes]) -> list[InlineArtifact | StoredArtifact]:
    """A run gives files back; what its result says of them."""
    with files.arriving(run_id) as arriving:
        for path, content in made.items():
            arriving.begin(path, len(content))
            for start in range(0, len(content), 1000):
                arriving.write(content[start : start + 1000])
        return arriving.listed(run_id, is_kept=files.keeps(arriving))


def content(files: ArtifactFiles, run_id: str, number: int) -> bytes:
    with files.open(run_id, number) as file:
        return file.read()


def there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_files_lie_by_number_and_only_their_owner_may_read_them(folder: Path) -> None:
    files = ArtifactFiles(folder, 1000)
    give(files, IDS[1], {"../../etc/passwd": b"a", "$(reboot)": b"", "é": b"bc"})
    assert [content(files, IDS[1], number) for number in range(3)] == [b"a", b"", b"bc"]
    assert there(folder / IDS[1]) == ["0", "1", "2"]
    assert {oct(path.stat().st_mode & 0o7777) for path in (folder / IDS[1]).iterdir()} == {"0o600"}
    assert oct((folder / IDS[1]).stat().st_mode & 0o7777) == "0o700"


@pytest.mark.parametrize(("run_id", "number"), [(IDS[2], 0), (IDS[1], 1), ("../" + IDS[1], 0), ("", 0), (IDS[1], -1)])
def test_what_is_not_there_is_not_found(folder: Path, run_id: str, number: int) -> None:
    files = ArtifactFiles(folder, 1000)
    give(files, IDS[1], {"a": b"a"})
    with pytest.raises(NotFound):
        files.open(run_id, number)


def test_small_files_come_with_the_result_and_larger_ones_by_address(folder: Path) -> None:
    """Below, at and above what comes inline, of one file and in all."""
    made = {f"{number}": bytes(INLINE_BYTES) for number in range(3)}
    made |= {"a": bytes(INLINE_BYTES - 5), "b": bytes(INLINE_BYTES + 1), "c": b"12345", "d": b"1", "e": b""}
    listed = give(ArtifactFiles(folder, 1 << 30), IDS[1], made)
    assert [each.path for each in listed] == list(made)
    inline = [each for each in listed if isinstance(each, InlineArtifact)]
    stored = [each for each in listed if isinstance(each, StoredArtifact)]
    assert [(each.path, each.url) for each in stored] == [
        ("b", f"/runs/{IDS[1]}/artifacts/4"),
        ("d", f"/runs/{IDS[1]}/artifacts/6"),
    ]
    assert sum(each.bytes for each in inline) == INLINE_TOTAL_BYTES
    assert all(base64.b64decode(each.base64) == made[each.path] for each in inline)


def test_a_file_that_was_dropped_leaves_its_number_to_the_next(folder: Path) -> None:
    files = ArtifactFiles(folder, 1000)
    with files.arriving(IDS[1]) as arriving:
        arriving.begin("a", 10)
        arriving.write(b"12345")
        arriving.drop()
        arriving.begin("b", 2)
        arriving.write(b"ok")
    assert content(files, IDS[1], 0) == b"ok" and there(folder / IDS[1]) == ["0"]


def test_of_a_file_that_was_dropped_nothing_stays(folder: Path) -> None:
    """It would be on no account: 16 MiB of each run in the history, whatever the budget is."""
    with ArtifactFiles(folder, 1000).arriving(IDS[1]) as arriving:
        arriving.begin("a", 1)
        arriving.write(b"1")
        arriving.begin("b", 100_000)
        arriving.write(bytes(99_999))
        arriving.drop()
    assert there(folder / IDS[1]) == ["0"]


def test_the_oldest_make_room(folder: Path) -> None:
    files = ArtifactFiles(folder, 100)
    for run_id in IDS[:5]:
        give(files, run_id, {"a": bytes(30)})
    assert there(folder) == IDS[2:5]
    give(files, IDS[5], {"a": bytes(101)})
    assert there(folder) == IDS[2:5], "more than the budget is not kept, and moves nobody"


def test_all_but_the_newest_go_while_the_disk_is_nearly_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would fill it within their budget, and the history, which lies there too, could not even be deleted."""
    files = ArtifactFiles(folder, 100)
    for run_id in IDS[:2]:
        give(files, run_id, {"a": bytes(30)})
    monkeypatch.setattr("sandbox.store.artifacts.LEAST_FREE_BYTES", 1 << 62)
    give(files, IDS[2], {"a": bytes(30)})
    assert there(folder) == [IDS[2]]


def test_what_an_earlier_server_has_kept_counts(folder: Path) -> None:
    give(ArtifactFiles(folder, 100), IDS[1], {"a": bytes(60)})
    os.utime(folder / IDS[1], (0, 0))
    files = ArtifactFiles(folder, 100)
    assert len(content(files, IDS[1], 0)) == 60
    give(files, IDS[0], {"a": bytes(60)})
    assert there(folder) == [IDS[0]]


def test_a_run_that_failed_or_whose_files_are_not_kept_leaves_none(folder: Path) -> None:
    files = ArtifactFiles(folder, 0)
    (listed,) = give(files, IDS[1], {"a": b"1"})
    assert isinstance(listed, InlineArtifact) and there(folder) == []
    files = ArtifactFiles(folder, 1000)
    with pytest.raises(ZeroDivisionError), files.arriving(IDS[2]) as arriving:
        arriving.begin("a", 2)
        arriving.write(b"1")
        raise ZeroDivisionError
    assert there(folder) == []


def test_large_files_that_are_not_kept_are_named(folder: Path) -> None:
    files = ArtifactFiles(folder, 0)
    with files.arriving(IDS[1]) as arriving:
        arriving.begin("a", INLINE_BYTES + 1)
        arriving.write(bytes(INLINE_BYTES + 1))
        assert arriving.listed(IDS[1], is_kept=files.keeps(arriving)) == []
    assert [(each.path, each.reason) for each in arriving.omitted] == [("a", Omission.NOT_KEPT)]


def test_a_disk_that_cannot_be_written_costs_the_files_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("no folder")
    files = ArtifactFiles(tmp_path / "artifacts" / "x", 0)
    with files.arriving(IDS[1]) as arriving:
        arriving.begin("a", 2)
        arriving.write(b"12")
        assert arriving.listed(IDS[1], is_kept=False) == []
    assert [(each.path, each.reason) for each in arriving.omitted] == [("a", Omission.NOT_KEPT)]


def test_files_of_any_size_take_little_memory(folder: Path) -> None:
    files = ArtifactFiles(folder, 1 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with files.arriving(IDS[1]) as arriving:
        arriving.begin("a", 100 << 20)
        for _ in range(1600):
            arriving.write(bytes(1 << 16))
        arriving.listed(IDS[1], is_kept=True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("a.PNG", "image/png"),
        ("x/plot.svg", "image/svg+xml"),
        ("a.tar.gz", "application/gzip"),
        ("page.html", "application/octet-stream"),
        ("page.xhtml", "application/octet-stream"),
        ("png", "application/octet-stream"),
        ("a.png/b", "application/octet-stream"),
        ("a.png\u2028", "application/octet-stream"),
    ],
)
def test_the_type_follows_from_the_name_by_a_fixed_table(path: str, media_type: str) -> None:
    assert media_type_of(path) == media_type


# --- With the history -------------------------------------------------------------------------------------


def kept(database: Database, files: ArtifactFiles, run_id: str, owner: str = "", **bounds: int) -> Any:
    """A history with a run that gave a file back."""
    history = database.history(files=files, **bounds)
    add(history, files, run_id, owner)
    return history


def add(history: Any, files: ArtifactFiles, run_id: str, owner: str = "") -> None:
    with files.arriving(run_id) as arriving:
        arriving.begin("out/a.csv", 3)
        arriving.write(b"1,2")
        listed = arriving.listed(run_id, is_kept=True)
        result = RunResult(run_id, "python", Status.OK, "", "", 0, artifacts=tuple(listed))
        history.add(RunRequest("python", "x", caller=Caller(owner=owner)), result)


def test_the_history_keeps_the_list_with_addresses_instead_of_contents(database: Database, folder: Path) -> None:
    history = kept(database, ArtifactFiles(folder, 1000), IDS[1])
    told = [{"path": "out/a.csv", "bytes": 3, "media_type": "text/csv", "url": f"/runs/{IDS[1]}/artifacts/0"}]
    row = history.get(NOBODY, IDS[1])
    assert row["artifacts"] == history.page(NOBODY)[0][0]["artifacts"] == told == history.artifacts(NOBODY, IDS[1])
    assert history.artifacts(NOBODY, IDS[2]) == [] == history.artifacts(Caller(sees_nobodys=False), IDS[1])


@pytest.mark.parametrize(
    "forget",
    [
        lambda history: history.delete(Caller(owner="key:ada"), IDS[1]),
        lambda history: history.clear(Caller(owner="key:ada")),
        lambda history: history.clear(Caller(owner="key:op", is_operator=True), everybodys=True),
    ],
)
def test_with_a_run_go_its_files(database: Database, folder: Path, forget: Callable[[Any], object]) -> None:
    files = ArtifactFiles(folder, 1000)
    history = kept(database, files, IDS[1], "key:ada")
    add(history, files, IDS[2], "key:ada")
    forget(history)
    left = [row["id"] for row in history.page(Caller(owner="key:ada"))[0]]
    assert there(folder) == left and IDS[1] not in left


def test_somebody_elses_files_stay(database: Database, folder: Path) -> None:
    files = ArtifactFiles(folder, 1000)
    history = kept(database, files, IDS[1], "key:ada")
    assert not history.delete(Caller(owner="key:bob"), IDS[1])
    history.clear(Caller(owner="key:bob"))
    assert there(folder) == [IDS[1]]


def test_what_the_history_has_no_room_for_has_no_files(database: Database, folder: Path) -> None:
    files = ArtifactFiles(folder, 1 << 20)
    history = database.history(limit=10, files=files)
    for run_id in IDS[:40]:
        add(history, files, run_id)
    kept_ids = {row["id"] for row in history.page(NOBODY)[0]}
    assert kept_ids <= {*there(folder)} and len(there(folder)) < 15


def test_what_is_done_is_done_though_it_cannot_be_told_whose_files_may_go(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ArtifactFiles(folder, 1000)
    history = kept(database, files, IDS[1])
    add(history, files, IDS[2])

    def fail(ids: object) -> set[str]:
        raise HistoryError("The database does not answer.")

    with monkeypatch.context() as fault:
        fault.setattr(history, "_existing", fail)
        assert history.delete(NOBODY, IDS[1])
        assert history.artifacts(NOBODY, IDS[1]) == []
    assert history.delete(NOBODY, IDS[2])
    assert there(folder) == []


# --- Over HTTP --------------------------------------------------------------------------------------------


@pytest.fixture
def client(tmp_path: Path, folder: Path) -> FlaskClient:
    """A server with a run of ada's that gave two files back, and one of nobody's."""
    settings = load(data_dir=tmp_path)
    app = create_app(settings, FakeExecutor())  # type: ignore[arg-type]
    files, history = ArtifactFiles(folder, 1 << 30), app.extensions["history"]
    made = {'out/"é\\;.csv': b"1,2", "big.html": bytes(3 << 20)}
    for run_id, owner in ((IDS[1], "key:ada"), (IDS[2], "")):
        listed: list[Artifact] = list(give(files, run_id, made))
        result = RunResult(run_id, "python", Status.OK, "", "", 0, artifacts=tuple(listed))  # type: ignore[arg-type]
        history.add(RunRequest("python", "x", caller=Caller(owner=owner)), result)
    app.extensions["ada"] = keys_of(app).add("ada")
    return app.test_client()


def test_a_file_is_an_attachment_that_no_browser_runs(client: FlaskClient) -> None:
    for number, media_type, size in ((0, "text/csv", 3), (1, "application/octet-stream", 3 << 20)):
        answer = client.get(f"/runs/{IDS[2]}/artifacts/{number}", headers={"Accept-Encoding": "gzip"}, buffered=True)
        assert (answer.status_code, answer.content_type, len(answer.data)) == (200, media_type, size)
        assert answer.headers["Content-Length"] == str(size)
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_name_is_the_last_part_of_the_path_whatever_is_in_it(client: FlaskClient) -> None:
    answer = client.get(f"/runs/{IDS[2]}/artifacts/0", buffered=True)
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%22%C3%A9%5C%3B.csv"


@pytest.mark.parametrize("number", ["2", "-1", "00002", "9" * 50, "x", "%2e%2e", "1.0", "\u0661"])
def test_no_other_number_leads_anywhere(client: FlaskClient, number: str) -> None:
    answer = client.get(f"/runs/{IDS[2]}/artifacts/{number}")
    assert answer.status_code == 404 and answer.get_json()["code"] == "not_found"


def test_only_its_owner_gets_a_file(client: FlaskClient) -> None:
    url = f"/runs/{IDS[1]}/artifacts/0"
    assert client.get(url).status_code == 404
    ada = {"Authorization": f"Bearer {client.application.extensions['ada']}"}
    assert client.get(url, headers=ada, buffered=True).data == b"1,2"
    assert client.get(url, headers={"Authorization": "Bearer sce_" + "x" * 32}).status_code == 401


def test_a_file_that_had_to_make_room_is_gone(client: FlaskClient, folder: Path) -> None:
    (folder / IDS[2] / "0").unlink()
    answer = client.get(f"/runs/{IDS[2]}/artifacts/0")
    assert (answer.status_code, answer.get_json()["error"]) == (404, "That file is not kept any more.")


def test_with_a_run_that_is_deleted_its_files_are_gone(client: FlaskClient) -> None:
    assert client.delete(f"/history/{IDS[2]}").status_code == 200
    assert client.get(f"/runs/{IDS[2]}/artifacts/0").status_code == 404


def test_the_page_is_told_how_much_comes_back(client: FlaskClient) -> None:
    told = client.get("/config").get_json()["artifacts"]
    assert told == {"count": 20, "bytes": 16 << 20, "inline_bytes": INLINE_BYTES}


def test_what_an_earlier_server_has_kept_goes_if_nothing_shall_be(tmp_path: Path) -> None:
    (tmp_path / "0123456789abcdef").mkdir()
    (tmp_path / "0123456789abcdef" / "0").write_bytes(b"kept")
    (tmp_path / "f123456789abcdef").write_text("no folder")
    ArtifactFiles(tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["f123456789abcdef"]
