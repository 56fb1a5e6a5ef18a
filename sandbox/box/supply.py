"""Containers for the executor: those that wait, fresh ones, and the removal of all of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from sandbox.box.container import Container
from sandbox.box.pool import Pool
from sandbox.box.teardown import Teardown
from sandbox.engine.flags import container_name, options_for, run_words, waiting_words
from sandbox.engine.image import Image
from sandbox.engine.instance import Instance
from sandbox.languages import LANGUAGES
from sandbox.models import Limits
from sandbox.settings import Settings

log = logging.getLogger(__name__)

COLD_STARTS = 2
"""How many fresh containers a run is tried in, when one dies before the program was released."""


class Supply:
    """All containers of this server. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        """Sweep what a dead predecessor left, and begin to fill the pool.

        :raises OSError: when the data folder cannot be written.
        """
        self.settings = settings
        self._limits = settings.limits
        self.instance = Instance(settings.data_dir)
        self._image = Image.of(settings)
        self.client = self._image.client
        self.options = options_for(settings, podman=self.client.is_podman)
        self._teardown = Teardown()
        self.retire = self._teardown.retire
        """Have a container removed, behind the answer of the run that used it."""
        removed = self.instance.sweep(self.client)
        if removed:
            log.warning("removed %d containers of an earlier server", removed)
        self._pool = Pool(
            start=lambda language: self.start(language, self._limits, waiting=True),
            retire=self.retire,
            image_id=self._image.id,
            sizes=settings.pool,
            max_age_seconds=settings.pool_max_age_seconds,
        )
        self._pool.open()

    def containers(self, language: str, limits: Limits, *, may_use_waiting: bool) -> Iterator[Container]:
        """Containers to try in turn, for a program with these limits: those that wait, then fresh ones."""
        if limits.of_container == self._limits.of_container:
            while (container := self._pool.take(language)) is not None:
                yield container
        for _ in range(COLD_STARTS):
            yield self.start(language, limits, waiting=may_use_waiting)

    def start(self, language: str, limits: Limits, *, waiting: bool) -> Container:
        """A fresh container, begun. A waiting one has the language's interpreter started, if that can wait.

        :raises EngineUnavailable: when there is no docker client.
        """
        number = self.instance.new_number()
        # Twice the age at which the pool replaces it, should nobody be left to do that.
        wait_seconds = self.settings.pool_max_age_seconds * 2 + 60
        words = run_words(
            self.options,
            limits,
            number=number,
            labels=self.instance.labels,
            app_mb=self.app_mb,
            waiting=waiting_words(LANGUAGES[language], wait_seconds) if waiting else (),
        )
        return Container(self.client, words, container_name(number))

    @property
    def app_mb(self) -> int:
        """Room below /app for the largest archive, whose files take whole pages of 4 KiB."""
        settings = self.settings
        return (settings.max_archive_bytes + settings.max_archive_members * 4096 >> 20) + 2

    def check(self) -> None:
        """Return when containers can be had.

        :raises EngineError: with a sentence that says what is missing.
        """
        self._image.check()
        if problem := self._pool.problem():
            raise problem

    def wait_warm(self, timeout_seconds: float) -> bool:
        """Whether the pool was full within the time."""
        return self._pool.wait_full(timeout_seconds)

    def close(self) -> None:
        """Remove every container."""
        self._pool.close()
        self._teardown.close()
        self.instance.close()
