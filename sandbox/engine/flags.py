"""Limits and an order for the supervisor -> the words of `docker run`. Pure: starts nothing, reads nothing.

Every flag is here, once, with its reason. podman accepts the same words; what differs for it is at
the end of `security_flags`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.engine.image import default_name
from sandbox.languages.language import Language
from sandbox.models import Limits
from sandbox.settings import Settings

SUPERVISOR_CAPABILITIES = ("SETUID", "SETGID", "SETPCAP", "KILL")
"""What the supervisor needs to step down to nobody, to empty the bounding set, and to end another uid's processes."""

PROFILE = Path(__file__).resolve().parent.parent / "seccomp.json"
"""Our seccomp profile."""

LABEL = "safe-code-executor"

TCP_BUFFER_BYTES = "4096 16384 16384"
"""Smallest, first and largest buffer of one direction of a connection: tcp(7)."""


@dataclass(frozen=True)
class EngineOptions:
    """What this installation asks of its engine for every container."""

    image: str
    seccomp: str
    """Path of the profile, or empty for the engine's own."""
    runtime: str = ""
    podman: bool = False


def options_for(settings: Settings, *, podman: bool) -> EngineOptions:
    """How containers are started here."""
    return EngineOptions(
        image=settings.image or default_name(),
        seccomp={"": str(PROFILE), "default": ""}.get(settings.seccomp, settings.seccomp),
        runtime=settings.runtime,
        podman=podman,
    )


def mission_flags(limits: Limits) -> list[str]:
    """The flags this project is known by. They are always there."""
    return ["--rm", "--network", "none", "--memory", f"{limits.memory_mb}m", "--read-only"]


SUPERVISOR_MB = 24
"""Of a container's memory, what nothing that is kept in files can take: the supervisor, and what looks after them."""

INODES_PER_MB = 256
"""Each takes 1 KiB of the kernel's memory, so that all of them take a quarter of what their contents may."""


