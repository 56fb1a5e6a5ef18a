"""Both ends of the protocol, which share no code, mean the same."""

from __future__ import annotations

import re
import runpy
import sys
from typing import Any

import pytest

from sandbox.box import arrivals, protocol
from sandbox.engine.image import GUEST
from sandbox.engine.instance import NUMBERS


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The names of the supervisor's modules, read here as they are read inside."""
    monkeypatch.syspath_prepend(str(GUEST))
    before = set(sys.modules)
    found = {name: runpy.run_path(str(GUEST / f"{name}.py")) for name in ("frames", "output", "program", "run")}
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) == str(GUEST / f"{name}.py"):
            del sys.modules[name]
    return found


@pytest.mark.parametrize("name", ["FRAME", "ORDER", "RUN", "LIMITS", "ARTIFACTS", "REPORT"])
def test_numbers_are_packed_the_same(guest: dict[str, dict[str, Any]], name: str) -> None:
    assert guest["frames"][name].format == getattr(protocol, name).format


def test_files_are_announced_the_same(guest: dict[str, dict[str, Any]]) -> None:
    assert guest["frames"]["FILE"].format == arrivals.FILE.format
    sources = (GUEST / "artifacts.py").read_text() + (GUEST / "apart.py").read_text()
    words = {word.encode() for word in re.findall(r'b"([a-z]+)(?:\\0)?"', sources)}
    assert words == set(arrivals.SAID)
    assert guest["frames"]["READ_BYTES"] == arrivals.PIECE_BYTES
    assert f"MAX_PATH_BYTES = {arrivals.MAX_PATH_BYTES}\n" in sources


def test_no_frame_of_the_supervisor_is_larger_than_the_host_takes(guest: dict[str, dict[str, Any]]) -> None:
    """Output is gathered up to one read, and one more may come on top."""
    assert guest["frames"]["READ_BYTES"] * 2 <= protocol.FRAME_ROOM_BYTES


def test_every_reason_and_refusal_of_the_supervisor_is_known() -> None:
    sources = "".join(path.read_text() for path in GUEST.glob("*.py"))
    assert {reason.encode() for reason in re.findall(r'self\.stopped = b"(\w+)"', sources)} == set(protocol.REASONS) - {
        b""
    }
    assert {code.encode() for code in re.findall(r'Refused\("(\w+)"\)', sources)} == set(protocol.REFUSALS)
    found = set(re.findall(r'(?:return|else) b"(\w+)"$', (GUEST / "leftovers.py").read_text(), re.MULTILINE))
    assert {word.encode() for word in found} == set(protocol.LEFTOVERS)


def test_every_number_of_a_container_stands_for_a_user(guest: dict[str, dict[str, Any]]) -> None:
    program = guest["program"]
    assert program["FIRST_NAMESPACE_UID"] + NUMBERS < program["NOGROUP"], "a user namespace ends at 65536"
    assert program["FIRST_HOST_UID"] + NUMBERS < 1 << 31
