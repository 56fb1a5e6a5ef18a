"""What the documents say is true: the settings table, the links and the Python; and they say it once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import settings_table
from tests.conftest import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

PROGRAMS = [found for document in DOCUMENTS for found in re.findall(r"python3? -c '([^']+)'", document.read_text())]


def titles(document: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)


def headings(document: Path) -> set[str]:
    """The anchors of a document's headings, as code hosts make them."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles(document)}


def test_the_readme_shows_the_settings_as_they_are() -> None:
    assert settings_table.table() in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("document", DOCUMENTS[2:], ids=lambda path: path.name)
def test_no_paragraph_is_there_twice(document: Path) -> None:
    paragraphs = [paragraph for paragraph in document.read_text().split("\n\n") if len(paragraph) > 80]
    assert len(set(paragraphs)) == len(paragraphs)
    assert len(set(titles(document))) == len(titles(document))


@pytest.mark.parametrize("program", PROGRAMS)
def test_python_on_the_command_line_works(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)
