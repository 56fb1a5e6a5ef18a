"""Makes sure there is a PostgreSQL for the tests of the history: `python -m scripts.postgres`.

Only its programs are wanted: the tests start a server of their own. Debian keeps them apart from PATH, by version.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from scripts.stages import Failed, Stage, apt_install, guarded, stage

DEBIAN = Path("/usr/lib/postgresql")


def find() -> Path | None:
    """The folder with `initdb` and `postgres`, of the newest version there is."""
    versions = sorted(DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    candidates = [*versions, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def ensure(now: Stage) -> str:
    """Install PostgreSQL when there is none; what came of it, for the report.

    :raises Failed: it cannot be installed from here; the message says what to type.
    """
    if folder := find():
        return f"{folder} ready"
    apt_install(now, "PostgreSQL", "postgresql")
    if folder := find():
        return f"{folder} installed"
    raise Failed(f"PostgreSQL was installed, and {DEBIAN} has no `initdb`.")


def main() -> int:
    with stage("PostgreSQL for the tests") as now:
        now.done(ensure(now))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
