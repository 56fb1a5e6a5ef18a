"""The command line, as a process of its own in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.settings import load
from sandbox.store.database import Database as StoreDatabase
from sandbox.store.database import url_of
from sandbox.store.keys import Keys
from tests.conftest import ROOT
from tests.databases import Database
from tests.fakes import web_app


def cli(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCE_")}
    return subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *words],
        cwd=folder,
        env=environment | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )


def keys_in(folder: Path) -> Keys:
    """Those of a server that is started in this folder."""
    settings = load(data_dir=folder / "data")
    settings.data_dir.mkdir()
    return Keys(StoreDatabase(url_of(settings)))


def add(folder: Path, *words: str, **settings: str) -> str:
    """The key that was printed."""
    done = cli(folder, "key", "add", *words, **settings)
    assert (done.returncode, bool(done.stderr)) == (0, True), done
    assert re.fullmatch(r"sce_[0-9A-Za-z]{32}\n", done.stdout)
    assert done.stdout.strip() not in done.stderr
    return done.stdout.strip()


def test_a_folder_without_a_server_is_pointed_out(tmp_path: Path) -> None:
    done = cli(tmp_path, "key", "list")
    assert str(tmp_path / "data") in done.stderr
    assert cli(tmp_path, "key", "list").stderr == ""


def test_a_key_made_while_the_server_runs_works_at_once_until_it_is_revoked(tmp_path: Path) -> None:
    app = web_app(load(data_dir=tmp_path / "data"))
    client = app.test_client()
    assert client.get("/me").status_code == 200
    headers = {"Authorization": f"Bearer {add(tmp_path, 'ada', '--operator')}"}
    me = client.get("/me", headers=headers).get_json()
    assert (me["owner"], me["is_operator"]) == ("key:ada", True)
    done = cli(tmp_path, "key", "revoke", "ada")
    assert (done.returncode, done.stdout) == (0, "")
    assert client.get("/me", headers=headers).status_code == 401
    app.extensions["database"].close()


def test_the_list_has_names_and_bounds_and_no_key(tmp_path: Path) -> None:
    made = [add(tmp_path, "bob", "--runs-at-once", "3", "--cpu-seconds-per-hour", "0.5"), add(tmp_path, "ada")]
    done = cli(tmp_path, "key", "list")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = [line.split() for line in done.stdout.splitlines()]
    assert head[0] == "NAME"
    assert [line[:4] for line in lines] == [["ada", "-", "-", "-"], ["bob", "-", "3", "0.5"]]
    assert not any(key in done.stdout for key in made)


def test_the_settings_of_the_folder_are_used(tmp_path: Path, database: Database) -> None:
    (tmp_path / ".env").write_text(f"SCE_DATABASE_URL={database.url}\nSCE_DATA_DIR=elsewhere\n")
    key = add(tmp_path, "ada")
    assert Keys(database.open()).find(key)
    (tmp_path / ".env").write_text("SCE_DATA_DIR=elsewhere\n")
    add(tmp_path, "bob")
    assert (tmp_path / "elsewhere" / "history.db").exists()
    assert url_of(load(data_dir=tmp_path / "elsewhere")).endswith("elsewhere/history.db")


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("add", "ada"), 2, "already"),
        (("add", "a b"), 2, "letters"),
        (("add", "new", "--runs-at-once", "0"), 2, "from 1"),
        (("add", "new", "--runs-at-once", "x"), 2, "runs-at-once"),
        (("add", "new", "--cpu-seconds-per-hour", "nan"), 2, "from 0.001"),
        (("add",), 2, "NAME"),
        (("revoke", "bob"), 1, "no key of the name bob"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    tmp_path: Path, words: tuple[str, ...], status: int, sentence: str
) -> None:
    keys = keys_in(tmp_path)
    keys.add("ada")
    done = cli(tmp_path, "key", *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in done.stderr and "Traceback" not in done.stderr
    assert [key.name for key in keys.all()] == ["ada"]


@pytest.mark.parametrize(
    ("settings", "status", "sentence"),
    [
        ({"SCE_PORT": "x"}, 2, "SCE_PORT"),
        ({"SCE_DATABASE_URL": "nonsense"}, 2, "SCE_DATABASE_URL"),
        ({"SCE_DATABASE_URL": "postgresql+psycopg://nobody@localhost:1/nothing"}, 1, "database cannot be used"),
        ({"SCE_DATA_DIR": "/proc/nowhere"}, 1, "SCE_DATA_DIR"),
    ],
)
@pytest.mark.parametrize("words", [("add", "ada"), ("list",), ("revoke", "ada")])
def test_trouble_with_settings_and_database_is_too(
    tmp_path: Path, words: tuple[str, ...], settings: dict[str, str], status: int, sentence: str
) -> None:
    done = cli(tmp_path, "key", *words, **settings)
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in done.stderr and "Traceback" not in done.stderr
