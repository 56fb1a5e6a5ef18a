"""The lock files: whole, hashed, for every Python that the server supports, and what pip goes by."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from importlib import metadata
from pathlib import Path
from typing import cast

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import image
from scripts.stages import Failed, Stage
from tests.conftest import ROOT

LOCKS = ["requirements", "requirements-dev", "scripts/bases"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def locked(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Package -> its requirement and its hashes."""
    text = (ROOT / f"{name}.txt").read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for line in lines:
        requirement, *hashes = line.split(" --hash=")
        parsed = Requirement(requirement)
        found[canonicalize_name(parsed.name)] = (parsed, [text.strip() for text in hashes])
    return found


def asked(name: str) -> Iterator[Requirement]:
    """What an .in file names, those it includes with it."""
    for line in (ROOT / f"{name}.in").read_text().splitlines():
        if line.startswith("-r "):
            yield from asked(line.removeprefix("-r ").removesuffix(".in"))
        elif line and not line.startswith(("#", "-c ")):
            yield Requirement(line)


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_one_version_and_hashes(name: str) -> None:
    packages = locked(name)
    assert packages
    for requirement, hashes in packages.values():
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes and all(re.fullmatch("sha256:[0-9a-f]{64}", text) for text in hashes), requirement


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_its_source_asks_for_and_names_no_index(name: str) -> None:
    packages = locked(name)
    for requirement in asked(name):
        assert packages[canonicalize_name(requirement.name)][0].specifier == requirement.specifier, "run `make lock`"
    assert "://" not in (ROOT / f"{name}.txt").read_text()


@pytest.mark.parametrize("python", PYTHONS)
def test_a_lock_is_closed_under_what_its_packages_need(python: str) -> None:
    """By the metadata of what is installed here: pip would refuse a package that comes without hashes."""
    environment: dict[str, str | AbstractSet[str]] = {
        **cast(dict[str, str], default_environment()),
        "python_version": python,
        "python_full_version": f"{python}.0",
        "extra": "",
    }
    packages = locked("requirements-dev")
    needed = [canonicalize_name(requirement.name) for requirement in asked("requirements-dev")]
    seen: set[str] = set()
    while needed:
        name = needed.pop()
        if name in seen:
            continue
        seen.add(name)
        marker = packages[name][0].marker
        assert marker is None or marker.evaluate(environment), f"{name} is locked, but not for Python {python}"
        for text in _requires(name):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                needed.append(canonicalize_name(requirement.name))


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # for other Pythons than this one
        return []


def test_both_locks_agree() -> None:
    everything = locked("requirements-dev")
    for name, entry in locked("requirements").items():
        assert everything[name] == entry


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
    monkeypatch.setattr(image, "LOCK", lock)
    if is_tampered_with:
        with pytest.raises(Failed, match="DO NOT MATCH THE HASHES"):
            image.download_wheels(tmp_path / "out", Stage("test"))
    else:
        assert [path.name for path in image.download_wheels(tmp_path / "out", Stage("test")).iterdir()] == [
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
    release = tmp_path / "mirror/dists" / image.recipe()["suite"] / "Release"
    release.parent.mkdir(parents=True)
    release.write_text("Origin: Debian\nComponents: main\nArchitectures: amd64 arm64\nSHA256:\n")
    monkeypatch.setenv("DEBIAN_MIRROR", f"file://{tmp_path}/mirror")
    if not has_keys:
        monkeypatch.setattr(image, "KEYRING", tmp_path / "none.gpg")
        monkeypatch.setattr(image, "apt_install", lambda now, *packages: None)
    with pytest.raises(Failed, match=complaint):
        image.bootstrap(tmp_path / "root", Stage("test"))
    assert not (tmp_path / "root/bin").exists()
