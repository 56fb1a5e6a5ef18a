"""Every curl example of the documents works."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def curl_examples() -> Iterator[tuple[str, str]]:
    """The document and the command of each `$ … curl …` line in a console block."""
    for document in DOCUMENTS:
        for block in re.findall(r"```console\n(.*?)```", document.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ ") and "curl" in line:
                    yield document.name, line[2:]


@pytest.mark.parametrize(("document", "command"), list(curl_examples()))
def test_each_curl_example_works(document: str, command: str, server_url: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    shutil.copy(ROOT / "tasks.json", tmp_path)
    command = command.replace("http://localhost:5000", server_url)
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (shlex.split(command), done.stderr)
    if done.stdout.startswith("{"):
        assert "error" not in json.loads(done.stdout) or "exit_code" in json.loads(done.stdout), done.stdout


def test_the_readme_has_curl_examples() -> None:
    assert [name for name, _ in curl_examples()].count("README.md") >= 4
