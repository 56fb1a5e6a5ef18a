"""What Prometheus is told: counters of what ends here, and how things stand when it asks.

Labels are closed sets: languages, statuses, codes, reasons. Nothing that a caller chooses becomes one, nor whose a run
is. All numbers are of one application in one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from flask import Flask, Response, g
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from sandbox.box.lease import REASONS
from sandbox.box.numbers import Numbers
from sandbox.box.supply import Containers, Source
from sandbox.engine.image import Image
from sandbox.errors import EngineError
from sandbox.languages import LANGUAGES
from sandbox.models import RunRequest, RunResult, Status
from sandbox.quotas import BOUNDS, WHOSE
from sandbox.settings import Settings
from sandbox.store.recorder import Recorder

RUN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
QUEUE_SECONDS = (0.001, 0.01, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
VERSION = "0.1.0"
"""As in pyproject.toml."""

OWNERS = dict(zip(WHOSE, ("owner", "address"), strict=True))
"""Whose bound was met, in a word."""

ENGINE_ERRORS: list[type[EngineError]] = [EngineError, *EngineError.__subclasses__()]
ENGINE_CODES = sorted({kind.code for kind in ENGINE_ERRORS})

Labels = tuple[str, ...]


class Metrics:
    """The numbers of one application. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        # Series that begin with their first event would hide it from `rate`; and looking them up takes longest.
        runs = self._counter("sce_runs", "Runs that have ended with a result.", "language", "status")
        self._runs = {(name, status): runs.labels(name, status.value) for name in LANGUAGES for status in Status}
        seconds = Histogram(
            "sce_run_seconds", "Wall time of programs.", ["language"], buckets=RUN_SECONDS, registry=self.registry
        )
        self._seconds = {name: seconds.labels(name) for name in LANGUAGES}
        self._queue_seconds = Histogram(
            "sce_run_queue_seconds", "What they waited for a place.", buckets=QUEUE_SECONDS, registry=self.registry
        )
        cpu_seconds = self._counter("sce_run_cpu_seconds", "CPU time that programs used.", "language")
        self._cpu_seconds = {name: cpu_seconds.labels(name) for name in LANGUAGES}
        self._refusals = self._counter("sce_http_errors", "Answers with an HTTP error.", "status", "code")
        build = Info("sce_build", "What is running.", registry=self.registry)
        build.info({"version": VERSION, "image": Image.of(settings).name})
        ProcessCollector(registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def run_ended(self, _: RunRequest, result: RunResult) -> None:
        """Count one run; an observer. What was cancelled before it began took no time at all."""
        self._runs[result.language, result.status].inc()
        if result.status is Status.CANCELLED and not result.duration_ms:
            return
        self._seconds[result.language].observe(result.duration_ms / 1000)
        self._queue_seconds.observe(result.queued_ms / 1000)
        self._cpu_seconds[result.language].inc((result.cpu_ms or 0) / 1000)

    def refused(self, status: int, code: str) -> None:
        """Count an answer that is an error."""
        self._refusals.labels(str(status), code).inc()

    def watch(self, numbers: Callable[[], Numbers], recorder: Recorder) -> None:
        """Ask these at each scrape."""
        self.registry.register(Standing(numbers, recorder))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All of it in the format that suits the header `Accept`, and its content type."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # it asks for a version that is no number
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type


class Standing(Collector):
    """What is not counted here, but known to those it belongs to."""

    def __init__(self, numbers: Callable[[], Numbers], recorder: Recorder) -> None:
        self._numbers = numbers
        self._recorder = recorder

    def collect(self) -> Iterator[Metric]:
        numbers = self._numbers()
        yield _gauge("sce_places", "Programs that can run at once.", numbers.places)
        yield _gauge("sce_places_used", "Programs that run now.", numbers.running)
        yield _gauge("sce_queue_places", "Programs that can wait for a place.", numbers.queue_size)
        yield _gauge("sce_queue_length", "Programs that wait for a place now.", numbers.waiting)
        refusals = {
            (OWNERS[whose], bound): numbers.quota_refusals.get((whose, bound), 0) for whose in WHOSE for bound in BOUNDS
        }
        yield _counter(
            "sce_quota_refusals", "Requests over a quota, by whose it is.", ("of", "bound"), refusals.items()
        )
        lost = self._recorder.lost_in_all
        yield _counter("sce_history_lost_runs", "Runs that could not be put into the history.", (), [((), lost)])
        yield from _of_containers(numbers.containers)


def _of_containers(numbers: Containers) -> Iterator[Metric]:
    yield _gauge("sce_containers", "Containers that are not known to have ended.", numbers.alive)
    yield _gauges("sce_pool_waiting", "Containers in the pool.", numbers.waiting)
    yield _gauges("sce_pool_wanted", "Containers that shall be there.", numbers.wanted)
    yield _counter("sce_pool_failures", "Containers for it that did not start.", (), [((), numbers.pool_failures)])
    yield _gauge("sce_kept_containers", "Containers kept for owners, without a run now.", numbers.kept)
    yield _counter("sce_kept_misses", "Runs for whose owner none was kept.", (), [((), numbers.kept_misses)])
    ended = {(reason,): numbers.kept_ended.get(reason, 0) for reason in REASONS}
    yield _counter("sce_kept_ended", "Containers not kept, or not any longer.", ("reason",), ended.items())
    taken = {
        (language, source.value): numbers.taken.get((language, source), 0)
        for language in LANGUAGES
        for source in Source
    }
    yield _counter("sce_containers_taken", "Containers that runs were given.", ("language", "source"), taken.items())
    failed = {(code,): numbers.failed.get(code, 0) for code in ENGINE_CODES}
    yield _counter("sce_engine_errors", "Runs that came to nothing because of the engine.", ("code",), failed.items())


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _gauges(name: str, meaning: str, of_languages: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=["language"])
    for language, value in of_languages.items():
        family.add_metric([language], value)
    return family


def _counter(name: str, meaning: str, labels: Labels, values: Iterable[tuple[Labels, float]]) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=labels)
    for of_labels, value in values:
        family.add_metric(of_labels, value)
    return family


def install(app: Flask, metrics: Metrics) -> None:
    """Count the errors that `app` answers with; `web/errors.py` notes their codes."""

    def count(response: Response) -> Response:
        if "error_code" in g:
            metrics.refused(response.status_code, g.error_code)
        return response

    app.extensions["metrics"] = metrics
    app.after_request(count)
