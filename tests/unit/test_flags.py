"""The words of `docker run`: every flag that the promises in docs/security.md rest on, and no other."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from sandbox.engine.flags import (
    INODES_PER_MB,
    SUPERVISOR_CAPABILITIES,
    EngineOptions,
    room_for_files,
    run_words,
    waiting_words,
)
from sandbox.languages import LANGUAGES
from sandbox.models import Limits

LIMITS = Limits(
    timeout_seconds=10,
    memory_mb=128,
    cpus=1.0,
    pids=64,
    shm_mb=16,
    output_bytes=1 << 20,
    output_stop_bytes=64 << 20,
)
OPTIONS = EngineOptions(image="the/image:tag", seccomp="/etc/profile.json")

# One flag a line, with its value (~ for a blank) where it has one: a flag that comes or goes must come or go here too.
EXPECTED = """
--interactive
--rm
--network none
--memory 128m
--read-only
--name sce-00042
--label a=1
--label b=2
--memory-swap 128m
--cpus 1
--pids-limit 64
--shm-size 16m
--tmpfs /app:rw,nosuid,nodev,noexec,size=40m,nr_inodes=10240,mode=755
--ulimit core=1:1
--ulimit nofile=256:256
--ulimit fsize=58720256
--sysctl net.ipv4.tcp_rmem=4096~16384~16384
--sysctl net.ipv4.tcp_wmem=4096~16384~16384
--oom-score-adj 500
--cap-drop ALL
--cap-add SETUID
--cap-add SETGID
--cap-add SETPCAP
--cap-add KILL
--security-opt no-new-privileges
--security-opt seccomp=/etc/profile.json
--tmpfs /dev/pts:ro,nosuid,nodev,noexec,size=4k
--tmpfs /dev/mqueue:ro,nosuid,nodev,noexec,size=4k
--tmpfs /etc/sandbox:rw,nosuid,nodev,noexec,size=64k,mode=755
--ipc private
--cgroupns private
--hostname sandbox
--log-driver none
--pull never
--dns 192.0.2.1
--dns-search .
"""
WORDS = [word.replace("~", " ") for word in EXPECTED.split()]


def command(options: EngineOptions = OPTIONS, limits: Limits = LIMITS, **changes: object) -> list[str]:
    arguments = {"number": 42, "labels": {"a": "1", "b": "2"}, "app_mb": 40, **changes}
    return run_words(options, limits, **arguments)  # type: ignore[arg-type]


def with_limits(**changes: object) -> list[str]:
    return command(limits=Limits(**{**vars(LIMITS), **changes}))


def has(argv: list[str], *words: str) -> bool:
    return words in (list(pairwise(argv)) if len(words) == 2 else [(word,) for word in argv])


def test_the_whole_command_is_the_one_written_down_here() -> None:
    assert command() == ["run", *WORDS, "the/image:tag", "42"]


@pytest.mark.parametrize(
    "flag", [("--network", "none"), ("--memory", "128m"), ("--read-only",), ("--rm",), ("--cap-drop", "ALL")]
)
def test_the_flags_of_the_mission_are_there_for_every_engine(flag: tuple[str, ...]) -> None:
    for options in (OPTIONS, EngineOptions("x", "", podman=True), EngineOptions("x", "", "runsc")):
        assert has(command(options), *flag)


def test_nothing_of_the_host_is_mounted_and_nothing_is_privileged() -> None:
    for word in command():
        assert word not in {"-v", "--volume", "--mount", "--privileged", "--device", "--pid", "--userns", "--init"}
        assert not word.startswith(("--volume=", "--mount=", "--device="))


def test_no_swap_is_granted_on_top_of_the_memory() -> None:
    argv = with_limits(memory_mb=256)
    assert has(argv, "--memory", "256m")
    assert has(argv, "--memory-swap", "256m")


def test_the_limits_reach_the_engine() -> None:
    argv = with_limits(cpus=0.5, pids=100, shm_mb=4)
    assert has(argv, "--cpus", "0.5")
    assert has(argv, "--pids-limit", "100")
    assert has(argv, "--shm-size", "4m")
    assert has(argv, "--ulimit", f"fsize={44 << 20}")


@pytest.mark.parametrize("memory_mb", [32, 33, 48, 64, 100, 128, 512])
@pytest.mark.parametrize("shm_mb", [1, 16, 64, 4096])
@pytest.mark.parametrize("app_mb", [1, 40, 1000])
def test_files_of_every_size_and_number_leave_the_supervisor_room(memory_mb: int, shm_mb: int, app_mb: int) -> None:
    limits = replace(LIMITS, memory_mb=memory_mb, shm_mb=shm_mb)
    room_mb, shared_mb = room_for_files(limits, app_mb)
    inodes_mb = room_mb * INODES_PER_MB / 1024
    assert 1 <= room_mb <= app_mb and 1 <= shared_mb <= shm_mb
    assert room_mb + inodes_mb + shared_mb <= memory_mb - 24
    argv = command(limits=limits, app_mb=app_mb)
    assert has(argv, "--shm-size", f"{shared_mb}m")
    assert has(argv, "--ulimit", f"fsize={(room_mb + shared_mb) << 20}")


def test_what_was_asked_for_is_given_where_there_is_room() -> None:
    assert room_for_files(LIMITS, 53) == (53, 16)
    assert room_for_files(LIMITS, 53, 80) == (9, 12), "what /exe may take is not there for others"


def test_podman_is_not_told_of_inodes_which_it_refuses() -> None:
    (mount,) = (word for word in command(EngineOptions("x", "", podman=True)) if word.startswith("/app:"))
    assert mount == "/app:rw,nosuid,nodev,noexec,size=40m,mode=755"


def test_processes_are_never_counted_per_user() -> None:
    assert not any("nproc" in word for word in command())


def test_only_what_the_supervisor_needs_is_added() -> None:
    argv = command()
    added = {value for flag, value in pairwise(argv) if flag == "--cap-add"}
    assert added == set(SUPERVISOR_CAPABILITIES) == {"SETUID", "SETGID", "SETPCAP", "KILL"}
    assert argv.index("--cap-drop") < argv.index("--cap-add")


def test_the_engines_own_profile_is_taken_when_none_is_named() -> None:
    argv = command(EngineOptions("x", ""))
    assert not any("seccomp" in word for word in argv)
    assert has(argv, "--security-opt", "no-new-privileges")


def test_another_runtime_is_asked_for() -> None:
    assert has(command(EngineOptions("x", "", runtime="runsc")), "--runtime", "runsc")
    assert not has(command(), "--runtime")


def test_podman_is_told_not_to_make_folders_writable() -> None:
    assert has(command(EngineOptions("x", "", podman=True)), "--read-only-tmpfs=false")
    assert not has(command(), "--read-only-tmpfs=false")


def test_docker_is_told_not_to_copy_the_hosts_name_servers_and_podman_cannot_be() -> None:
    assert has(command(), "--dns", "192.0.2.1")
    assert has(command(), "--dns-search", ".")
    assert not has(command(EngineOptions("x", "", podman=True)), "--dns")


@pytest.mark.parametrize("language", [each for each in LANGUAGES.values() if each.waiting], ids=lambda each: each.name)
def test_a_container_that_waits_is_told_what_to_start_after_the_image(language) -> None:  # type: ignore[no-untyped-def]
    argv = command(waiting=waiting_words(language, 1260.0))
    words = argv[argv.index(OPTIONS.image) + 1 :]
    settings = [f"{name}={value}" for name, value in (*language.environment, *language.waiting.warm_up)]
    assert words == ["42", "1260", "now", *settings, *language.command(language.file_name)]


def test_a_container_of_a_language_without_a_waiting_interpreter_is_told_how_long_to_wait() -> None:
    alone = replace(LANGUAGES["python"], waiting=None)
    assert waiting_words(alone, 1260.0) == ["1260"]


def test_nothing_of_a_program_ever_is_on_the_command_line() -> None:
    """Code travels over stdin: other users of the host can read command lines."""
    assert [word for word in command() if word not in WORDS] == ["run", OPTIONS.image, "42"]


def test_python_and_node_wait_for_the_same_files_that_runs_name() -> None:
    assert waiting_words(LANGUAGES["python"], 1)[-2:] == ["python3", "/app/user_code.py"]
    assert waiting_words(LANGUAGES["node"], 1)[-2:] == ["node", "/app/user_code.js"]


def test_only_what_is_compiled_has_a_place_to_execute_from_and_only_root_writes_there() -> None:
    assert has(command(exe_mb=16), "--tmpfs", "/exe:rw,nosuid,nodev,exec,size=16m,mode=755")
    assert not [word for word in command() if "/exe" in word]
