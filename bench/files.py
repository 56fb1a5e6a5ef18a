"""What files cost that go in and come back, and what packs cost at a run. Plain data for the report."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from bench.effort import Effort
from bench.measure import Probe, Spread, side_by_side
from bench.plain import HELLO, bare_on_host
from bench.scenarios import COLD, project, zip_of
from bench.service import Client, Reply, new_owner, service
from sandbox.engine.image import Image
from sandbox.engine.packs import image_of
from sandbox.languages import LANGUAGES
from sandbox.languages.language import MADE
from sandbox.settings import Settings

PLAIN_HELLO = "hello"
ARTIFACTS_HELLO = "hello, artifacts asked for"
AS_ZIP = "zip of 1000 files"
AS_FILES = "1000 files as `files`"
TEN_MB = "10 MB of artifacts"
C_TITLE = "C hello, compiled and run"
PLOT_TITLE = "a plot of ten points"
WAITING = "ours, waiting container"
KEPT = "ours, kept container"

MAKE_TEN_MB = """\
import os
for number in range(10):
    with open(f"{number}.bin", "wb") as file:
        file.write(os.urandom(1000000))
"""
C_HELLO = '#include <stdio.h>\n\nint main(void) { puts("hello"); return 0; }\n'
BARE = "the same on the bare host"
PLOT = """\
import matplotlib.pyplot as plt

plt.plot(range(10))
plt.show()
print("hello")
"""


def files(settings: Settings, effort: Effort) -> dict[str, Any]:
    """Runs that bring files and give some back, paced; and what the server's memory is after all of them."""
    texts = project(1000)
    archive = zip_of(texts)
    with service(settings.docker, pool="python:5") as ours:
        client = Client(ours)
        hello = {"language": "python", "code": HELLO["python"]}
        probes: dict[str, Callable[[], float]] = {
            PLAIN_HELLO: lambda: _ask(client, hello).milliseconds,
            ARTIFACTS_HELLO: lambda: _ask(client, hello | {"artifacts": ["*.png", "out/**"]}).milliseconds,
            AS_ZIP: lambda: _expect(client.post_zip(archive, "main.py"), "1000\n").milliseconds,
            AS_FILES: lambda: _ask(client, {"files": texts, "entry": "main.py"}, "1000\n").milliseconds,
            TEN_MB: lambda: _ten_mb(client),
        }
        for once in probes.values():  # the first of each also fills caches of the server
            once()
        before_mb = ours.rss_mb()
        times = side_by_side(
            {name: Probe(once, effort.refill_seconds) for name, once in probes.items()}, effort.sizes_rounds
        )
        return {"times": times, "before_mb": before_mb, "after_mb": ours.rss_mb()}


def packs(settings: Settings, effort: Effort) -> dict[str, dict[str, Spread]]:
    """A C program compiled and run, and a small plot, each beside the same on the bare host."""
    native, science = (image_of(Image.of(settings), pack).name for pack in ("native", "science"))
    with (
        bare_on_host(settings.docker, native, {"hello.c": C_HELLO}) as compiling,
        bare_on_host(settings.docker, science, {"plot.py": PLOT}) as plotting,
        service(settings.docker, pool="c:1") as ours,
    ):
        owners = {language: Client(ours, new_owner(ours)) for language in ("c", "python")}
        fresh = Client(ours)
        c_hello, plot = {"language": "c", "code": C_HELLO}, {"language": "python", "code": PLOT}
        return {
            C_TITLE: _beside(
                effort,
                {
                    BARE: lambda: compiling.run_command(_compiled("hello.c")),
                    WAITING: lambda: _ask(fresh, c_hello).milliseconds,
                    KEPT: lambda: _ask(owners["c"], c_hello).milliseconds,
                },
            ),
            PLOT_TITLE: _beside(
                effort,
                {
                    BARE: lambda: plotting.run_command(*_plotted("plot.py")),
                    COLD: lambda: _shown(_ask(fresh, plot)),
                    KEPT: lambda: _shown(_ask(owners["python"], plot)),
                },
            ),
        }


def _beside(effort: Effort, probes: dict[str, Callable[[], float]]) -> dict[str, Spread]:
    for once in probes.values():  # the first makes the owner's container, and reads files from the disk
        once()
    return side_by_side(
        {name: Probe(once, effort.refill_seconds) for name, once in probes.items()}, effort.sizes_rounds
    )


def _compiled(name: str) -> list[str]:
    compiler = LANGUAGES["c"].compiler
    assert compiler
    flags = [word for word in compiler.command if word not in ("-o", MADE)]
    return ["sh", "-c", f"{shlex.join(flags)} -o /tmp/hello /bench/{name} && /tmp/hello"]


def _plotted(name: str) -> tuple[list[str], list[str]]:
    settings = LANGUAGES["python"].in_pack("science").variables(waiting=False)
    return ["sh", "-c", f"cd /tmp && rm -f *.png && python3 /bench/{name}"], settings


def _ask(client: Client, body: Mapping[str, object], output: str = "hello\n") -> Reply:
    return _expect(client.post("/run", body), output)


def _expect(reply: Reply, output: str) -> Reply:
    assert reply.json()["output"] == output, reply.body[:500]
    return reply


def _ten_mb(client: Client) -> float:
    reply = _ask(client, {"language": "python", "code": MAKE_TEN_MB, "artifacts": ["*.bin"]}, "")
    assert sum(artifact["bytes"] for artifact in reply.json()["artifacts"]) == 10_000_000, reply.body[:500]
    return reply.milliseconds


def _shown(reply: Reply) -> float:
    (artifact,) = reply.json()["artifacts"]
    assert artifact["path"] == "figure-1.png", artifact
    return reply.milliseconds
