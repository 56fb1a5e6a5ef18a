"""What `make doctor` prints: whether this engine can hold untrusted programs, and what to do when it cannot.

An engine's own word is not enough: podman without root on cgroup v1 accepts the limits and ignores them. So
a container is started with the flags of a run, and reads from inside what really holds it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.engine.client import Client, ClientRefused
from sandbox.engine.facts import facts_of
from sandbox.engine.flags import mission_flags, options_for, resource_flags, security_flags
from sandbox.engine.image import Image
from sandbox.engine.packs import image_of
from sandbox.errors import EngineError
from sandbox.models import Limits
from sandbox.packs import PACKS, add_with
from sandbox.settings import Settings, SettingsError, load

PROBE_SECONDS = 30.0
SUPERVISOR_CAPABILITIES = "1e0"
"""KILL, SETGID, SETUID and SETPCAP, as /proc writes a set: what a container keeps of root."""
HIDDEN = "hidden"
"""What the probe reports of a limit whose file it cannot find."""
MAX_CONNECTION_BYTES = 128 << 10
"""What one TCP connection may hold unread, beyond the container's memory where cgroup v1 counts."""
PROBE = """
import json, pathlib, socket
def unread_bytes():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        try:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
        except OSError:
            pass
        client.setblocking(False)
        sent = 0
        try:
            while sent < 1 << 24:
                sent += client.send(bytes(4096))
        except BlockingIOError:
            pass
        return sent
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
    "connection": str(unread_bytes()),
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
    image = Image.of(settings)
    yield Finding("client", image.client.name + (" (podman)" if image.client.is_podman else ""))
    try:
        facts = facts_of(image)
    except EngineError as problem:
        yield Finding("engine", "does not answer", problem.message)
        return
    for name, value in facts.items():
        yield Finding(name, value)
    yield Finding("image", image.name)
    try:
        image.check()
        yield from judge(probe(settings, image.client), settings.limits)
        yield from (stock(image, pack) for pack in PACKS)
    except EngineError as problem:
        yield Finding("container", "cannot be started", problem.message)


def stock(base: Image, pack: str) -> Finding:
    """Whether a pack is there, and how large.

    :raises EngineError: the engine does not answer.
    """
    image = image_of(base, pack)
    if not image.exists():
        return Finding(f"pack {pack}", "not built", f"If it is wanted: {add_with(pack)}", fatal=False)
    return Finding(f"pack {pack}", f"{image.name}, {image.size_bytes() / 1e6:.0f} MB")


def probe(settings: Settings, client: Client) -> dict[str, str]:
    """What a container started with the flags of a run sees of its limits.

    :raises EngineError: no container can be started.
    """
    options = options_for(settings, podman=client.is_podman)
    resources = resource_flags(settings.limits, app_mb=1, podman=options.podman)
    flags = [*mission_flags(settings.limits), *resources, *security_flags(options)]
    command = ["run", *flags, "--entrypoint", "/usr/local/bin/python3", options.image, "-I", "-S", "-c", PROBE]
    try:
        facts: dict[str, str] = json.loads(client.ask(*command, timeout_seconds=PROBE_SECONDS))
    except ClientRefused as refusal:
        raise EngineError(f"A container with the flags of a run does not start: {refusal.words.strip()}") from refusal
    return facts


def judge(seen: dict[str, str], limits: Limits) -> Iterator[Finding]:
    """One row per protection: does it hold inside?"""
    ignored = "The engine ignores this limit: do not run untrusted programs on it (podman: use root or cgroup v2)."
    swap = "Programs may swap: boot with swapaccount=1, or switch swap off."
    large = "Bytes that nobody reads may be outside of the memory limit: use our seccomp profile, or cgroup v2."
    unfiltered = "No system call is filtered: use an engine that supports seccomp."
    memory = str(limits.memory_mb << 20)
    yield _row("memory limit", seen["memory"], {memory}, ignored)
    yield _row("swap limit", seen["swap"], {memory, "0"}, swap, fatal=False)  # v1 counts both together
    yield _row("process limit", seen["pids"], {str(limits.pids)}, ignored)
    yield _row("CPU limit", seen["cpu"], {str(round(limits.cpus * 100_000))}, ignored)  # of a period of 100 ms
    yield _row("seccomp", seen["seccomp"], {"2"}, unfiltered)
    unread = seen["connection"]
    few = {unread} if int(unread) <= MAX_CONNECTION_BYTES else set()
    yield _row("TCP buffers", unread, few, large, fatal=False)
    kept = seen["capabilities"].lstrip("0")
    yield _row("capabilities", kept, {SUPERVISOR_CAPABILITIES}, "The engine ignores --cap-drop ALL.")


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


if __name__ == "__main__":
    sys.exit(main())