def room_for_files(limits: Limits, app_mb: int, exe_mb: int = 0) -> tuple[int, int]:
    """Sizes of /app and of /dev/shm in MiB: what was asked for, or as much of it as the memory leaves room for.

    `exe_mb` of it are /exe's.
    """
    room_mb = limits.memory_mb - SUPERVISOR_MB - exe_mb
    shm_mb = min(limits.shm_mb, max(1, room_mb // 2))  # tmpfs takes 0 for no bound at all
    return min(app_mb, max(1, (room_mb - shm_mb) * 4 // 5)), shm_mb


def app_options(app_mb: int, *, podman: bool) -> str:
    """How /app is mounted."""
    # podman refuses this option; there, the number follows from the memory that they take.
    inodes = "" if podman else f"nr_inodes={app_mb * INODES_PER_MB},"
    return f"rw,nosuid,nodev,noexec,size={app_mb}m,{inodes}mode=755"


def resource_flags(limits: Limits, app_mb: int, *, exe_mb: int = 0, podman: bool = False) -> list[str]:
    """Ceilings on what one container can take from the machine."""
    app_mb, shm_mb = room_for_files(limits, app_mb, exe_mb)
    return [
        # Equal to --memory, or as much again is granted as swap.
        "--memory-swap", f"{limits.memory_mb}m",
        "--cpus", f"{limits.cpus:g}",
        # Counts threads as well. Never `--ulimit nproc`: that counts a uid over all containers.
        "--pids-limit", str(limits.pids),
        # Where every program can write; multiprocessing's locks live there. Counts as memory.
        "--shm-size", f"{shm_mb}m",
        # The program's files. Belongs to root, who lets only programs write there that shall give files back. Counts
        # as memory. Nobody inside may mount it anew, so its bounds hold from the start.
        "--tmpfs", f"/app:{app_options(app_mb, podman=podman)}",
        # A core_pattern that pipes starts a root helper on the host, also at a limit of 0; 1 forbids it: core(5).
        "--ulimit", "core=1:1",
        # Times the tasks: what the kernel keeps for each descriptor, on nobody's account, and undoes at the end.
        "--ulimit", "nofile=256:256",
        "--ulimit", f"fsize={(app_mb + shm_mb) << 20}",
        # Where cgroup v1 counts, buffers of TCP are on nobody's account. The profile keeps programs from raising them.
        "--sysctl", f"net.ipv4.tcp_rmem={TCP_BUFFER_BYTES}",
        "--sysctl", f"net.ipv4.tcp_wmem={TCP_BUFFER_BYTES}",
        # When the host runs out of memory, a container goes before the host's own services.
        "--oom-score-adj", "500",
    ]  # fmt: skip


def security_flags(options: EngineOptions) -> list[str]:
    """What keeps a program inside."""
    flags = ["--cap-drop", "ALL"]
    for capability in SUPERVISOR_CAPABILITIES:
        flags += ["--cap-add", capability]
    flags += ["--security-opt", "no-new-privileges"]
    if options.seccomp:
        flags += ["--security-opt", f"seccomp={options.seccomp}"]
    flags += [
        # No terminals and no message queues: both are budgets that all containers share, and can be written to.
        "--tmpfs", "/dev/pts:ro,nosuid,nodev,noexec,size=4k",
        "--tmpfs", "/dev/mqueue:ro,nosuid,nodev,noexec,size=4k",
        # Where the supervisor gives the container's uid a name.
        "--tmpfs", "/etc/sandbox:rw,nosuid,nodev,noexec,size=64k,mode=755",
        # Its own System V and POSIX IPC; `none` would take /dev/shm away.
        "--ipc", "private",
        "--cgroupns", "private",
        # Nothing of the host's name, and a fixed one, so that outputs can be compared.
        "--hostname", "sandbox",
        # Output travels through the supervisor; a log driver would write a copy of a flood to the disk.
        "--log-driver", "none",
        # A missing image must be an error at once, not a download during a run.
        "--pull", "never",
    ]  # fmt: skip
    if options.runtime:
        flags += ["--runtime", options.runtime]
    if options.podman:
        # podman mounts writable tmpfs on /tmp, /run and /var/tmp of a read-only container unless told not to.
        flags += ["--read-only-tmpfs=false"]
    else:
        # Even without a network Docker copies the host's /etc/resolv.conf, with its name servers and its domain.
        # An address that is nobody's (RFC 5737) takes their place. podman refuses --dns where there is no network.
        flags += ["--dns", "192.0.2.1", "--dns-search", "."]
    return flags


def waiting_words(language: Language, wait_seconds: float, *, at_once: bool = True) -> list[str]:
    """The supervisor's further arguments in a container that shall wait for programs of this language.

    The interpreter is started at once, or only after the first program. Without any the container ends by itself
    after `wait_seconds`, in case nobody is left to end it.
    """
    if not language.waiting:
        return [str(int(wait_seconds))]
    when = "now" if at_once else "later"
    return [str(int(wait_seconds)), when, *language.variables(waiting=True), *language.command(language.file_name)]


def container_name(number: int) -> str:
    """An engine has no two containers of one name, so none of one number either, and the uid goes by the number."""
    return f"sce-{number:05}"


def run_words(
    options: EngineOptions,
    limits: Limits,
    *,
    number: int,
    labels: Mapping[str, str],
    app_mb: int,
    waiting: Sequence[str] = (),
    exe_mb: int = 0,
) -> list[str]:
    """The client's arguments that start one container with the supervisor's stdin and stdout attached."""
    words = ["run", "--interactive", *mission_flags(limits), "--name", container_name(number)]
    for key, value in labels.items():
        words += ["--label", f"{key}={value}"]
    words += resource_flags(limits, app_mb, exe_mb=exe_mb, podman=options.podman)
    words += [*security_flags(options), *exe_flags(exe_mb)]
    return [*words, options.image, str(number), *waiting]


def exe_flags(exe_mb: int) -> list[str]:
    """Where the supervisor puts what a compiler has made: nobody else can write there. Counts as memory."""
    return ["--tmpfs", f"/exe:rw,nosuid,nodev,exec,size={exe_mb}m,mode=755"] if exe_mb else []
