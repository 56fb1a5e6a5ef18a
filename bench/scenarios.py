"""What is measured, one function each. Every one returns plain data for the report."""

from __future__ import annotations

import contextlib
import functools
import io
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.effort import Effort
from bench.measure import Answer, Load, Probe, Spread, clocked, closed_loop, open_loop, side_by_side, spread
from bench.owners import soak
from bench.plain import HELLO, BareLoop, bare_in_container, bare_on_host, plain_run
from bench.service import Client, Service, connection, new_owner, service, waiting_cost
from executor import Executor
from sandbox.engine.flags import options_for
from sandbox.models import RunRequest
from sandbox.settings import Settings

BARE_HOST = "bare interpreter on the host"
FLOOR = "the floor: an interpreter that waits, on the host"
BARE_CONTAINER = "bare interpreter in a running container"
PLAIN = "`docker run --rm` per request"
COLD = "ours, cold (no waiting container)"
WARM = "ours, warm, over HTTP"
KEPT = "ours, in a kept container, over HTTP"
DIRECT = "ours, warm, without HTTP (`Executor.run`)"

ONE = "one run"
BATCH = "batch of 5"
SERVER_ALONE = "HTTP, history and JSON alone (nothing is run), back to back"
FLOOD = "import os\nwhile True: os.write(1, b'x' * 65536)"


# --- Latency ----------------------------------------------------------------------------------------------


def latency(settings: Settings, effort: Effort) -> dict[str, dict[str, Spread]]:
    """Hello world, paced, by every way of running it."""
    rest = effort.refill_seconds
    with (
        bare_on_host(settings.docker, options_for(settings, podman=False).image) as host,
        bare_in_container(settings) as container,
        service(settings.docker) as warm,
        service(settings.docker, pool="") as cold,
        direct(settings) as executor,
    ):
        return {
            language: side_by_side(
                {
                    BARE_HOST: _bare(host, language),
                    BARE_CONTAINER: _bare(container, language),
                    FLOOR: Probe(functools.partial(host.run_waiting, language), 0.15),
                    PLAIN: Probe(functools.partial(plain_run, settings, language), rest),
                    COLD: _over_http(cold, language, rest),
                    WARM: _over_http(warm, language, rest),
                    KEPT: _over_http(warm, language, rest, new_owner(warm)),
                    DIRECT: _directly(executor, language, rest),
                },
                effort.rounds,
            )
            for language in HELLO
        }


@contextlib.contextmanager
def direct(settings: Settings) -> Iterator[Executor]:
    """An executor in this process, warm."""
    with (
        tempfile.TemporaryDirectory(prefix="sce-bench-") as folder,
        Executor(settings.model_copy(update={"data_dir": Path(folder)})) as executor,
    ):
        if not executor.wait_warm(120):
            raise RuntimeError("The pool did not fill.")
        time.sleep(1)
        yield executor


def _bare(loop: BareLoop, language: str) -> Probe:
    return Probe(lambda: loop.run(language), 0.15)


def _over_http(target: Service, language: str, rest_seconds: float, cookie: str = "") -> Probe:
    client = Client(target, cookie)
    return Probe(lambda: client.run(HELLO[language], language, "hello\n").milliseconds, rest_seconds)


def _directly(executor: Executor, language: str, rest_seconds: float) -> Probe:
    request = RunRequest(language=language, code=HELLO[language])

    def once() -> None:
        assert executor.run(request).output == "hello\n"

    return Probe(lambda: clocked(once), rest_seconds)


# --- Load -------------------------------------------------------------------------------------------------


