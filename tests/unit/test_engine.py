"""The engine module: what it says without an engine, and that names of images follow the sources."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from sandbox.engine import doctor, image
from sandbox.engine.client import Client
from sandbox.engine.image import Image
from sandbox.errors import EngineUnavailable
from sandbox.settings import Settings, load

# --- Names ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "one.py").write_text("1")
    (tmp_path / "deep" / "two.py").write_text("2")
    return tmp_path


def test_hash_is_twelve_hex_digits_and_repeatable(folder: Path) -> None:
    assert image.folder_hash(folder) == image.folder_hash(folder)
    assert len(image.folder_hash(folder)) == len(bytes.fromhex(image.folder_hash(folder))) * 2 == 12


def test_hash_changes_with_content(folder: Path) -> None:
    before = image.folder_hash(folder)
    (folder / "one.py").write_text("!")
    assert image.folder_hash(folder) != before


def test_hash_changes_with_names(folder: Path) -> None:
    before = image.folder_hash(folder)
    (folder / "one.py").rename(folder / "renamed.py")
    assert image.folder_hash(folder) != before


def test_hash_tells_content_moved_between_files(folder: Path) -> None:
    before = image.folder_hash(folder)
    (folder / "one.py").write_text("12")
    (folder / "deep" / "two.py").write_text("")
    assert image.folder_hash(folder) != before


def test_hash_ignores_byte_code(folder: Path) -> None:
    before = image.folder_hash(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "one.cpython-311.pyc").write_bytes(b"compiled")
    (folder / "stray.pyc").write_bytes(b"compiled")
    assert image.folder_hash(folder) == before


def test_default_image_is_named_after_the_guest_folder(settings: Settings) -> None:
    assert Image.of(settings).name == f"safe-code-executor/sandbox:{image.folder_hash(image.GUEST)}"


def test_a_named_image_is_taken_as_it_is() -> None:
    assert Image.of(load(image="mine:1")).name == "mine:1"


def test_bases_of_the_recipe_are_the_defaults_of_the_dockerfile() -> None:
    lines = (image.GUEST / "Dockerfile").read_text().splitlines()
    defaults = dict(line.removeprefix("ARG ").split("=", 1) for line in lines if line.startswith("ARG "))
    assert defaults == image.pulled_bases()


def test_missing_client_is_named_with_the_way_to_get_one() -> None:
    with pytest.raises(EngineUnavailable, match=r"`no-such-client` is not installed.*make engine.*SCE_DOCKER"):
        Image.of(load(docker="no-such-client")).check()


def test_client_that_is_no_program_is_told_from_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "client").write_text("not a program")
    with pytest.raises(EngineUnavailable, match=r"`client` cannot be run") as caught:
        Image.of(load(docker=str(tmp_path / "client"))).check()
    assert str(tmp_path) not in caught.value.message


def test_dead_engine_is_said_to_be_dead(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    with pytest.raises(EngineUnavailable, match=r"does not answer\. Start Docker, or type `make engine`") as caught:
        Image.of(settings).check()
    assert "nonexistent" not in caught.value.message


def test_engine_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{mute.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(EngineUnavailable, match="did not answer within 1 seconds"):
            Client(settings.docker).ask("version", timeout_seconds=1)
    assert time.monotonic() - started < 3


def test_socket_without_permission_names_the_group(tmp_path: Path) -> None:
    client = tmp_path / "docker"
    words = "Got permission denied while trying to connect to the Docker daemon socket"
    client.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    client.chmod(0o755)
    with pytest.raises(EngineUnavailable, match="usermod -aG docker"):
        Image.of(load(docker=str(client))).check()


# --- podman -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("podman", "", True),
        ("podman-remote", "", True),
        ("docker", "podman version 4.3.1", True),  # the package podman-docker
        ("docker", "Docker version 28.2.2, build e6534b4", False),
    ],
)
def test_podman_is_known_by_its_name_or_its_word(tmp_path: Path, name: str, version: str, expected: bool) -> None:
    client = tmp_path / name
    client.write_text(f"#!/bin/sh\necho '{version}'\n")
    client.chmod(0o755)
    assert Client(str(client)).is_podman is expected


def test_a_missing_client_is_not_podman() -> None:
    assert not Client("no-such-client").is_podman


def test_doctor_reports_limits_that_are_ignored(settings: Settings) -> None:
    unlimited = {"memory": "9223372036854771712", "swap": "9223372036854771712", "pids": "max", "cpu": "-1"}
    seen = {**unlimited, "seccomp": "0", "capabilities": "000001ffffffffff", "connection": "7160192"}
    findings = list(doctor.judge(seen, settings.limits))
    assert [finding.what for finding in findings if not finding.advice] == []
    assert [finding.what for finding in findings if not finding.fatal] == ["swap limit", "TCP buffers"]


def test_doctor_stops_at_an_engine_that_is_not_there(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    *_, last = doctor.examine(settings)
    assert (last.what, last.fatal) == ("engine", True)
    assert "make engine" in last.advice


def test_doctor_exits_with_one_when_programs_cannot_be_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "SCE_DOCKER", "no-such-client")
    assert doctor.main() == 1
    assert "`no-such-client` is not installed" in capsys.readouterr().out
