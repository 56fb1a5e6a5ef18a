"""The engine module: what it says when something is missing, and that its names follow the sources."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sandbox.engine import doctor, image
from sandbox.engine.client import Client
from sandbox.engine.image import Image
from sandbox.errors import EngineError, EngineUnavailable, ImageMissing
from sandbox.settings import Settings, load
from tests.conftest import docker

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


# --- Is it ready? -----------------------------------------------------------------------------------------


def test_check_passes_on_the_real_engine(real_engine: None, settings: Settings) -> None:
    Image.of(settings).check()
    assert Image.of(settings).id()
    assert Image(Client(settings.docker)).exists()


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


def test_missing_image_of_ours_names_the_command_that_builds_it(
    real_engine: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(image, "GUEST", folder)
    with pytest.raises(ImageMissing, match="make image"):
        Image.of(settings).check()


def test_missing_image_of_the_user_is_theirs_to_build(real_engine: None) -> None:
    settings = load(image="safe-code-executor/none-of-that-name:1")
    with pytest.raises(ImageMissing, match="named by SCE_IMAGE"):
        Image.of(settings).check()
    with pytest.raises(ImageMissing, match="named by SCE_IMAGE"):
        image.build_missing(Image.of(settings))


def test_image_that_exists_is_not_built_again(real_engine: None, settings: Settings) -> None:
    said: list[str] = []
    before = Image.of(settings).id()
    image.build_missing(Image.of(settings), said.append)
    assert (Image.of(settings).id(), said) == (before, [])


def test_a_build_that_fails_shows_the_end_of_its_output(real_engine: None, settings: Settings, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY no-such-file /\n")
    said: list[str] = []
    with pytest.raises(EngineError, match="could not be built"):
        image.build(Client(settings.docker), ["--force-rm", str(folder)], said.append)
    assert any("no-such-file" in line for line in said)


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


# --- Pulling ----------------------------------------------------------------------------------------------


@contextmanager
def registry(name: str) -> Iterator[str]:
    """A registry on loopback that offers one image with one file; its full name."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("hello")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"hello"))
    layer = gzip.compress(archive.getvalue(), mtime=0)
    diff_id = digest(archive.getvalue())
    system = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    config = json.dumps({**system, "config": {}, "history": [{"created_by": name}]}).encode()
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    part = "application/vnd.docker.{}"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {
                "mediaType": part.format("container.image.v1+json"), "size": len(config), "digest": digest(config)
            },
            "layers": [
                {"mediaType": part.format("image.rootfs.diff.tar.gzip"), "size": len(layer), "digest": digest(layer)}
            ],
        }
    ).encode()  # fmt: skip
    answers = {
        "/v2/": (b"{}", "application/json"),
        f"/v2/{name}/manifests/1": (manifest, kind),
        f"/v2/{name}/manifests/{digest(manifest)}": (manifest, kind),
        f"/v2/{name}/blobs/{digest(config)}": (config, "application/octet-stream"),
        f"/v2/{name}/blobs/{digest(layer)}": (layer, "application/octet-stream"),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, content_type = answers.get(self.path, (b"{}", ""))
            self.send_response(200 if content_type else 404)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", digest(body))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}/{name}:1"
        server.shutdown()


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def test_a_missing_base_is_pulled(real_engine: None, settings: Settings) -> None:
    said: list[str] = []
    client = Client(settings.docker)
    with registry("sce-test-pull") as name:
        try:
            assert image.pull_missing(client, [name], said.append)
            assert Image(client, name).exists()
            assert image.pull_missing(client, [name], said.append)
        finally:
            docker("rmi", name, check=False)
    assert len(said) == 1, "the second time it was there already"


def test_a_registry_that_refuses_is_given_up_at_once(real_engine: None, settings: Settings) -> None:
    said: list[str] = []
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert not Image(Client(settings.docker), f"127.0.0.1:{closed.getsockname()[1]}/none:1").pull(said.append)
    assert said[-1].startswith("cannot be pulled: ")


def test_a_registry_that_is_silent_is_given_up_in_time(
    real_engine: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "FIRST_SIGN_SECONDS", 1.0)
    said: list[str] = []
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert not Image(Client(settings.docker), f"127.0.0.1:{mute.getsockname()[1]}/none:1").pull(said.append)
    assert time.monotonic() - started < 5


def test_no_image_and_no_way_to_pull_says_what_to_type(
    real_engine: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "bases.json").write_text('{"pulled": {"PYTHON_BASE": "127.0.0.1:1/none:1"}}')
    monkeypatch.setattr(image, "GUEST", folder)
    with pytest.raises(ImageMissing, match="make image"):
        image.build_missing(Image.of(settings), lambda line: None)


# --- The doctor -------------------------------------------------------------------------------------------


def test_doctor_finds_every_limit_in_place(real_engine: None, settings: Settings) -> None:
    found = {finding.what: finding for finding in doctor.examine(settings)}
    assert not [finding for finding in found.values() if finding.advice and finding.fatal]
    assert {"client", "engine", "image", "memory limit", "process limit", "CPU limit", "seccomp", "TCP buffers"} <= set(
        found
    )
    assert found["memory limit"].found == found["TCP buffers"].found == "holds"


def test_doctor_tries_how_much_a_connection_holds(real_engine: None, settings: Settings) -> None:
    other = settings.model_copy(update={"seccomp": "default"})
    found = {finding.what: finding for finding in doctor.examine(other)}
    assert found["TCP buffers"].found.startswith("DOES NOT HOLD (")


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
