"""Commands of the project, run as a user would, and a folder with the scripts alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

PYTHON = str(ROOT / ".venv/bin/python")


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """A finished command; stdout and stderr together."""
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, text=True, timeout=100,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the scripts and without requirements."""
    (tmp_path / "scripts").mkdir()
    for name in ("venv", "apt-install"):
        shutil.copy2(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    return tmp_path
