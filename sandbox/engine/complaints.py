"""What the container client's complaints mean, in words for a caller of ours. Its own words go to the log only."""

from __future__ import annotations

from sandbox.errors import EngineError, EngineUnavailable, ImageMissing

# Docker says the first three, podman the other two.
NO_IMAGE = (
    "no such image",
    "no such object",
    "unable to find image",
    "image not known",
    "failed to find image",
)
# Docker up to 20.10, and later ones.
NO_RUNTIME = ("unknown runtime specified", "unknown or invalid runtime")
NO_ENGINE = ("cannot connect", "error during connect", "connection refused")


def error_of(words: str, otherwise: str) -> EngineError:
    """The error that the client's words tell of; `otherwise` is the sentence when they are not known."""
    lowered = words.lower()
    if any(sign in lowered for sign in NO_IMAGE):
        return ImageMissing(
            "The sandbox image is not on this engine. `make image` builds it; "
            "one that SCE_IMAGE names has to be built or loaded."
        )
    if "permission denied" in lowered:
        return EngineUnavailable(
            "This user may not speak to the Docker engine. Join the group of its socket "
            "(sudo usermod -aG docker $USER, then log in again; in a container: --group-add), or use a rootless engine."
        )
    if any(sign in lowered for sign in NO_RUNTIME):
        return EngineUnavailable("The container engine does not know the runtime that SCE_RUNTIME names.")
    if any(sign in lowered for sign in NO_ENGINE):
        return EngineUnavailable("The container engine does not answer. Start Docker, or type `make engine`.")
    return EngineUnavailable(otherwise)
