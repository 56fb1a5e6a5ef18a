"""sandbox/seccomp.json: what it says, what the kernel then refuses, and that honest programs notice nothing.

Two containers do all the work, with the flags of a real run: one under our profile, one under none. Each runs
the same probes and the same programs, and the tests read their answers. The numbers of the system calls are
written down here a second time, so that a name missing in the profile or unknown to the engine is noticed.
"""

from __future__ import annotations

import errno
import json
import re
import secrets
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.engine.flags import EngineOptions, container_name, run_words
from sandbox.engine.image import default_name
from sandbox.engine.instance import NUMBERS
from sandbox.settings import Settings, load

PROFILE = Path(__file__).resolve().parent.parent.parent / "sandbox" / "seccomp.json"
GUEST = Path(__file__).resolve().parent / "seccomp"
"""What runs inside the container: the runner, the probes and the programs."""

# name:number, or name:x86_64:aarch64 where they differ; "-" where an architecture never had the call.
FORBIDDEN = {
    "ENOSYS": """
        clone3:435 io_setup:206:0 io_destroy:207:1 io_submit:209:2 io_cancel:210:3 io_getevents:208:4
        io_pgetevents:333:292 io_uring_setup:425 io_uring_enter:426 io_uring_register:427 memfd_create:319:279
        memfd_secret:447 splice:275:76 tee:276:77 vmsplice:278:75 landlock_create_ruleset:444 landlock_add_rule:445
        landlock_restrict_self:446 process_madvise:440 process_mrelease:448 remap_file_pages:216:234
        set_mempolicy_home_node:450 map_shadow_stack:453 statmount:457 listmount:458 lsm_get_self_attr:459
        lsm_set_self_attr:460 lsm_list_modules:461
    """,
    "EINVAL": "sendfile:40:71",
    "EPERM": """
        ptrace:101:117 process_vm_readv:310:270 process_vm_writev:311:271 pidfd_getfd:438 kcmp:312:272
        unshare:272:97 setns:308:268 chroot:161:51 pivot_root:155:41 mount:165:40 umount2:166:39 open_tree:428
        move_mount:429 fsopen:430 fsconfig:431 fsmount:432 fspick:433 mount_setattr:442
        name_to_handle_at:303:264 open_by_handle_at:304:265 fanotify_init:300:262 fanotify_mark:301:263
        bpf:321:280 perf_event_open:298:241 userfaultfd:323:282 seccomp:317:277
        add_key:248:217 request_key:249:218 keyctl:250:219
        shmget:29:194 shmat:30:196 shmctl:31:195 shmdt:67:197 semget:64:190 semop:65:193 semctl:66:191
        semtimedop:220:192 msgget:68:186 msgsnd:69:189 msgrcv:70:188 msgctl:71:187
        mq_open:240:180 mq_unlink:241:181 mq_timedsend:242:182 mq_timedreceive:243:183 mq_notify:244:184
        mq_getsetattr:245:185 mincore:27:232 sync:162:81 syncfs:306:267
        mbind:237:235 set_mempolicy:238:237 get_mempolicy:239:236 migrate_pages:256:238 move_pages:279:239
        ioprio_set:251:30 ioprio_get:252:31 sched_setattr:314:274
        init_module:175:105 finit_module:313:273 delete_module:176:106 create_module:174:- query_module:178:-
        get_kernel_syms:177:- kexec_load:246:104 kexec_file_load:320:294 reboot:169:142 swapon:167:224
        swapoff:168:225 acct:163:89 quotactl:179:60 quotactl_fd:443 syslog:103:116
        settimeofday:164:170 clock_settime:227:112 clock_adjtime:305:266 adjtimex:159:171 sethostname:170:161
        setdomainname:171:162 iopl:172:- ioperm:173:- modify_ldt:154:- set_thread_area:205:- vhangup:153:58
        lookup_dcookie:212:18 nfsservctl:180:42 uselib:134:- ustat:136:- sysfs:139:- _sysctl:156:-
        setfsuid:122:151 setfsgid:123:152 afs_syscall:183:- tuxcall:184:- security:185:- vserver:236:-
    """,
}
NEWER_THAN_THE_PROFILE = 999
"""A number no kernel has given out: a future call must look like an old kernel, so that a libc falls back."""

# --- What the profile says ----------------------------------------------------------------------------------------


def profile() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(PROFILE.read_text(encoding="utf-8"))
    return loaded


def names_with(action: str) -> list[str]:
    return [name for group in profile()["syscalls"] if group["action"] == action for name in group["names"]]


def forbidden_numbers(machine: str) -> dict[str, tuple[int, str]]:
    """Name -> (number on this machine, name of the errno it must fail with)."""
    found = {}
    for error, rows in FORBIDDEN.items():
        for row in rows.split():
            name, *numbers = row.split(":")
            number = numbers[-1 if machine == "aarch64" else 0]
            if number != "-":
                found[name] = (int(number), error)
    return found


