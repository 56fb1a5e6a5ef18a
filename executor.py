"""The public execution API: run untrusted programs, each in a Docker container of its own.

    with Executor(settings) as executor:
        result = executor.run(RunRequest(language="python", code="print(5 + 3)"))

`run_code`, `run_zip`, `run_files` and `run_multiple` are the same in one call, with the settings of the
environment. A program's faults are returned as a `RunResult`; ours are raised (`sandbox.errors`).
"""

from __future__ import annotations

import atexit
import codecs
import functools
import io
import logging
import secrets
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sandbox import languages
from sandbox.admission import Admission
from sandbox.box.classify import to_result
from sandbox.box.container import Container, NotStarted
from sandbox.box.pool import Pool
from sandbox.box.protocol import Captured, Order, Report
from sandbox.box.teardown import Teardown
from sandbox.engine.flags import container_name, options_for, run_words, waiting_words
from sandbox.engine.image import Image
from sandbox.engine.instance import Instance
from sandbox.errors import Cancelled, SandboxError
from sandbox.intake.archive import check_archive
from sandbox.intake.entry import choose_entry
from sandbox.intake.inputs import check_args, check_code, check_stdin
from sandbox.languages import LANGUAGES
from sandbox.models import RunRequest, RunResult, Stream
from sandbox.readiness import Readiness
from sandbox.settings import Settings, load

log = logging.getLogger(__name__)

Observer = Callable[[RunRequest, RunResult], None]
"""Told of every finished run. Its failure is logged and changes nothing."""

OutputHandler = Callable[[Stream, str], None]

BATCH_WORKERS = 5
COLD_STARTS = 2
"""How often a run is tried in a fresh container, when one dies before the program was released."""


def new_run_id() -> str:
    """16 hexadecimal digits that nobody can guess."""
    return secrets.token_hex(8)


