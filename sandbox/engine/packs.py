"""The images of the packs: what they are called, which are on the engine, and what is in them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping

from sandbox.engine.image import REPOSITORY, Image, ImageWatch, folder_hash
from sandbox.engine.versions import versions_in
from sandbox.errors import EngineError
from sandbox.packs import FOLDER, PACKS

OWNER = REPOSITORY.partition("/")[0]
INSTALLER = FOLDER / "apt-install"
"""What every recipe may use; it is put beside each."""


def image_of(base: Image, pack: str) -> Image:
    """The image of a pack that stands on this base; without a pack, the base.

    Its tag is a hash over the recipe and the base's name, so that it is never an old one.
    """
    if not pack:
        return base
    recipe = f"{folder_hash(FOLDER / pack)}\0{base.name}\0".encode() + INSTALLER.read_bytes()
    return Image(base.client, f"{OWNER}/{pack}:{hashlib.sha256(recipe).hexdigest()[:12]}")


class Images:
    """The image that is always there, and those of the packs: which are, and have they been replaced. Thread-safe."""

    def __init__(self, base: Image) -> None:
        self._images = {pack: image_of(base, pack) for pack in ("", *PACKS)}
        self._watches = {
            pack: ImageWatch(image.id_if_there if pack else image.id) for pack, image in self._images.items()
        }
        self._versions: dict[str, Mapping[str, str]] = {}

    def name_of(self, pack: str) -> str:
        """What containers of a pack are started from."""
        return self._images[pack].name

    def is_ready(self, pack: str) -> bool:
        """Whether the engine has it, as it was found some seconds ago. The base counts as there.

        :raises EngineUnavailable: it was never asked, and does not answer now.
        """
        return not pack or bool(self._watches[pack].current())

    def ready(self) -> frozenset[str]:
        """The packs that the engine has; none when it was never asked, and does not answer now."""
        with contextlib.suppress(EngineError):
            return frozenset(pack for pack in PACKS if self.is_ready(pack))
        return frozenset()

    def check(self) -> None:
        """Ask after all of them, if that was long ago.

        :raises EngineError: as `Image.id`, of the base.
        """
        for watch in self._watches.values():
            watch.check()

    def has_changed_since(self, moment: float) -> bool:
        """Whether any was replaced after `moment` (monotonic seconds)."""
        return any(watch.has_changed_since(moment) for watch in self._watches.values())

    def versions(self) -> dict[str, str]:
        """Language -> version, of all that are there and say it. The engine is asked once about each image."""
        versions: dict[str, str] = {}
        for pack, watch in self._watches.items():
            with contextlib.suppress(EngineError):
                versions |= self._versions_of(pack, watch.current())
        return versions

    def _versions_of(self, pack: str, image_id: str) -> Mapping[str, str]:
        if image_id and image_id not in self._versions:
            self._versions[image_id] = versions_in(self._images[pack])
        return self._versions.get(image_id, {})
