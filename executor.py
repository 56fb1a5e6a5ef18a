"""The public execution API: run untrusted programs, each alone in a Docker container.

    with Executor(settings) as executor:
        result = executor.run(RunRequest(language="python", code="print(5 + 3)"))

`run_code`, `run_zip`, `run_files` and `run_multiple` are the same in one call, with the settings of the
environment. A program's faults are returned as a `RunResult`; ours are raised (`sandbox.errors`).
"""

from __future__ import annotations

import atexit
import functools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sandbox import languages
from sandbox.admission import Admission, Ticket
from sandbox.batches import results_of
from sandbox.box.arrivals import Asked, Sink
from sandbox.box.classify import to_result
from sandbox.box.lease import Wanted
from sandbox.box.numbers import numbers_of
from sandbox.box.orders import order_of
from sandbox.box.protocol import Order, Report
from sandbox.box.supply import Supply
from sandbox.box.watch import OutputHandler, Watch
from sandbox.cancelling import CancellableRuns
from sandbox.errors import Cancelled
from sandbox.held import HeldBytes
from sandbox.intake.archive import check_archive
from sandbox.intake.entry import choose_entry
from sandbox.intake.files import Files, project_of
from sandbox.intake.inputs import check_args, check_code, check_stdin
from sandbox.intake.packs import with_hint, with_pack
from sandbox.models import Caller, RunRequest, RunResult
from sandbox.quotas import Allowance, Quotas
from sandbox.readiness import Readiness
from sandbox.settings import Settings, load
from sandbox.store.artifacts import ArtifactFiles

log = logging.getLogger(__name__)

Observer = Callable[[RunRequest, RunResult], None]
"""Told of every finished run. Its failure is logged and changes nothing."""

BATCH_WORKERS = 5


def new_run_id() -> str:
    """16 hexadecimal digits that nobody can guess."""
    return secrets.token_hex(8)


class Executor:
    """Runs programs. Thread-safe; a context manager that leaves no container behind."""

    def __init__(
        self, settings: Settings, *, observers: Sequence[Observer] = (), files: ArtifactFiles | None = None
    ) -> None:
        """Sweep what a dead predecessor left, and begin to fill the pool.

        `files` keeps the files that programs give back; without, none is kept longer than its run takes.

        :raises OSError: when the data folder cannot be written.
        """
        self._quotas = Quotas(settings)
        self._observers = (self._quotas.charge, *observers)
        self._files = files or ArtifactFiles(settings.data_dir / "artifacts", 0)
        self.settings, self._limits = settings, settings.limits
        self._supply = Supply(settings)
        self._admission = Admission.of(settings)
        self.numbers = functools.partial(numbers_of, self._admission, self._quotas, self._supply)
        self._held = HeldBytes(settings.max_held_bytes)
        self._runs, self._stopping = CancellableRuns(), threading.Event()
        self.images, self._readiness = self._supply.images, Readiness(self._supply.check)

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- Running ------------------------------------------------------------------------------------------

    def run(
        self,
        request: RunRequest,
        *,
        run_id: str | None = None,
        on_start: Callable[[], None] | None = None,
        on_output: OutputHandler | None = None,
        gone: Callable[[], bool] | None = None,
    ) -> RunResult:
        """Run one program to its end.

        `on_start` is called when the program is released, `on_output` with each piece of its output as
        text, both from this thread. Of each stream only the kept head comes that way; the result has the
        tail as well. `gone` is asked about five times a second; when it says yes the run is cancelled.

        :raises QuotaExceeded: when the caller may not have one more now.
        :raises Busy: when there was no place for it.
        :raises EngineError: when no container could be had, or it was lost.
        :raises InvalidArchive: when the archive's contents are damaged.
        """
        request = with_pack(request, self.images.is_ready, self._limits)
        watch = Watch.of(on_start, on_output, gone)
        with self._hold([request]), self._quotas.counted(request.caller), self._enter([request])[0] as ticket:
            return self._run_with(ticket, request, run_id or new_run_id(), watch)

    def run_many(self, requests: Sequence[RunRequest], *, gone: Callable[[], bool] | None = None) -> list[RunResult]:
        """Run programs in parallel; their results in the order asked.

        :raises QuotaExceeded: when the caller may not have so many more now.
        :raises Busy: when there is no place for all of them (then none has run), or one of them lost its place.
        :raises PartlyRun: when some could not be run, after all have ended.
        :raises SandboxError: as `run`.
        """
        if not requests:
            return []
        requests = [with_pack(request, self.images.is_ready, self._limits) for request in requests]
        caller, watch = requests[0].caller, Watch.of(gone=gone)

        def run_one(ticket: Ticket, request: RunRequest) -> RunResult:
            with ticket:
                return self._run_with(ticket, request, new_run_id(), watch)

        with self._hold(requests), self._quotas.counted(caller, len(requests)):
            tickets = self._enter(requests)
            with ThreadPoolExecutor(BATCH_WORKERS, thread_name_prefix="batch") as workers:
                futures = [workers.submit(run_one, *pair) for pair in zip(tickets, requests, strict=True)]
        return results_of(futures)

    def _enter(self, requests: Sequence[RunRequest]) -> list[Ticket]:
        return self._admission.enter(requests[0].caller, [request.limits.memory_mb for request in requests])

    def expect(self, caller: Caller) -> None:
        """A caller has opened the page, and will probably run something."""
        self._supply.expect(caller.owner)

    def allowance(self, caller: Caller) -> Allowance:
        """What a caller may run and use, and what is left to him now."""
        return self._quotas.allowance(caller)

    def cancel(self, run_id: str, caller: Caller) -> bool:
        """Tell a waiting or running program to stop; False when the caller may see none of that id."""
        return self._runs.cancel(run_id, caller)

    def _run_with(self, ticket: Ticket, request: RunRequest, run_id: str, watch: Watch) -> RunResult:
        queued_ms, runs_before = 0.0, 0

        def should_stop() -> bool:
            return cancelled.is_set() or self._stopping.is_set() or watch.gone()

        with self._files.arriving(run_id) as arriving:
            with self._runs.entered(run_id, request.caller.owner) as cancelled:
                try:
                    queued_ms = ticket.wait(should_stop)
                    with self._quotas.charging_losses(request):
                        report, runs_before = self._run_in_container(request, watch, should_stop, arriving)
                except Cancelled:
                    report = Report(stopped="cancelled")
            result = to_result(
                report,
                request.limits,
                run_id=run_id,
                language=request.language,
                queued_ms=queued_ms,
                runs_before=runs_before,
                artifacts=arriving.listed(run_id, is_kept=self._files.keeps(arriving)),
                artifacts_omitted=arriving.omitted,
            )
            result = with_hint(result, self.images.ready)
            self._tell_observers(request, result)
        return result

    @contextmanager
    def _hold(self, requests: Sequence[RunRequest]) -> Iterator[None]:
        """Keep archives in memory until their runs have ended; refuse them while others fill the room."""
        size = sum(len(request.archive.data) for request in requests if request.archive)
        if not self._held.add(size):
            raise self._admission.busy("Too many archives are waiting.")
        try:
            yield
        finally:
            self._held.remove(size)

    def _order(self, request: RunRequest) -> Order:
        asked = Asked(request.artifacts, self.settings.artifact_count, self.settings.artifact_bytes)
        return order_of(request, artifacts=asked, may_be_followed=self._supply.may_keep(request.caller.owner))

    def _run_in_container(
        self, request: RunRequest, watch: Watch, should_stop: Callable[[], bool], sink: Sink
    ) -> tuple[Report, int]:
        """The report of the last step, and how many runs its container had before."""
        order = self._order(request)
        wanted = Wanted(request.caller.owner, request.language, request.limits, request.pack)
        began_at = time.monotonic()
        report, runs_before = self._supply.run(
            wanted, order, on_start=watch.on_start, on_output=watch.relay(), should_stop=should_stop, sink=sink
        )
        return report.within(time.monotonic() - began_at), runs_before

    def _tell_observers(self, request: RunRequest, result: RunResult) -> None:
        for observer in self._observers:
            try:
                observer(request, result)
            except Exception:
                log.exception("an observer failed on run %s", result.id)

    # --- Readiness and the end ----------------------------------------------------------------------------

    def check_ready(self) -> None:
        """Return when programs can be run; the answer may be a second old.

        :raises EngineError: with a sentence that says what is missing.
        """
        self._readiness.check()

    def wait_warm(self, timeout_seconds: float) -> bool:
        """Whether the pool was full within the time."""
        return self._supply.wait_warm(timeout_seconds)

    def close(self, drain_seconds: float = 0) -> None:
        """Take no more runs, give those that run `drain_seconds`, cancel the rest, remove every container."""
        self._admission.close()
        if not self._admission.wait_idle(drain_seconds):
            self._stopping.set()
            self._admission.wait_idle(30)
        self._supply.close()