def numbers_to_try(machine: str) -> dict[str, int]:
    numbers = {name: number for name, (number, _) in forbidden_numbers(machine).items()}
    return numbers | {"newer": NEWER_THAN_THE_PROFILE}


def test_everything_not_named_is_refused_with_eperm() -> None:
    assert profile()["defaultAction"] == "SCMP_ACT_ERRNO"
    assert profile()["defaultErrnoRet"] == errno.EPERM


def test_only_the_native_architecture_is_let_in() -> None:
    assert "architectures" not in profile(), "Docker refuses a profile that has both"
    assert profile()["archMap"] == [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
    ]


def test_every_group_gives_its_reason_and_only_keys_every_engine_knows() -> None:
    for group in profile()["syscalls"]:
        assert len(group["comment"]) >= 12, group
        assert group["comment"].endswith("."), group["comment"]
        assert group.keys() <= {"comment", "names", "action", "errnoRet", "args"}, group["comment"]
        assert group["action"] in {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"}, group["comment"]
        assert ("errnoRet" in group) == (group["action"] == "SCMP_ACT_ERRNO"), group["comment"]


def test_no_call_is_both_allowed_and_refused_or_named_twice() -> None:
    allowed, refused = names_with("SCMP_ACT_ALLOW"), names_with("SCMP_ACT_ERRNO")
    assert not set(allowed) & set(refused)
    plain = [name for group in profile()["syscalls"] if "args" not in group for name in group["names"]]
    assert [name for name, count in Counter(plain).items() if count > 1] == []
    conditional = {name for group in profile()["syscalls"] if "args" in group for name in group["names"]}
    assert not conditional & set(plain), "a rule without arguments would cancel the ones with"


def test_nothing_forbidden_is_allowed() -> None:
    forbidden = set(forbidden_numbers("x86_64")) | set(forbidden_numbers("aarch64"))
    assert not forbidden & set(names_with("SCMP_ACT_ALLOW"))
    assert forbidden <= set(names_with("SCMP_ACT_ERRNO")), "each has a group that says why"


def test_calls_whose_danger_is_in_an_argument_are_only_allowed_by_argument() -> None:
    expected = {"clone", "socket", "socketpair", "setsockopt", "ioctl", "prctl", "personality", "mknod", "mknodat"}
    expected |= {"setrlimit", "prlimit64", "fcntl"}
    assert {name for group in profile()["syscalls"] if "args" in group for name in group["names"]} == expected


def test_no_rule_can_be_passed_by_setting_the_upper_half_of_an_argument() -> None:
    # The kernel reads 32 bits of these arguments, a filter compares 64: 'not equal' and 'greater' are holes.
    for group in profile()["syscalls"]:
        for argument in group.get("args", []):
            assert argument["op"] in {"SCMP_CMP_EQ", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ"}, group["comment"]
        indexes = [argument["index"] for argument in group.get("args", [])]
        assert len(indexes) == len(set(indexes)), "runc ORs conditions on one argument: " + group["comment"]


# --- The two containers ---------------------------------------------------------------------------------------------

# Exit codes as subprocess reports them; every other program ends with 0.
EXIT_CODES = {
    "python: ended by a signal": -15, "python: abort": -6, "python: exit code": 3, "python: uncaught": 1,
    "node: ended by a signal": -15, "node: abort": -6, "node: uncaught": 1,
}  # fmt: skip


def programs() -> dict[str, str]:
    """Title -> source of every honest program."""
    found = {}
    for language, mark in (("python", "#: "), ("node", "//: ")):
        for part in (GUEST / f"{language}_programs.txt").read_text(encoding="utf-8").split("\n" + mark)[1:]:
            title, source = part.split("\n", 1)
            assert f"{language}: {title}" not in found
            found[f"{language}: {title}"] = source
    return found


HOW_TO_GET_AN_ENGINE = (
    "These tests need a container engine and the sandbox image: `make test` prepares both; by hand, start Docker "
    "(or name another client with SCE_DOCKER) and run `make image`.\n"
)


def container_argv(settings: Settings, number: int, seccomp: str) -> list[str]:
    """A real run's flags, with the runner in the supervisor's place."""
    options = EngineOptions(
        image=settings.image or default_name(),
        seccomp=seccomp,
        podman="podman" in Path(settings.docker).name,
    )
    words = run_words(options, settings.limits, number=number, labels={}, app_mb=8)
    at = words.index(options.image)
    return [
        settings.docker,
        *words[:at],
        "--entrypoint",
        "python3",
        options.image,
        "-I",
        "-c",
        (GUEST / "runner.py").read_text(encoding="utf-8"),
    ]


@dataclass(frozen=True)
class Answers:
    """What one container said."""

    machine: str
    steps: dict[str, Any]
    probes: dict[str, str]
    """Attempt -> `ok`, the name of the errno, or the name of the signal that ended it."""
    programs: dict[str, dict[str, Any]]

    def outcomes(self, prefix: str) -> dict[str, str]:
        """What became of the attempts of one kind."""
        return {name: outcome for name, outcome in self.probes.items() if name.startswith(prefix)}


def ask_container(seccomp: str) -> Answers:
    """Everything one container says, under the profile at this path or under none (`unconfined`)."""
    settings = load(memory_mb=256)
    number = NUMBERS + secrets.randbelow(NUMBERS)  # no server gives it to a container
    plan = {
        "numbers": {machine: numbers_to_try(machine) for machine in ("x86_64", "aarch64")},
        "probes": (GUEST / "probes.py").read_text(encoding="utf-8"),
        "programs": programs(),
    }
    argv = container_argv(settings, number, seccomp)
    try:
        done = subprocess.run(argv, input=json.dumps(plan), capture_output=True, text=True, timeout=100)
    except OSError as problem:
        pytest.fail(f"{HOW_TO_GET_AN_ENGINE}{problem}")
    except subprocess.TimeoutExpired:
        subprocess.run([settings.docker, "rm", "--force", container_name(number)], capture_output=True, timeout=30)
        pytest.fail(f"The container under {seccomp} did not end within 100 seconds.")
    if done.returncode:
        pytest.fail(f"{HOW_TO_GET_AN_ENGINE}The container under {seccomp} ended with {done.returncode}: {done.stderr}")
    said = json.loads(done.stdout)
    assert said["probes"]["exit_code"] == 0, said["probes"]["stderr"]
    return Answers(said["machine"], said["steps"], json.loads(said["probes"]["stdout"]), said["programs"])


@pytest.fixture(scope="module")
def ours() -> Answers:
    return ask_container(str(PROFILE))


@pytest.fixture(scope="module")
def unfiltered() -> Answers:
    return ask_container("unconfined")


# --- What the kernel refuses ----------------------------------------------------------------------------------------


def test_the_filter_is_on_for_the_program_and_off_in_the_control(ours: Answers, unfiltered: Answers) -> None:
    assert ours.probes["Seccomp"] == "2"
    assert ours.probes["NoNewPrivs"] == "1"
    assert ours.probes["Uid"] == "65534"
    assert unfiltered.probes["Seccomp"] == "0"


def test_every_forbidden_call_fails_with_the_errno_chosen_for_it(ours: Answers) -> None:
    expected = {f"call {name}": error for name, (_, error) in forbidden_numbers(ours.machine).items()}
    assert ours.outcomes("call ") == expected | {"call newer": "ENOSYS"}


def test_the_probe_would_notice_a_missing_filter(ours: Answers, unfiltered: Answers) -> None:
    # Without the filter these answer something else even to nobody, so their errno above comes from the filter.
    calls = (
        "ptrace",
        "shmget",
        "semget",
        "msgget",
        "unshare",
        "seccomp",
        "setfsuid",
        "sync",
        "io_uring_setup",
        "splice",
    )
    attempts = ["ioctl TIOCSTI", "netlink 9", "personality ADDR_NO_RANDOMIZE", *(f"call {name}" for name in calls)]
    if ours.machine == "x86_64":
        attempts.append("machine int 0x80")
    assert [name for name in attempts if unfiltered.probes[name] == ours.probes[name]] == []


def test_only_unix_and_inet_sockets_can_be_made(ours: Answers) -> None:
    made = {int(name.split()[1]) for name, outcome in ours.outcomes("socket ").items() if outcome != "EPERM"}
    assert made == {1, 2, 10}
    assert ours.probes["socket 1 STREAM"] == ours.probes["socket 2 STREAM"] == ours.probes["socket 2 DGRAM"] == "ok"
    assert ours.probes["socket 2 RAW"] == ours.probes["socket 2 SEQPACKET"] == "EPERM"


def test_only_unix_socket_pairs_can_be_made(ours: Answers) -> None:
    attempts = ours.outcomes("socketpair ")
    assert {name for name, outcome in attempts.items() if outcome != "EPERM"} == {"socketpair 1"}


def test_af_alg_and_vsock_stay_closed_with_upper_argument_bits_set(ours: Answers) -> None:
    attempts = ours.outcomes("socket 38 ") | ours.outcomes("socket 40 ")
    assert len(attempts) == 10
    assert set(attempts.values()) == {"EPERM"}


def test_there_is_no_netlink(ours: Answers) -> None:
    assert set(ours.outcomes("netlink ").values()) == {"EPERM"}


def test_inet_sockets_are_only_tcp_and_udp(ours: Answers) -> None:
    attempts = ours.outcomes("inet ")
    assert {name for name, outcome in attempts.items() if outcome != "EPERM"} == {"inet 2 flags", "inet 10 flags"}


def test_no_process_starts_in_a_new_namespace(ours: Answers) -> None:
    attempts = ours.outcomes("clone ")
    assert attempts.pop("clone plain") == "ok"
    assert len(attempts) == 14
    assert set(attempts.values()) == {"EPERM"}


def test_terminals_cannot_be_typed_into_or_given_a_line_discipline(ours: Answers) -> None:
    attempts = ours.outcomes("ioctl ")
    assert attempts.pop("ioctl TCGETS") == "ENOTTY"
    assert set(attempts.values()) == {"EPERM"}


def test_prctl_cannot_add_filters_or_weaken_the_process(ours: Answers) -> None:
    attempts = ours.outcomes("prctl ")
    assert attempts.pop("prctl SET_NAME") == "ok"
    assert set(attempts.values()) == {"EPERM"}


def test_personality_cannot_turn_off_address_randomisation(ours: Answers) -> None:
    attempts = ours.outcomes("personality ")
    assert attempts.pop("personality LINUX") == attempts.pop("personality query") == "ok"
    assert set(attempts.values()) == {"EPERM"}


def test_sockets_cannot_load_bpf_or_kernel_tls(ours: Answers) -> None:
    attempts = ours.outcomes("setsockopt ")
    assert attempts.pop("setsockopt SO_REUSEADDR") == attempts.pop("setsockopt TCP_NODELAY") == "ok"
    assert set(attempts.values()) == {"EPERM"}


def test_every_socket_option_but_buffers_and_lingering_can_be_set(ours: Answers, unfiltered: Answers) -> None:
    attempts, control = ours.outcomes("SOL_SOCKET "), unfiltered.outcomes("SOL_SOCKET ")
    assert list(attempts) == [f"SOL_SOCKET {option}" for option in range(26)]
    assert attempts == control | {f"SOL_SOCKET {option}": "EPERM" for option in (7, 8, 13)}
    assert control["SOL_SOCKET 7"] == control["SOL_SOCKET 8"] == control["SOL_SOCKET 13"] == "ok"


def test_open_files_cannot_be_locked_leased_or_watched(ours: Answers, unfiltered: Answers) -> None:
    attempts = ours.outcomes("fcntl ")
    allowed = {f"fcntl {command}" for command in (*range(12), 1030, 1031, 1032)}
    assert {name for name, outcome in attempts.items() if outcome == "EPERM"} == set(attempts) - allowed
    assert "EPERM" not in unfiltered.outcomes("fcntl ").values()


def test_every_limit_can_be_set_but_that_of_core_files(ours: Answers) -> None:
    attempts = ours.outcomes("limit ")
    assert attempts.pop("limit 4") == attempts.pop("limit 4 high") == "EPERM"
    assert len(attempts) == 16
    assert set(attempts.values()) == {"ok"}


def test_mknod_makes_fifos_and_nothing_else(ours: Answers) -> None:
    attempts = ours.outcomes("mknod ")
    assert attempts.pop("mknod fifo") == "ok"
    assert set(attempts.values()) == {"EPERM"}


def test_the_other_doors_of_an_x86_kernel_are_closed(ours: Answers) -> None:
    attempts = ours.outcomes("machine ")
    assert bool(attempts) == (ours.machine == "x86_64"), "aarch64 has no such instruction"
    assert attempts.pop("machine syscall", "ok") == "ok"
    assert set(attempts.values()) <= {"SIGSYS", "ENOSYS"}


# --- What honest programs notice ------------------------------------------------------------------------------------


def test_the_supervisor_can_step_down_and_kill(ours: Answers) -> None:
    sets = dict(ours.steps)
    assert sets.pop("killed") == -9
    assert {name: int(value, 16) for name, value in sets.items()} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0
    )


def lines(output: str) -> list[str]:
    """The lines sorted, as concurrent parts of a program may finish in any order; node:test's times taken out."""
    return sorted(re.sub(r"(duration_ms:? )[\d.]+", r"\1TIME", output).splitlines())


@pytest.mark.parametrize("title", list(programs()))
def test_an_honest_program_behaves_as_without_a_filter(title: str, ours: Answers, unfiltered: Answers) -> None:
    plain, filtered = unfiltered.programs[title], ours.programs[title]
    assert plain["exit_code"] == EXIT_CODES.get(title, 0), plain
    assert plain["stdout"] or plain["exit_code"], "a program must say something"
    assert filtered["exit_code"] == plain["exit_code"], filtered
    assert lines(filtered["stdout"]) == lines(plain["stdout"]), filtered
