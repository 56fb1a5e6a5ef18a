"""What the documents say is true: the settings table, the links, and every curl example."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import settings
from tests.conftest import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def curl_examples() -> Iterator[tuple[str, str]]:
    """The document and the command of each `$ … curl …` line in a console block."""
    for document in DOCUMENTS:
        for block in re.findall(r"```console\n(.*?)```", document.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ ") and "curl" in line:
                    yield document.name, line[2:]


def headings(document: Path) -> set[str]:
    """The anchors of a document's headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_shows_the_settings_as_they_are() -> None:
    assert settings.table() in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_the_readme_has_curl_examples() -> None:
    assert [name for name, _ in curl_examples()].count("README.md") >= 4


@pytest.mark.parametrize(("document", "command"), list(curl_examples()))
def test_each_curl_example_works(document: str, command: str, server_url: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    shutil.copy(ROOT / "tasks.json", tmp_path)
    command = command.replace("http://localhost:5000", server_url)
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (shlex.split(command), done.stderr)
    if done.stdout.startswith("{"):
        assert "error" not in json.loads(done.stdout) or "exit_code" in json.loads(done.stdout), done.stdout
