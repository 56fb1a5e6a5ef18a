"""Makes sure there is a Chromium for the tests of the page: `python -m scripts.browser`.

Debian has a package that works anywhere; Ubuntu's is a snap, which needs a running snapd, so there the build
that belongs to Playwright is taken.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.stages import Failed, Stage, apt_install, guarded, run_logged, stage

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FONTS = ("fonts-dejavu-core", "fonts-liberation")


def find() -> str | None:
    """Path of a Chromium on this machine that starts."""
    candidates = [path for name in NAMES if (path := shutil.which(name))]
    caches = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")
    candidates += sorted((str(path) for path in caches.glob("chromium-*/chrome-linux*/chrome")), reverse=True)
    return next((path for path in candidates if _version(path)), None)


def _version(path: str) -> str:
    """What the browser says it is; empty when it does not start (Ubuntu's placeholder for the snap does not)."""
    try:
        done = subprocess.run([path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def ensure(now: Stage) -> str:
    """Install Chromium when there is none; what came of it, for the report.

    :raises Failed: it cannot be installed from here; the message says what to type.
    """
    path = find()
    if path:
        return f"{_version(path)} ready"
    if _is_ubuntu():
        now.say("playwright install chromium (log: build/playwright.log)")
        libraries = ["--with-deps"] if os.geteuid() == 0 else []
        run_logged(
            [sys.executable, "-m", "playwright", "install", *libraries, "chromium"],
            "playwright.log", timeout_seconds=1200,
        )  # fmt: skip
    else:
        apt_install(now, "chromium", "chromium", *FONTS)
    path = find()
    if not path:
        raise Failed("Chromium was installed and does not start: type `chromium --version` to see why.")
    return f"{_version(path)} installed"


def _is_ubuntu() -> bool:
    try:
        return platform.freedesktop_os_release().get("ID") == "ubuntu"
    except OSError:
        return False


def main() -> int:
    with stage("Chromium for the tests") as now:
        now.done(ensure(now))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