def throughput(settings: Settings, effort: Effort) -> list[dict[str, Any]]:
    """Closed loop, ours and plain in turn at the same concurrency; of the repeats, the pair with the median ratio."""
    rows = []
    with service(settings.docker) as ours:
        ways: dict[str, Callable[[], Callable[[], Answer]]] = {
            "ours": connection(ours, HELLO["python"], "python", "hello\n"),
            "plain": lambda: lambda: Answer(200, plain_run(settings, "python")),
        }
        for concurrency in effort.concurrency:
            pairs = []
            for number in range(effort.repeats):
                pair: dict[str, Load] = {}
                for side in ("ours", "plain") if number % 2 == 0 else ("plain", "ours"):
                    pair[side] = closed_loop(ways[side], concurrency, effort.ramp_seconds, effort.load_seconds)
                    time.sleep(effort.ramp_seconds)
                pairs.append(pair)
            pairs.sort(key=lambda pair: pair["ours"].per_second / max(0.001, pair["plain"].per_second))
            middle = pairs[(len(pairs) - 1) // 2]
            rows.append({"concurrency": concurrency, **{side: asdict(load) for side, load in middle.items()}})
    return rows


def overload(settings: Settings, effort: Effort) -> dict[str, Any]:
    """What is left of the capacity when twice as much is asked for; capacity measured just before."""
    with service(settings.docker) as ours:
        work = connection(ours, HELLO["python"], "python", "hello\n")
        capacity = closed_loop(work, 8, effort.ramp_seconds, effort.load_seconds)
        time.sleep(effort.ramp_seconds)
        rate = max(2.0, capacity.per_second * 2)
        # Long enough to fill the queue twice over.
        seconds = min(effort.overload_seconds, max(effort.load_seconds, settings.queue_size / rate * 6))
        load = open_loop(work, rate, seconds)
    return {"capacity": asdict(capacity), "offered_per_second": rate, "seconds": seconds, "load": asdict(load)}


# --- Sizes ------------------------------------------------------------------------------------------------


def sizes(settings: Settings, effort: Effort) -> dict[str, Spread]:
    """Batches, larger outputs, a large archive and the history, paced."""
    archive = zip_of(project(1000))
    with service(settings.docker, pool="python:5") as ours:
        client = Client(ours)
        probes: dict[str, Callable[[], float]] = {
            ONE: lambda: _expect(client, HELLO["python"], "hello\n"),
            BATCH: lambda: _expect_batch(ours, client),
            "output of 1 KiB": lambda: _expect(client, "print('x' * 1023)", "x" * 1023 + "\n"),
            "output of 64 KiB": lambda: _expect(client, "print('x' * 65535)", "x" * 65535 + "\n"),
            "output of 1 MiB": lambda: _expect(client, "print('x' * 1048575)", "x" * 1048575 + "\n"),
            "zip of 1000 files": lambda: _expect_zip(client, archive),
        }
        times = side_by_side(
            {name: Probe(once, effort.refill_seconds * (4 if "batch" in name else 1)) for name, once in probes.items()},
            effort.sizes_rounds,
        )
        times["page of the history (50 runs)"] = spread(history_pages(client, 100))
    times[SERVER_ALONE] = spread(server_alone(settings, 300))
    return times


def server_alone(settings: Settings, count: int) -> list[float]:
    """Milliseconds for each of so many runs, back to back, of a program that takes no time at all."""
    with service(settings.docker, program="bench/instant.py", pool="") as instant:
        client = Client(instant)
        return [client.run(HELLO["python"], "python", "hello\n").milliseconds for _ in range(count)]


def _expect(client: Client, code: str, output: str) -> float:
    return client.run(code, "python", output).milliseconds


def _expect_batch(ours: Service, client: Client) -> float:
    ours.wait_warm()
    tasks = [{"code": f"print('hello', {number})", "language": "python"} for number in range(5)]
    reply = client.post("/run-batch", {"tasks": tasks})
    assert [result["output"] for result in reply.json()["results"]] == [f"hello {number}\n" for number in range(5)]
    return reply.milliseconds


def _expect_zip(client: Client, archive: bytes) -> float:
    reply = client.post_zip(archive, "main.py")
    assert reply.json()["output"] == "1000\n", reply.body[:500]
    return reply.milliseconds


def project(count: int) -> dict[str, str]:
    """So many files: a main.py that counts those beside it."""
    files = {"main.py": "import os\nprint(sum(len(files) for _, _, files in os.walk('/app')))\n"}
    for number in range(count - 1):
        files[f"package/part{number // 100}/module{number}.py"] = f"VALUE = {number}\n" * 20
    return files


def zip_of(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def history_pages(client: Client, count: int) -> list[float]:
    """Milliseconds for each of so many pages, newest first, beginning again at the end."""
    times = []
    before = ""
    for _ in range(count):
        reply = client.get(f"/history?limit=50{before}")
        times.append(reply.milliseconds)
        following = reply.json()["next"]
        before = f"&before={following}" if following else ""
    return times


# --- Memory -----------------------------------------------------------------------------------------------


def memory(settings: Settings, effort: Effort) -> dict[str, float]:
    """Of the server: resident memory along its way, CPU at rest. Of a waiting container: all it costs."""
    with service(settings.docker) as ours:
        found = {"started_mb": ours.rss_mb(), "cpu_at_rest": ours.cpu_share(effort.rest_seconds)}
        found |= {f"waiting_{name}": value for name, value in asdict(waiting_cost(ours)).items()}
        soak(ours, "", min(20, effort.soak_runs))
        found["before_mb"] = ours.rss_mb()
        soak(ours, "", effort.soak_runs)
        found["after_runs_mb"] = ours.rss_mb()
        reply = Client(ours).run(FLOOD, "python")
        assert reply.json()["status"] == "output_limit", reply.body[:200]
        found["after_flood_mb"] = ours.rss_mb()
        return found | {"runs": effort.soak_runs}
