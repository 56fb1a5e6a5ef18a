"""What `make doctor` prints: whether this engine can hold untrusted programs, and what to do when it cannot.

An engine's own word is not enough: podman without root on cgroup v1 accepts the limits and ignores them. So
a container is started with the flags of a run, and reads from inside what really holds it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox import engine
from sandbox.errors import EngineError
from sandbox.settings import Settings, SettingsError, load

PROBE_SECONDS = 30.0
PROBE_FLAGS = [
    "--rm", "--network", "none", "--pull", "never", "--log-driver", "none", "--memory", "64m", "--memory-swap", "64m",
    "--pids-limit", "32", "--cpus", "0.5", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only",
    "--entrypoint", "/usr/local/bin/python3",
]  # fmt: skip
MEMORY = str(64 << 20)
HIDDEN = "hidden"
"""What the probe reports of a limit whose file it cannot find."""
PROBE = """
import json, pathlib
def read(*names):
    for name in names:
        try:
            return pathlib.Path("/sys/fs/cgroup", name).read_text().split()[0]
        except OSError:
            pass
    return "hidden"
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "memory": read("memory/memory.limit_in_bytes", "memory.max"),
    "swap": read("memory/memory.memsw.limit_in_bytes", "memory.swap.max"),
    "pids": read("pids/pids.max", "pids.max"),
    "cpu": read("cpu/cpu.cfs_quota_us", "cpu,cpuacct/cpu.cfs_quota_us", "cpu.max"),
    "seccomp": status["Seccomp"].strip(),
    "capabilities": status["CapBnd"].strip(),
}))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table. `advice` is empty when all is well."""

    what: str
    found: str
    advice: str = ""
    fatal: bool = True


def examine(settings: Settings) -> Iterator[Finding]:
    """The rows, in order; stops after the first one without which the others cannot be had."""
    yield Finding("client", engine.client_name(settings) + (" (podman)" if engine.is_podman(settings) else ""))
    try:
        facts = engine_facts(settings)
    except EngineError as problem:
        yield Finding("engine", "does not answer", problem.message)
        return
    for name, value in facts.items():
        yield Finding(name, value)
    image = engine.image_for(settings)
    try:
        engine.check(settings)
        yield Finding("image", image)
        yield from judge(probe(settings, image))
    except EngineError as problem:
        yield Finding("image", image, problem.message)


def engine_facts(settings: Settings) -> dict[str, str]:
    """What the engine says of itself, row name -> value.

    :raises EngineError: it does not answer.
    """
    podman = engine.is_podman(settings)
    try:
        answer = engine.ask(settings, "info", "--format", "json" if podman else "{{json .}}")
    except engine.ClientRefused:
        engine.check(settings)  # raises what a person can act on
        raise
    info: dict[str, Any] = json.loads(answer)
    if podman:
        host, rootless = info["host"], info["host"]["security"]["rootless"]
        return {
            "engine": f"podman {info['version']['Version']}" + (" (rootless)" if rootless else ""),
            "cgroup": f"{host['cgroupVersion']} ({host['cgroupManager']})",
            "storage": info["store"]["graphDriverName"],
        }
    if not info.get("ServerVersion"):
        engine.check(settings)
        raise EngineError("The engine gave no answer.")
    return {
        "engine": f"docker {info['ServerVersion']} on {info['OperatingSystem']} ({info['Architecture']})",
        "cgroup": f"v{info.get('CgroupVersion', '1')} ({info['CgroupDriver']})",
        "storage": str(info["Driver"]),
        "security": ", ".join(option.removeprefix("name=") for option in info.get("SecurityOptions") or ["none"]),
    }


def probe(settings: Settings, image: str) -> dict[str, str]:
    """What a container with limits really sees of them.

    :raises EngineError: no container can be started.
    """
    name = settings.runtime
    flags = [*PROBE_FLAGS, *(["--runtime", name] if name else [])]
    try:
        answer = engine.ask(settings, "run", *flags, image, "-I", "-S", "-c", PROBE, timeout_seconds=PROBE_SECONDS)
    except engine.ClientRefused as refusal:
        raise EngineError(f"A container with limits cannot be started: {refusal.words.strip()}") from refusal
    facts: dict[str, str] = json.loads(answer)
    return facts


def judge(seen: dict[str, str]) -> Iterator[Finding]:
    """One row per protection: does it hold inside?"""
    ignored = "The engine ignores this limit: do not run untrusted programs on it (podman: use root or cgroup v2)."
    swap = "Programs may swap: boot with swapaccount=1, or switch swap off."
    unfiltered = "No system call is filtered: use an engine that supports seccomp."
    yield _row("memory limit", seen["memory"], {MEMORY}, ignored)
    yield _row("swap limit", seen["swap"], {MEMORY, "0"}, swap, fatal=False)
    yield _row("process limit", seen["pids"], {"32"}, ignored)
    yield _row("CPU limit", seen["cpu"], {"50000"}, ignored)
    yield _row("seccomp", seen["seccomp"], {"2"}, unfiltered)
    yield _row("capabilities", seen["capabilities"].strip("0"), {""}, "The engine ignores --cap-drop ALL.")


def _row(what: str, seen: str, right: set[str], advice: str, *, fatal: bool = True) -> Finding:
    if seen in right:
        return Finding(what, "holds")
    if seen == HIDDEN:
        return Finding(what, "cannot be seen from inside this runtime", "Try it with a program.", fatal=False)
    return Finding(what, f"DOES NOT HOLD ({seen})", advice, fatal)


def main() -> int:
    """Print the table; 0 when nothing fatal was found."""
    try:
        settings = load()
    except SettingsError as problem:
        sys.stdout.write(f"{problem}\n")
        return 1
    healthy = True
    for finding in examine(settings):
        sys.stdout.write(f"{finding.what:14} {finding.found}\n")
        if finding.advice:
            sys.stdout.write(f"{'':14} -> {finding.advice}\n")
            healthy = healthy and not finding.fatal
    sys.stdout.write("All is well.\n" if healthy else "Not fit to run untrusted programs.\n")
    return 0 if healthy else 1
