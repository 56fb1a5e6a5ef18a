"""Which version of each language is in an image: asked once, when it has been built, and kept as a label of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from sandbox.engine.client import ClientRefused
from sandbox.engine.image import REPOSITORY, Image, build
from sandbox.errors import EngineError
from sandbox.languages import LANGUAGES

LABEL = f"{REPOSITORY.partition('/')[0]}.versions"
PROBE_SECONDS = 60.0
PROBE = r"""
import json, re, subprocess, sys
found = {}
for name, command in json.loads(sys.argv[1]).items():
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError:
        continue
    if version := re.search(r"\d+(\.\d+)+", done.stdout + done.stderr):
        found[name] = version[0]
print(json.dumps(found))
"""
"""Prints what each of some commands says its version is."""


def versions_in(image: Image) -> dict[str, str]:
    """Language -> version, as the label says. Empty without one, as of an image that was not built by us.

    :raises EngineError: as `Image.id`.
    """
    try:
        versions: dict[str, str] = json.loads(image.label(LABEL) or "{}")
    except ValueError:
        return {}
    return versions


def make_labelled(draft: Image, name: str, pack: str = "") -> dict[str, str]:
    """Make an image of that name: the draft, with the versions of the pack's languages as a label. Those versions.

    :raises EngineError: it could not be made.
    """
    versions = ask(draft, pack)
    with tempfile.TemporaryDirectory(prefix="sce-label-") as folder:
        Path(folder, "Dockerfile").write_text(f"FROM {draft.name}\n", encoding="utf-8")
        build(draft.client, ["--force-rm", "--tag", name, "--label", f"{LABEL}={json.dumps(versions)}", folder])
    return versions


def label_ours(image: Image, say: Callable[[str], None] = print) -> None:
    """Give the image that belongs to these sources its label, if it has none. All else works without."""
    try:
        if image.is_ours and not image.label(LABEL):
            make_labelled(image, image.name)
    except EngineError as problem:
        say(f"versions unknown: {problem.message}")


def ask(image: Image, pack: str) -> dict[str, str]:
    """Language -> version, of the languages of a pack, asked of their interpreters.

    :raises EngineError: no container of it can be started.
    """
    commands = {name: language.asks_version for name, language in LANGUAGES.items() if language.pack == pack}
    words = ["--entrypoint", "/usr/local/bin/python3", image.name, "-I", "-c", PROBE, json.dumps(commands)]
    try:
        said = image.client.ask("run", "--rm", "--network", "none", *words, timeout_seconds=PROBE_SECONDS)
    except ClientRefused as refusal:
        raise EngineError(f"A container of {image.name} does not start: {refusal.words.strip()}") from refusal
    versions: dict[str, str] = json.loads(said)
    return versions
