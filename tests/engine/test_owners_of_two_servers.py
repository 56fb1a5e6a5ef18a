"""Owners over real servers: several processes know the same people, and a closed one lets in whoever has a key."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.conftest import ROOT, Server, serve
from tests.databases import new_database

RUN = {"code": "print(6 * 7)"}


def cli(folder: Path, database_url: str, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCE_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "key", *words],
        cwd=folder,
        env=environment | {"SCE_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def database_url(postgresql: str) -> Iterator[str]:
    with new_database(postgresql) as url:
        yield url


@pytest.fixture
def servers(real_engine: None, database_url: str, tmp_path: Path) -> Iterator[list[Server]]:
    """Two that need a key, over one database."""
    with ExitStack() as stack:
        started = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            shared = {"database_url": database_url, "cookie_secret": "x" * 32, "require_key": "true"}
            started.append(stack.enter_context(serve(tmp_path / name, pool="", log_json="true", **shared)))
        yield started


@pytest.mark.postgres
def test_servers_over_one_database_know_the_same_keys_cookies_and_runs(
    servers: list[Server], database_url: str, tmp_path: Path
) -> None:
    one, other = servers
    assert requests.post(f"{one.url}/run", json=RUN, timeout=30).json()["code"] == "key_required"
    key = cli(tmp_path, database_url, "add", "ada")
    bearer = {"Authorization": f"Bearer {key}"}
    result = requests.post(f"{one.url}/run", json=RUN, headers=bearer, timeout=60).json()
    assert result["output"] == "42\n"
    row = requests.get(f"{other.url}/history/{result['id']}", headers=bearer, timeout=30).json()
    assert row["owner"] == "key:ada"

    with requests.Session() as browser:  # which sends cookies to every port
        assert browser.post(f"{one.url}/sign-in", json={"key": key}, timeout=30).status_code == 200
        assert browser.get(f"{other.url}/history/{result['id']}", timeout=30).status_code == 200
        stranger = {"Authorization": f"Bearer {cli(tmp_path, database_url, 'add', 'bob')}"}
        assert requests.get(f"{other.url}/history/{result['id']}", headers=stranger, timeout=30).status_code == 404
        cli(tmp_path, database_url, "revoke", "ada")
        for server in servers:
            assert requests.get(f"{server.url}/history", headers=bearer, timeout=30).json()["code"] == "wrong_key"
            assert browser.get(f"{server.url}/history", timeout=30).json()["code"] == "key_required"

    log = one.log.read_text()
    assert f'"run_id": "{result["id"]}", "owner": "key:ada"' in log
    assert key not in log and RUN["code"] not in log
