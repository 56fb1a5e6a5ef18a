"""Makes sure that a container engine answers and the sandbox image exists: `python -m scripts.image`.

On the public Python and Node images when they are here or can be pulled; otherwise on bases made on the spot
(scripts/bases.py), while the engine is installed, if that is missing as well. Then the packs that SCE_PACKS names
(scripts/packs.py).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.engine import image as images
from sandbox.engine.client import Client
from sandbox.engine.image import Image
from sandbox.engine.versions import label_ours
from sandbox.settings import Settings, load
from scripts import bases as recipe
from scripts import engine, packs
from scripts.stages import BUILD, ROOT, Failed, Stage, guarded, stage, tail

LOG = BUILD / "bases.log"


def ensure(settings: Settings, workshop: Workshop, now: Stage) -> str:
    """Build the image when it is missing; what came of it, for the report.

    :raises Failed, EngineError: it cannot be built from here; the message says what to type.
    """
    image = Image.of(settings)
    if image.exists():
        return f"{image.name} ready"
    if not image.is_ours:
        image.check()
    images.build_missing(image, now.say, bases(image.client, workshop, now))
    return f"{image.name} built"


def bases(client: Client, workshop: Workshop, now: Stage) -> dict[str, str]:
    """Build argument -> base image that is on the engine now."""
    made = recipe.made_bases()
    # Bases made earlier are there because pulling failed then: do not wait for it to fail again.
    if all(Image(client, name).exists() for name in made.values()):
        return made
    pulled = images.pulled_bases()
    if images.pull_missing(client, list(pulled.values()), now.say):
        return pulled
    make_bases(client, workshop, now)
    return made


class Workshop:
    """Where the bases are made, by a process of its own: an engine can be installed meanwhile."""

    def __init__(self) -> None:
        self._folder = ""
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, now: Stage) -> None:
        """Begin, unless that was done.

        :raises Failed: they cannot be made here.
        """
        if self._process:
            return
        recipe.prepare(now)
        now.say(
            f"making the bases of the image (one to five minutes; log: build/{LOG.name}; DEBIAN_MIRROR names a mirror)"
        )
        # debootstrap makes device nodes and runs what it unpacks; /tmp is often mounted so that it may not.
        self._folder = tempfile.mkdtemp(prefix="sce-bases-", dir="/var/tmp")
        BUILD.mkdir(exist_ok=True)
        LOG.unlink(missing_ok=True)  # it may belong to root after a `sudo make`
        with LOG.open("wb") as log:
            argv = [sys.executable, "-m", "scripts.bases", self._folder]
            self._process = subprocess.Popen(
                argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def finish(self) -> Path:
        """The folder, when they are made.

        :raises Failed: they could not be.
        """
        assert self._process
        if self._process.wait():
            raise Failed(f"The bases could not be made: {tail(LOG)}")
        return Path(self._folder)

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def make_bases(client: Client, workshop: Workshop, now: Stage) -> None:
    """Make both bases and hand those that are missing to the engine."""
    workshop.begin(now)
    folder = workshop.finish()
    for base, name in recipe.made_bases().items():
        if not Image(client, name).exists():
            import_root(client, recipe.root_of(folder, base), name)


def import_root(client: Client, root: Path, image: str) -> None:
    """Hand a folder to the engine as an image of one layer."""
    tar = subprocess.Popen(["tar", "--numeric-owner", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
    done = subprocess.run([client.program, "import", "-", image], stdin=tar.stdout, capture_output=True, text=True)
    if tar.stdout:
        tar.stdout.close()
    if tar.wait() or done.returncode:
        raise Failed(f"The engine did not take {image}: {done.stderr.strip()}")


def main() -> int:
    settings = load()
    with contextlib.closing(Workshop()) as workshop:
        with stage("Container engine") as now:
            now.done(engine.start(settings, now, before_install=workshop.begin))
        with stage("Sandbox image") as now:
            now.done(ensure(settings, workshop, now))
            label_ours(Image.of(settings), now.say)
    packs.ensure(settings, settings.packs)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