# --- The same in one call ---------------------------------------------------------------------------------


@functools.cache
def default_executor() -> Executor:
    """The executor of this process, made at first use and closed at exit."""
    executor = Executor(load())
    atexit.register(executor.close)
    return executor


def run_code(code: str, language: str = languages.DEFAULT, *, stdin: str = "", args: Sequence[str] = ()) -> RunResult:
    """Run a single-file program.

    :raises InvalidRequest: for an unknown language, empty code, or anything that is too long.
    """
    return default_executor().run(_code_request(code, language, stdin, args))


def run_zip(data: bytes, entry: str | None = None, language: str = languages.DEFAULT) -> RunResult:
    """Run the file `entry` of a zip archive; without an entry, its obvious one.

    :raises InvalidArchive: when the archive is not acceptable.
    """
    executor = default_executor()
    chosen = languages.resolve(language)
    archive = check_archive(data, executor.settings)
    return executor.run(RunRequest(chosen.name, archive=archive, entry=choose_entry(archive, chosen, entry)))


def run_files(files: Files, entry: str | None = None, language: str = languages.DEFAULT) -> RunResult:
    """Run a program of several files, named by their relative paths. Text is written in UTF-8.

    :raises InvalidArchive: when a zip of them would not be acceptable.
    """
    executor = default_executor()
    chosen = languages.resolve(language)
    archive, entry = project_of(files, chosen, executor.settings, entry=entry or "")
    return executor.run(RunRequest(language=chosen.name, archive=archive, entry=entry))


def run_multiple(tasks: Sequence[Mapping[str, str]]) -> list[RunResult]:
    """Run tasks `{"code": …, "language": …}` in parallel; their results in the order asked."""
    requests = [_code_request(task["code"], task.get("language", languages.DEFAULT)) for task in tasks]
    return default_executor().run_many(requests)


def _code_request(code: str, language: str, stdin: str = "", args: Sequence[str] = ()) -> RunRequest:
    settings = default_executor().settings
    check_code(code, settings)
    check_stdin(stdin, settings)
    check_args(args, settings)
    return RunRequest(language=languages.resolve(language).name, code=code, stdin=stdin, args=tuple(args))
