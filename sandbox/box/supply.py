"""Containers for the executor: those kept for an owner, those that wait, fresh ones, and the removal of all of them."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum

from sandbox.box.arrivals import Sink
from sandbox.box.budget import HELPERS_MB, IDLE_MB, Budget
from sandbox.box.container import Container, NotStarted
from sandbox.box.lease import Leases, Wanted
from sandbox.box.pool import Pool
from sandbox.box.protocol import Order, OutputHandler, Report
from sandbox.box.teardown import Teardown
from sandbox.box.visitors import Visitors
from sandbox.engine.flags import container_name, options_for, run_words, waiting_words
from sandbox.engine.image import Image
from sandbox.engine.instance import Instance
from sandbox.engine.packs import Images
from sandbox.errors import EngineError, SandboxError
from sandbox.languages import LANGUAGES
from sandbox.settings import Settings

log = logging.getLogger(__name__)

VISITORS_LANGUAGE = next(iter(LANGUAGES))
"""What is waiting for them: the page begins with it."""

COLD_STARTS = 2
"""How many fresh containers a run is tried in, when one dies before the program was released."""


class Source(str, Enum):
    """Where a container for a run comes from."""

    KEPT = "kept"
    POOL = "pool"
    COLD = "cold"


@dataclass(frozen=True)
class Containers:
    """Of one moment, and counted since the start."""

    alive: int
    """Containers not known to have ended."""
    kept: int
    kept_misses: int
    """How often nothing was kept for an owner who might have had something."""
    kept_ended: dict[str, int]
    """By `lease.REASONS`."""
    waiting: dict[str, int]
    """In the pool, by language."""
    wanted: dict[str, int]
    pool_failures: int
    taken: dict[tuple[str, Source], int]
    """Containers that were tried for a run, by language."""
    failed: dict[str, int]
    """Runs that had no result because of the engine, by code."""


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
        self._budget = Budget(settings.effective_containers_mb())
        self._counting = threading.Lock()
        self._taken: Counter[tuple[str, Source]] = Counter()
        self._failed: Counter[str] = Counter()
        removed = self.instance.sweep(self.client)
        if removed:
            log.warning("removed %d containers of an earlier server", removed)
        self.images = Images(self._image)
        self._leases = Leases(
            retire=self.retire,
            budget=self._budget,
            image=self.images,
            max_runs=settings.keep_runs,
            max_age_seconds=settings.keep_age_seconds,
            max_idle_seconds=settings.keep_idle_seconds,
        )
        self._visitors = Visitors(settings.pool_visitors)
        self._pool = Pool(
            start=self._start_waiting,
            retire=self.retire,
            has_room=self._has_room,
            more=self._more,
            image=self.images,
            sizes=settings.pool,
            max_age_seconds=settings.pool_max_age_seconds,
        )
        self._leases.open()
        self._pool.open()

    def may_keep(self, owner: str) -> bool:
        """Whether containers are kept for this owner: never for nobody."""
        # What other profiles allow may leave more behind than the supervisor looks for.
        return bool(owner) and self.settings.keep_containers and not self.settings.seccomp

    def expect(self, owner: str) -> None:
        """Have a container wait for an owner who will soon run something, unless one is kept for him."""
        if self.may_keep(owner) and not self._leases.has(owner):
            self._visitors.expect(owner)

    def _more(self, language: str) -> int:
        """How many shall wait beyond the pool's size; none at all of a language that is not there."""
        pack = LANGUAGES[language].pack
        if pack and pack not in self.images.ready():
            return -self.settings.pool[language]
        return self._visitors.count() if language == VISITORS_LANGUAGE else 0

    def _has_room(self, for_visitor: bool) -> bool:
        """Whether one more can wait. For visitors nobody else gives anything up; without room none are expected."""
        if not for_visitor:
            return self._leases.make_room(IDLE_MB)
        if fits := self._budget.has_room(IDLE_MB):
            return fits
        self._visitors.clear()
        return False

    def run(
        self,
        wanted: Wanted,
        order: Order,
        *,
        on_start: Callable[[], None],
        on_output: OutputHandler,
        should_stop: Callable[[], bool],
        sink: Sink,
    ) -> tuple[Report, int]:
        """The report of the last step of an order, and how many runs its container had before.

        The files that it gives back go into `sink`.

        :raises SandboxError: as `Container.run`, when no container could be had, or it was lost.
        """
        reason: SandboxError | None = None
        self._visitors.met(wanted.owner)
        with self._counting_failures():
            for container in self._containers(wanted, may_use_waiting=order.may_use_waiting):
                runs_before = container.runs
                try:
                    reports = container.run(
                        order, on_start=on_start, on_output=on_output, should_stop=should_stop, sink=sink
                    )
                    return _last(reports, order), runs_before
                except NotStarted as problem:
                    reason = problem.reason
                finally:
                    self._take_back(wanted, container)
            assert reason is not None
            raise reason

    def _containers(self, wanted: Wanted, *, may_use_waiting: bool) -> Iterator[Container]:
        """Containers to try in turn: those kept for this owner, those that wait, then fresh ones."""
        for container in self._candidates(wanted, may_use_waiting):
            self._budget.charge(container, wanted.limits.memory_mb + HELPERS_MB)
            self._leases.make_room()
            yield container

    def _candidates(self, wanted: Wanted, may_use_waiting: bool) -> Iterator[Container]:
        while self.may_keep(wanted.owner) and (container := self._leases.take(wanted)) is not None:
            yield self._count(wanted, Source.KEPT, container)
        if wanted.key == self._of_pool(wanted.language, wanted.owner).key:
            while (container := self._pool.take(wanted.language)) is not None:
                yield self._count(wanted, Source.POOL, container)
        for _ in range(COLD_STARTS):
            yield self._count(wanted, Source.COLD, self.start(wanted, waits_at_once=may_use_waiting))

    def _count(self, wanted: Wanted, source: Source, container: Container) -> Container:
        with self._counting:
            self._taken[wanted.language, source] += 1
        return container

    @contextmanager
    def _counting_failures(self) -> Iterator[None]:
        """Count what goes wrong with the engine in the block."""
        try:
            yield
        except EngineError as problem:
            with self._counting:
                self._failed[problem.code] += 1
            raise

    def numbers(self) -> Containers:
        """How many containers there are, and what has been counted since the start."""
        with self._counting:
            taken, failed = dict(self._taken), dict(self._failed)
        return Containers(
            alive=self._budget.count() + self._teardown.count(),
            kept=self._leases.count(),
            kept_misses=self._leases.misses,
            kept_ended=dict(self._leases.ended),
            waiting=self._pool.sizes(),
            wanted=self._pool.wanted(),
            pool_failures=self._pool.failures,
            taken=taken,
            failed=failed,
        )

    def _take_back(self, wanted: Wanted, container: Container) -> None:
        """Keep a container for its owner's next run, or have it removed. Returns at once."""
        if not (self.may_keep(wanted.owner) and self._leases.keep(wanted, container)):
            self.retire(container)

    def retire(self, container: Container) -> None:
        """Have a container removed, behind the answer of the run that used it."""
        self._budget.release(container)
        self._teardown.retire(container)

    def _of_pool(self, language: str, owner: str = "") -> Wanted:
        """What the containers of the pool are fit for."""
        return Wanted(owner, language, self._limits, LANGUAGES[language].pack)

    def _start_waiting(self, language: str) -> Container:
        container = self.start(self._of_pool(language), waits_at_once=True)
        self._budget.charge(container, IDLE_MB)
        return container

    def start(self, wanted: Wanted, *, waits_at_once: bool) -> Container:
        """A fresh container, begun. The language's interpreter is started at once, or after the first run.

        :raises EngineUnavailable: when there is no docker client.
        """
        number = self.instance.new_number()
        # Twice what the longest idle one gets, should nobody be left to end it.
        wait_seconds = max(self.settings.pool_max_age_seconds, self.settings.keep_idle_seconds) * 2 + 60
        language = LANGUAGES[wanted.language].in_pack(wanted.pack)
        words = run_words(
            replace(self.options, image=self.images.name_of(wanted.pack)),
            wanted.limits,
            number=number,
            labels=self.instance.labels,
            app_mb=self.app_mb,
            waiting=waiting_words(language, wait_seconds, at_once=waits_at_once),
            exe_mb=language.compiler.program_mb if language.compiler else 0,
        )
        return Container(self.client, words, container_name(number))

    @property
    def app_mb(self) -> int:
        """Room below /app for the largest archive, in whole pages of 4 KiB a file, and for what is made there."""
        settings = self.settings
        sent_bytes = settings.max_archive_bytes + settings.max_archive_members * 4096
        return (sent_bytes + settings.artifact_bytes >> 20) + 2

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
        self._leases.close()
        self._pool.close()
        self._teardown.close()
        self.instance.close()


def _last(reports: Sequence[Report], order: Order) -> Report:
    """The last report, with the CPU time of all, and knowing the one before it."""
    cpu_seconds = [report.cpu_seconds for report in reports if report.cpu_seconds is not None]
    return replace(
        reports[-1],
        cpu_seconds=sum(cpu_seconds) if len(cpu_seconds) == len(reports) else None,
        before=reports[-2] if len(reports) > 1 else None,
        is_of_compiler=len(reports) < len(order.steps),
    )
