"""Programs run although the history's disk is full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import serve


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.fail("This test mounts a file system, which takes root.", pytrace=False)
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_in_the_log_and_programs_run(
    real_engine: None, tmp_path: Path, small_disk: Path
) -> None:
    program = {"code": "print('x' * 200_000)"}
    with serve(tmp_path, database_url=f"sqlite:///{small_disk / 'history.db'}", pool="python:5") as server:
        for _ in range(8):
            answer = requests.post(f"{server.url}/run", json=program, timeout=60)
            assert (answer.status_code, len(answer.json()["output"])) == (200, 200_001)
        log = server.log.read_text()
    assert "Traceback" not in log
    (line,) = [line for line in log.splitlines() if "Not in the history" in line]
    assert "The disk of the database is full. Running programs still works." in line
