"""What is installed from elsewhere is what the lock files name, or signed: by the installers themselves."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts import bases
from scripts.stages import Failed, Stage
from tests.conftest import ROOT


def wheel(folder: Path, content: str) -> Path:
    """A package `nothing` of version 1."""
    path = folder / "nothing-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nothing.py", content)
        archive.writestr("nothing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: nothing\nVersion: 1\n")
        archive.writestr("nothing-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("nothing-1.dist-info/RECORD", "")
    return path


@pytest.mark.parametrize("is_tampered_with", [False, True])
def test_a_wheel_that_is_not_the_locked_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_tampered_with: bool
) -> None:
    digest = hashlib.sha256(wheel(tmp_path, "").read_bytes()).hexdigest()
    lock = tmp_path / "bases.txt"
    lock.write_text(f"nothing==1 --hash=sha256:{digest}\n")
    if is_tampered_with:
        wheel(tmp_path, "import evil")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(bases, "LOCK", lock)
    if is_tampered_with:
        with pytest.raises(Failed, match="DO NOT MATCH THE HASHES"):
            bases.download_wheels(tmp_path / "out", Stage("test"))
    else:
        assert [path.name for path in bases.download_wheels(tmp_path / "out", Stage("test")).iterdir()] == [
            "nothing-1-py3-none-any.whl"
        ]


def test_a_package_without_hashes_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `make` and the image of the server install: scripts/venv and the Dockerfile demand hashes."""
    wheel(tmp_path, "")
    (tmp_path / "requirements.txt").write_text("nothing==1\n")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/venv").write_bytes((ROOT / "scripts/venv").read_bytes())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "sleep").symlink_to("/bin/true")  # between the tries, for a network that comes back
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / ".venv")], check=True)
    done = subprocess.run(["bash", str(tmp_path / "scripts/venv")], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert "Hashes are required in --require-hashes mode" in done.stderr
    assert "--require-hashes -r requirements.txt" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize(
    ("has_keys", "complaint"), [(True, "Failed getting release signature"), (False, "keyring file .* not found")]
)
def test_debian_packages_that_nobody_has_signed_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_keys: bool, complaint: str
) -> None:
    release = tmp_path / "mirror/dists" / bases.recipe()["suite"] / "Release"
    release.parent.mkdir(parents=True)
    release.write_text("Origin: Debian\nComponents: main\nArchitectures: amd64 arm64\nSHA256:\n")
    monkeypatch.setenv("DEBIAN_MIRROR", f"file://{tmp_path}/mirror")
    if not has_keys:
        monkeypatch.setattr(bases, "KEYRING", tmp_path / "none.gpg")
        monkeypatch.setattr(bases, "apt_install", lambda now, *packages: None)
    with pytest.raises(Failed, match=complaint):
        bases.bootstrap(tmp_path / "root", Stage("test"))
    assert not (tmp_path / "root/bin").exists()
