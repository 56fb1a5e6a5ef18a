"""The image on a real engine: found, missed, built, pulled; and what the doctor finds."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
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
from sandbox.errors import EngineError, ImageMissing
from sandbox.settings import Settings, load
from tests.conftest import docker

# --- Names ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "one.py").write_text("1")
    (tmp_path / "deep" / "two.py").write_text("2")
    return tmp_path


# --- Is it ready? -----------------------------------------------------------------------------------------


def test_check_passes_on_the_real_engine(real_engine: None, settings: Settings) -> None:
    Image.of(settings).check()
    assert Image.of(settings).id()
    assert Image(Client(settings.docker)).exists()


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
