"""The lock files: whole, hashed, for every Python that the server supports, and what pip goes by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from importlib import metadata
from typing import cast

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

LOCKS = ["requirements", "requirements-dev", "scripts/bases", "scripts/uv"]
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