class Executor:
    """Runs programs. Thread-safe; a context manager that leaves no container behind."""

    def __init__(self, settings: Settings, *, observers: Sequence[Observer] = ()) -> None:
        """Sweep what a dead predecessor left, and begin to fill the pool.

        :raises OSError: when the data folder cannot be written.
        """
        self.settings = settings
        self.limits = settings.limits
        self._observers = observers
        self._instance = Instance(settings.data_dir)
        self._image = Image.of(settings)
        self._client = self._image.client
        self._options = options_for(settings, podman=self._client.is_podman)
        self._admission = Admission(settings.effective_concurrent_runs(), settings.queue_size, settings.queue_seconds)
        self._cancelled: dict[str, threading.Event] = {}
        self._stopping = threading.Event()
        self._held_bytes = 0
        self._holding = threading.Lock()
        self._teardown = Teardown()
        removed = self._instance.sweep(self._client)
        if removed:
            log.warning("removed %d containers of an earlier server", removed)
        self._pool = Pool(
            start=lambda language: self._start(language, waiting=True),
            retire=self._teardown.retire,
            image_id=self._image.id,
            sizes=settings.pool,
            max_age_seconds=settings.pool_max_age_seconds,
        )
        self._pool.open()
        self._readiness = Readiness(self._look_whether_ready)

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

        :raises Busy: when there was no place for it.
        :raises EngineError: when no container could be had, or it was lost.
        :raises InvalidArchive: when the archive's contents are damaged.
        """
        with self._hold(request), self._admission.enter(request.client)[0] as ticket:
            return self._run_with(ticket.wait, request, run_id or new_run_id(), on_start, on_output, gone)

    def run_many(self, requests: Sequence[RunRequest], *, gone: Callable[[], bool] | None = None) -> list[RunResult]:
        """Run programs in parallel; their results in the order asked.

        :raises Busy: when there is no place for all of them (then none has run), or one of them lost its
            place in the queue.
        :raises SandboxError: as `run`, the first that was met, after all have ended.
        """
        if not requests:
            return []
        tickets = self._admission.enter(requests[0].client, len(requests))

        def run_one(index: int) -> RunResult:
            with tickets[index] as ticket:
                return self._run_with(ticket.wait, requests[index], new_run_id(), None, None, gone)

        with ThreadPoolExecutor(BATCH_WORKERS, thread_name_prefix="batch") as workers:
            futures = [workers.submit(run_one, index) for index in range(len(requests))]
        return [future.result() for future in futures]

    def cancel(self, run_id: str) -> bool:
        """Tell a waiting or running program to stop; False when there is none of that id."""
        event = self._cancelled.get(run_id)
        if event is None:
            return False
        event.set()
        return True

    def _run_with(
        self,
        wait: Callable[[Callable[[], bool]], float],
        request: RunRequest,
        run_id: str,
        on_start: Callable[[], None] | None,
        on_output: OutputHandler | None,
        gone: Callable[[], bool] | None,
    ) -> RunResult:
        queued_ms = 0.0
        with self._cancellable(run_id, gone) as should_stop:
            try:
                queued_ms = wait(should_stop)
                report = self._run_in_container(request, on_start, on_output, should_stop)
            except Cancelled:
                report = Report(None, "cancelled", None, 0.0, None, None, Captured(), Captured())
        result = to_result(report, self.limits, run_id=run_id, language=request.language, queued_ms=queued_ms)
        self._tell_observers(request, result)
        return result

    @contextmanager
    def _hold(self, request: RunRequest) -> Iterator[None]:
        """Keep an archive in memory until its run has ended; refuse it while others fill the room."""
        size = len(request.archive.data) if request.archive else 0
        with self._holding:
            if size and self._held_bytes and self._held_bytes + size > self.settings.max_held_bytes:
                raise self._admission.busy("Too many archives are waiting.")
            self._held_bytes += size
        try:
            yield
        finally:
            with self._holding:
                self._held_bytes -= size

    @contextmanager
    def _cancellable(self, run_id: str, gone: Callable[[], bool] | None) -> Iterator[Callable[[], bool]]:
        event = self._cancelled[run_id] = threading.Event()
        try:
            yield lambda: event.is_set() or self._stopping.is_set() or (gone is not None and gone())
        finally:
            del self._cancelled[run_id]

    def _run_in_container(
        self,
        request: RunRequest,
        on_start: Callable[[], None] | None,
        on_output: OutputHandler | None,
        should_stop: Callable[[], bool],
    ) -> Report:
        order = self._order(request)
        decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in Stream}

        def relay(stream: Stream, data: bytes) -> None:
            if on_output and (text := decoders[stream].decode(data)):
                on_output(stream, text)

        reason: SandboxError | None = None
        for container in self._containers(request.language, order):
            try:
                return container.run(order, on_start=on_start or _nothing, on_output=relay, should_stop=should_stop)
            except NotStarted as problem:
                reason = problem.reason
            finally:
                self._teardown.retire(container)
        assert reason is not None
        raise reason

    def _containers(self, language: str, order: Order) -> Iterator[Container]:
        """Containers to try in turn: those that wait, then fresh ones."""
        while (container := self._pool.take(language)) is not None:
            yield container
        for _ in range(COLD_STARTS):
            yield self._start(language, waiting=order.may_use_waiting)

    def _order(self, request: RunRequest) -> Order:
        language = LANGUAGES[request.language]
        is_archive = request.archive is not None
        entry = request.entry if is_archive else language.file_name
        may_use_waiting = not is_archive and not request.args and language.fits_waiting(request.code)
        return Order(
            command=language.command(entry, request.args),
            settings=language.settings(waiting=may_use_waiting),
            payload=request.archive.data if request.archive else request.code.encode(),
            names=request.archive.names if request.archive else None,
            stdin=request.stdin.encode(),
            may_use_waiting=may_use_waiting,
            timeout_seconds=self.limits.timeout_seconds,
            output_bytes=self.limits.output_bytes,
            output_stop_bytes=self.limits.output_stop_bytes,
        )

    def _start(self, language: str, *, waiting: bool) -> Container:
        number = self._instance.new_number()
        # Twice the age at which the pool replaces it, should nobody be left to do that.
        wait_seconds = self.settings.pool_max_age_seconds * 2 + 60
        words = run_words(
            self._options,
            self.limits,
            number=number,
            labels=self._instance.labels,
            app_mb=self._app_mb(),
            waiting=waiting_words(LANGUAGES[language], wait_seconds) if waiting else (),
        )
        return Container(self._client, words, container_name(number))

    def _app_mb(self) -> int:
        """Room below /app for the largest archive, whose files take whole pages of 4 KiB."""
        settings = self.settings
        return (settings.max_archive_bytes + settings.max_archive_members * 4096 >> 20) + 2

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

    def _look_whether_ready(self) -> None:
        self._image.check()
        if problem := self._pool.problem():
            raise problem

    def wait_warm(self, timeout_seconds: float) -> bool:
        """Whether the pool was full within the time."""
        return self._pool.wait_full(timeout_seconds)

    def close(self, drain_seconds: float = 0) -> None:
        """Take no more runs, give those that run `drain_seconds`, cancel the rest, remove every container."""
        self._admission.close()
        if not self._admission.wait_idle(drain_seconds):
            self._stopping.set()
            self._admission.wait_idle(30)
        self._pool.close()
        self._teardown.close()
        self._instance.close()


def _nothing() -> None:
    pass


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
    entry = choose_entry(archive, chosen, entry)
    return executor.run(RunRequest(language=chosen.name, archive=archive, entry=entry))


def run_files(
    files: Mapping[str, bytes | str], entry: str | None = None, language: str = languages.DEFAULT
) -> RunResult:
    """Run a program of several files, named by their relative paths."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return run_zip(buffer.getvalue(), entry, language)


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
