"""Builds packs, each an image on top of the sandbox image: `python -m scripts.packs [--all | NAME...]`.

Without a name: those that SCE_PACKS names. From Debian packages, and from the wheels that the `requirements.txt` beside
a recipe locks; those are downloaded here, so that the build needs no index. What is there already is not built again.
"""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sandbox.engine import image as images
from sandbox.engine.image import Image
from sandbox.engine.packs import INSTALLER, image_of
from sandbox.engine.versions import make_labelled
from sandbox.packs import FOLDER, PACKS, add_with
from sandbox.settings import Settings, load
from scripts.stages import Stage, guarded, run_logged, stage

PYTHON_VERSION = "3.11"
"""What the wheels are for: the interpreter of the image, whatever runs this."""


STEP = re.compile(r"(?:Step \d+/\d+ : |#\d+ \[\S* ?\d+/\d+\] )(.+)")


def ensure(settings: Settings, names: Iterable[str]) -> None:
    """Build those of the packs that are missing, each with a line that says how long it took.

    :raises Failed, EngineError: one cannot be built; those before it are there.
    """
    base = Image.of(settings)
    for name in names:
        with stage(f"Pack {name}") as now:
            now.done(ensure_one(base, name, now))


def ensure_one(base: Image, name: str, now: Stage) -> str:
    """Build one pack when it is missing; what came of it, for the report."""
    image = image_of(base, name)
    if image.exists():
        return f"{image.name} ready"
    with tempfile.TemporaryDirectory(prefix="sce-pack-") as folder:
        context = Path(folder, "context")
        prepare(context, FOLDER / name, now)
        # Under another name until all of it is done.
        draft = Image(base.client, f"{image.name}-draft")
        words = ["--force-rm", "--tag", draft.name, "--build-arg", f"BASE={base.name}", str(context)]
        images.build(base.client, words, now.say, lambda line: tell_step(line, now))
        versions = make_labelled(draft, image.name, name)
        now.say(", ".join(f"{language} {version}" for language, version in versions.items()) or "only libraries")
    base.client.ask("rmi", draft.name, timeout_seconds=60)
    return f"{image.name} built, {image.size_bytes() / 1e6:.0f} MB"


def tell_step(line: str, now: Stage) -> None:
    """Say what a build does next, as the classic builder and BuildKit announce it."""
    if step := STEP.match(line):
        now.say(step[1][:100])


def prepare(context: Path, recipe: Path, now: Stage) -> None:
    """Put together what a recipe is built from."""
    shutil.copytree(recipe, context)
    shutil.copy(INSTALLER, context)
    lock = context / "requirements.txt"
    if lock.exists():
        download_wheels(lock, context / "wheels", now)


def download_wheels(lock: Path, folder: Path, now: Stage) -> None:
    """Put the locked wheels for the image's interpreter and this machine's architecture into `folder`.

    :raises Failed: also when a file is not the one that was locked.
    """
    now.say("pip download of the locked wheels (log: build/pip-download.log)")
    systems = [f"manylinux{version}_{platform.machine()}" for version in ("2014", "_2_17", "_2_24", "_2_27", "_2_28")]
    run_logged(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder),
         "--python-version", PYTHON_VERSION, "--implementation", "cp", *(f"--platform={system}" for system in systems),
         "--retries", "8", "--disable-pip-version-check", "--require-hashes", "--requirement", str(lock)],
        "pip-download.log", timeout_seconds=1200,
    )  # fmt: skip


def main() -> int:
    settings = load()
    names = list(PACKS) if sys.argv[1:] == ["--all"] else sys.argv[1:] or settings.packs
    if not names or not {*names} <= {*PACKS}:
        print(f"Which packs? Known: {', '.join(PACKS)}. Type: {add_with(*PACKS)}", file=sys.stderr)
        return 2
    ensure(settings, names)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
