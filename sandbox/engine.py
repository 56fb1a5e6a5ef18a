"""What the container engine is and can do: is it there, is it podman, is the sandbox image on it, build it.

Everything here asks by running the docker client once and reading what it says; nothing holds a connection.
It knows nothing of runs. What it can do is found out by `doctor`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.complaints import explain
from sandbox.docker_command import EngineOptions
from sandbox.errors import EngineError, EngineUnavailable, ImageMissing
from sandbox.settings import Settings

GUEST = Path(__file__).resolve().parent / "guest"
PROFILE = GUEST.parent / "seccomp.json"
"""Our seccomp profile."""
REPOSITORY = "safe-code-executor/sandbox"
ANSWER_SECONDS = 5.0
"""An engine that takes longer than this for a simple question counts as not answering."""
FIRST_SIGN_SECONDS = 30.0
"""How long a pull may show no sign of having reached a registry."""
BUILD_SECONDS = 900.0
PULL_SECONDS = 1800.0

Say = Callable[[str], None]


# --- The client -------------------------------------------------------------------------------------------


def client_name(settings: Settings) -> str:
    """The client as messages name it: without the host's path."""
    return Path(settings.docker).name


def ask(settings: Settings, *arguments: str, timeout_seconds: float = ANSWER_SECONDS) -> str:
    """Run the client and return its stdout.

    :raises EngineUnavailable: it is not installed, may not be run, or did not end in time (it is killed then).
    :raises ClientRefused: it ended with a failure.
    """
    try:
        done = subprocess.run(
            [settings.docker, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_seconds,
        )
    except subprocess.TimeoutExpired as problem:
        raise EngineUnavailable(
            f"The container engine did not answer within {timeout_seconds:g} seconds. "
            "If it stays that way, restart it: `make doctor` shows what it says."
        ) from problem
    except OSError as problem:
        raise EngineUnavailable(_client_problem(settings, problem)) from problem
    if done.returncode:
        raise ClientRefused(done.stderr)
    return done.stdout


class ClientRefused(EngineError):
    """The client ended with a failure; `words` is what it printed, for the log and for telling causes apart."""

    def __init__(self, words: str) -> None:
        super().__init__("The container engine refused a command.")
        self.words = words


def _client_problem(settings: Settings, problem: OSError) -> str:
    name = client_name(settings)
    if isinstance(problem, FileNotFoundError):
        return (
            f"The client `{name}` is not installed here. `make engine` sets it up (on Debian and Ubuntu: "
            "apt-get install docker.io); SCE_DOCKER names another one."
        )
    return f"The client `{name}` cannot be run. SCE_DOCKER must name a docker-compatible program."


def is_podman(settings: Settings) -> bool:
    """Whether the client is podman, under whatever name. False when it cannot be run at all."""
    if client_name(settings).startswith("podman"):
        return True
    try:
        return "podman" in _version_line(settings.docker)
    except (OSError, subprocess.SubprocessError):
        return False


@functools.cache
def _version_line(client: str) -> str:
    done = subprocess.run(
        [client, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER_SECONDS
    )
    return done.stdout.lower()


def options_for(settings: Settings) -> EngineOptions:
    """How containers are started here."""
    return EngineOptions(
        client=settings.docker,
        image=image_for(settings),
        seccomp={"": str(PROFILE), "default": ""}.get(settings.seccomp, settings.seccomp),
        runtime=settings.runtime,
        podman=is_podman(settings),
    )


# --- Is it ready? -----------------------------------------------------------------------------------------


def check(settings: Settings) -> None:
    """Return when the engine answers and has the image; takes some 20 ms, never more than a few seconds.

    :raises EngineUnavailable: no client, no engine, or no permission to speak to it.
    :raises ImageMissing: the engine answers and does not have the image.
    """
    image_id(settings)


def image_id(settings: Settings) -> str:
    """The engine's id of the image that programs run in; it changes when the image is replaced.

    :raises EngineError: as `check`.
    """
    return _inspect(settings, image_for(settings))


def has_image(settings: Settings, image: str) -> bool:
    """Whether the engine has this image.

    :raises EngineUnavailable: nobody answered.
    """
    try:
        return bool(_inspect(settings, image))
    except ImageMissing:
        return False


def _inspect(settings: Settings, image: str) -> str:
    try:
        return ask(settings, "image", "inspect", "--format", "{{.Id}}", image).strip()
    except ClientRefused as refusal:
        raise _explain(settings, refusal.words, image) from refusal


def _explain(settings: Settings, words: str, image: str) -> EngineError:
    problem = explain(words, "The container engine does not answer. Start Docker, or type `make engine`.")
    if isinstance(problem, ImageMissing) and settings.image:
        return ImageMissing(
            f"The image {image}, named by SCE_IMAGE, is not on this engine. Build or load it, or unset SCE_IMAGE."
        )
    return problem


# --- The image --------------------------------------------------------------------------------------------


def default_image() -> str:
    """The name of the image that belongs to these sources: its tag is a hash over `sandbox/guest`."""
    return f"{REPOSITORY}:{_first_hash(GUEST)}"


@functools.cache
def _first_hash(folder: Path) -> str:
    """Worked out once, so that new sources under a running server do not ask for an image that is not built."""
    return folder_hash(folder)


def image_for(settings: Settings) -> str:
    """The image that programs run in: the setting's, or the default one."""
    return settings.image or default_image()


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


def pulled_bases() -> dict[str, str]:
    """Build argument -> public image the sandbox stands on."""
    bases: dict[str, str] = json.loads((GUEST / "bases.json").read_text(encoding="utf-8"))["pulled"]
    return bases


def build_image(settings: Settings, say: Say = print, bases: Mapping[str, str] | None = None) -> None:
    """Make sure the sandbox image exists; build it when it does not.

    `bases` maps PYTHON_BASE and NODE_BASE to images that are on the engine already. Without it the public
    ones are used, and pulled when they are missing.

    :raises ImageMissing: it is missing and cannot be made from here; the message says what to type.
    :raises EngineError: the engine is not usable, or the build failed (`say` got the end of its output).
    """
    image = image_for(settings)
    if has_image(settings, image):
        return
    if settings.image:
        check(settings)
    if bases is None:
        bases = pulled_bases()
        if not pull_missing(settings, list(bases.values()), say):
            raise ImageMissing(
                "The sandbox image is not built, and its bases cannot be pulled from here. "
                "`make image` makes them from Debian packages instead."
            )
    say(f"building {image}")
    # `latest` is for people who extend it with FROM; runs never use it.
    command = [settings.docker, "build", "--force-rm", "--tag", image, "--tag", f"{REPOSITORY}:latest"]
    for name, base in bases.items():
        command += ["--build-arg", f"{name}={base}"]
    build([*command, str(GUEST)], settings, say)


def build(command: list[str], settings: Settings, say: Say = print) -> None:
    """Run a `docker build` command line to its end.

    :raises EngineError: it failed or took more than 15 minutes; `say` got the last lines of its output.
    """
    try:
        done = subprocess.run(
            command,
            env=_build_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=BUILD_SECONDS,
        )
    except subprocess.TimeoutExpired as problem:
        raise EngineError(f"The image was not built within {BUILD_SECONDS:g} seconds.") from problem
    if done.returncode:
        for line in done.stdout.splitlines()[-25:]:
            say(line)
        raise EngineError("The image could not be built; the end of the build's output is above.")


def _build_environment(settings: Settings) -> dict[str, str]:
    """BuildKit needs the buildx plug-in, which Debian's docker.io does not bring: then the classic builder.

    With buildx, the builder named `default` is the engine itself; any other could not see local bases.
    """
    if is_podman(settings):
        return dict(os.environ)
    try:
        ask(settings, "buildx", "version")
    except EngineError:
        return {**os.environ, "DOCKER_BUILDKIT": "0"}
    return {**os.environ, "BUILDX_BUILDER": "default"}


# --- Pulling, bounded -------------------------------------------------------------------------------------


def pull_missing(settings: Settings, images: list[str], say: Say = print) -> bool:
    """Pull those images that the engine lacks; False as soon as one cannot be had."""
    return all(has_image(settings, image) or pull(settings, image, say) for image in images)


def pull(settings: Settings, image: str, say: Say = print) -> bool:
    """Pull one image. Gives up when no registry has answered within 30 seconds.

    A registry that answers makes the client print; from then on a slow line has half an hour.
    """
    say(f"pulling {image} (gives up after {FIRST_SIGN_SECONDS:g} s without an answer)")
    # podman asks which registry is meant unless the name is complete; docker takes both.
    complete = f"docker.io/library/{image}" if is_podman(settings) and "/" not in image else image
    with subprocess.Popen(
        [settings.docker, "pull", complete],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        last_words = _follow(process)
    if process.returncode:
        say(f"cannot be pulled: {last_words or 'no answer'}")
    return process.returncode == 0


def _follow(process: subprocess.Popen[str]) -> str:
    """Read what the process prints to its end, kill it when its time is up; the last line it printed."""
    watchdog = threading.Timer(FIRST_SIGN_SECONDS, process.kill)
    watchdog.start()
    line = ""
    for line in process.stdout or ():
        if "ulling from" in line or "Getting image" in line:  # docker; podman
            watchdog.cancel()
            watchdog = threading.Timer(PULL_SECONDS, process.kill)
            watchdog.start()
    process.wait()
    watchdog.cancel()
    return line.strip()
