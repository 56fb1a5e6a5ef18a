"""The image that programs run in: what it is called, is it on the engine, pull its bases, build it."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sandbox.engine.client import Client, ClientRefused
from sandbox.engine.complaints import error_of
from sandbox.errors import EngineError, ImageMissing
from sandbox.settings import Settings

GUEST = Path(__file__).resolve().parent.parent / "guest"
REPOSITORY = "safe-code-executor/sandbox"
FIRST_SIGN_SECONDS = 30.0
"""How long a pull may show no sign of having reached a registry."""
BUILD_SECONDS = 900.0
PULL_SECONDS = 1800.0
WATCH_SECONDS = 15.0
"""How often the engine is asked whether the image is still the same."""

Say = Callable[[str], None]


class Image:
    """One image on the engine, or missing there."""

    def __init__(self, client: Client, name: str = "") -> None:
        """Without a name: the one that belongs to these sources."""
        self.client = client
        self.name = name or default_name()
        self.is_ours = not name

    @classmethod
    def of(cls, settings: Settings) -> Image:
        """The image that programs run in."""
        return cls(Client(settings.docker), settings.image)

    def id(self) -> str:
        """The engine's id of it; changes when the image is replaced. Takes some 20 ms, never more than a few seconds.

        :raises EngineUnavailable: no client, no engine, or no permission to speak to it.
        :raises ImageMissing: the engine answers and does not have the image.
        """
        return self._ask("{{.Id}}")

    def _ask(self, template: str) -> str:
        """What the engine knows of it."""
        try:
            return self.client.ask("image", "inspect", "--format", template, self.name).strip()
        except ClientRefused as refusal:
            raise self._error_of(refusal.words) from refusal

    def id_if_there(self) -> str:
        """The same; empty when the engine does not have it.

        :raises EngineUnavailable: nobody answered.
        """
        try:
            return self.id()
        except ImageMissing:
            return ""

    def label(self, name: str) -> str:
        """The value of a label; empty when the image has none of that name.

        :raises EngineError: as `id`.
        """
        return self._ask(f'{{{{with .Config.Labels}}}}{{{{index . "{name}"}}}}{{{{end}}}}')

    def size_bytes(self) -> int:
        """What it takes on the disk, the images below it included.

        :raises EngineError: as `id`.
        """
        return int(self._ask("{{.Size}}"))

    def check(self) -> None:
        """Return when the engine answers and has the image.

        :raises EngineError: as `id`.
        """
        self.id()

    def exists(self) -> bool:
        """Whether the engine has it.

        :raises EngineUnavailable: nobody answered.
        """
        return bool(self.id_if_there())

    def pull(self, say: Say = print) -> bool:
        """Whether it could be pulled. Gives up when no registry has answered within 30 seconds.

        A registry that answers makes the client print; from then on a slow line has half an hour.
        """
        say(f"pulling {self.name} (gives up after {FIRST_SIGN_SECONDS:g} s without an answer)")
        # podman asks which registry is meant unless the name is complete; docker takes both.
        is_short = self.client.is_podman and "/" not in self.name
        last_words = ""

        def hear(line: str) -> float | None:
            nonlocal last_words
            last_words = line.strip()
            return PULL_SECONDS if "ulling from" in line or "Getting image" in line else None  # docker; podman

        name = f"docker.io/library/{self.name}" if is_short else self.name
        done = self.client.watch("pull", name, seconds=FIRST_SIGN_SECONDS, on_line=hear) == 0
        if not done:
            say(f"cannot be pulled: {last_words or 'no answer'}")
        return done

    def _error_of(self, words: str) -> EngineError:
        problem = error_of(words, "The container engine does not answer. Start Docker, or type `make engine`.")
        if isinstance(problem, ImageMissing) and not self.is_ours:
            return ImageMissing(
                f"The image {self.name}, named by SCE_IMAGE, is not on this engine. "
                "Build or load it, or unset SCE_IMAGE."
            )
        return problem


class Watch(Protocol):
    """Notices that images have been replaced."""

    def check(self) -> None: ...

    def has_changed_since(self, moment: float) -> bool: ...


class ImageWatch:
    """Notices, within `WATCH_SECONDS`, that an image has been replaced. Thread-safe."""

    def __init__(self, image_id: Callable[[], str]) -> None:
        """`image_id` asks the engine."""
        self._image_id = image_id
        self._checking = threading.Lock()
        self._checked_at = float("-inf")
        self._current = ""
        self._changed_at = 0.0

    def current(self) -> str:
        """What was found last. Asks when nobody has asked yet.

        :raises EngineError: as `Image.id`.
        """
        if self._checked_at < 0:
            self.check()
        return self._current

    def check(self) -> None:
        """Ask, if that was long ago.

        :raises EngineError: as `Image.id`.
        """
        with self._checking:
            if time.monotonic() - self._checked_at < WATCH_SECONDS:
                return
            found = self._image_id()
            self._checked_at = time.monotonic()
            if self._current and found != self._current:
                self._changed_at = self._checked_at
            self._current = found

    def has_changed_since(self, moment: float) -> bool:
        """Whether another one was found in its place after `moment` (monotonic seconds)."""
        return moment < self._changed_at


# --- Its name ---------------------------------------------------------------------------------------------


def default_name() -> str:
    """The name of the image that belongs to these sources: its tag is a hash over `sandbox/guest`."""
    return f"{REPOSITORY}:{_first_hash(GUEST)}"


@functools.cache
def _first_hash(folder: Path) -> str:
    """Worked out once, so that new sources under a running server do not ask for an image that is not built."""
    return folder_hash(folder)


def folder_hash(folder: Path) -> str:
    """12 hex digits over names and contents of all files below; byte-code caches do not count."""
    digest = hashlib.sha256()
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    for name in names:
        if "__pycache__" in name or name.endswith(".pyc"):
            continue
        content = (folder / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


# --- Building ---------------------------------------------------------------------------------------------


def pulled_bases() -> dict[str, str]:
    """Build argument -> public image the sandbox stands on."""
    bases: dict[str, str] = json.loads((GUEST / "bases.json").read_text(encoding="utf-8"))["pulled"]
    return bases


def pull_missing(client: Client, names: Sequence[str], say: Say = print) -> bool:
    """Pull those images that the engine lacks; False as soon as one cannot be had."""
    images = (Image(client, name) for name in names)
    return all(image.exists() or image.pull(say) for image in images)


def build_missing(image: Image, say: Say = print, bases: Mapping[str, str] | None = None) -> None:
    """Make sure the sandbox image exists; build it when it does not.

    `bases` maps PYTHON_BASE and NODE_BASE to images that are on the engine already. Without it the public
    ones are used, and pulled when they are missing.

    :raises ImageMissing: it is missing and cannot be made from here; the message says what to type.
    :raises EngineError: the engine is not usable, or the build failed (`say` got the end of its output).
    """
    if image.exists():
        return
    if not image.is_ours:
        image.check()
    if bases is None:
        bases = pulled_bases()
        if not pull_missing(image.client, list(bases.values()), say):
            raise ImageMissing(
                "The sandbox image is not built, and its bases cannot be pulled from here. "
                "`make image` makes them from Debian packages instead."
            )
    say(f"building {image.name}")
    # `latest` is for people who extend it with FROM; runs never use it.
    arguments = ["--force-rm", "--tag", image.name, "--tag", f"{REPOSITORY}:latest"]
    for name, base in bases.items():
        arguments += ["--build-arg", f"{name}={base}"]
    build(image.client, [*arguments, str(GUEST)], say)


def build(
    client: Client, arguments: Sequence[str], say: Say = print, hear: Callable[[str], object] | None = None
) -> None:
    """Run `docker build` to its end. `hear` gets each line of its output, `say` what a person needs.

    :raises EngineError: it failed or took more than 15 minutes; `say` got the last lines of its output.
    """
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if hear:
            hear(line)

    exit_status = client.watch(
        "build", *arguments, seconds=BUILD_SECONDS, on_line=on_line, environment=_builder(client)
    )
    if exit_status is None:
        raise EngineError(f"The image was not built within {BUILD_SECONDS:g} seconds.")
    if exit_status:
        for line in lines[-25:]:
            say(line)
        raise EngineError("The image could not be built; the end of the build's output is above.")


def _builder(client: Client) -> dict[str, str]:
    """BuildKit needs the buildx plug-in, which Debian's docker.io does not bring: then the classic builder.

    With buildx, the builder named `default` is the engine itself; any other could not see local bases.
    """
    if client.is_podman:
        return {}
    try:
        client.ask("buildx", "version")
    except EngineError:
        return {"DOCKER_BUILDKIT": "0"}
    return {"BUILDX_BUILDER": "default"}
