"""Every setting once: name, default, bounds, unit, meaning. The only reader of the environment.

A setting `timeout_seconds` is the environment variable `SCE_TIMEOUT_SECONDS`, or a line of that name in a
`.env` file in the working directory. A bad value stops the start and names the setting.
"""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

from dotenv import dotenv_values
from pydantic import Field, IPvAnyNetwork, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sandbox.host_names import check_hosts, check_origins
from sandbox.languages import LANGUAGES
from sandbox.models import Limits
from sandbox.packs import PACKS
from sandbox.pool_sizes import PoolSizes, sizes_in

PREFIX = "SCE_"
ENV_FILE = ".env"
NO_SETTINGS = ("KEY",)
"""What those who call a server have in their environment, maybe beside the server's settings."""

MIN_SECRET_CHARACTERS = 32

NameList = Annotated[tuple[str, ...], NoDecode]
"""Comma-separated in the environment."""


class SettingsError(Exception):
    """A setting is missing, unknown or out of range; the message names each one."""


def _row(default: Any, help_text: str, *, unit: str = "", **bounds: Any) -> Any:
    if isinstance(default, float) or "gt" in bounds:
        bounds["allow_inf_nan"] = False
    return Field(default, description=help_text, json_schema_extra={"unit": unit}, **bounds)


class Settings(BaseSettings):
    """The rows, in the order the README's table shows them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, env_file_encoding="utf-8", frozen=True, extra="ignore"
    )

    # The server.
    host: str = _row("127.0.0.1", "Address to listen on. Anything but loopback lets other machines run code here.")
    port: int = _row(5000, "Port to listen on.", ge=0, le=65535)
    allowed_hosts: NameList = _row(
        (), "Host names, beside localhost, that requests may be addressed to. Comma-separated."
    )
    allowed_origins: NameList = _row(
        (), "Other origins (https://docs.example) whose pages may call the API. Comma-separated."
    )
    require_key: bool = _row(False, "Whether only those who have a key may use this server.")
    cookie_secret: str = _row(
        "",
        "What cookies are signed with, the same for servers that share a database. Empty: made in the data folder.",
        repr=False,
    )
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = _row(
        (),
        "Proxies whose X-Forwarded-For, -Proto and -Host count: addresses or networks (10.0.0.0/8). Comma-separated.",
    )
    drain_seconds: float = _row(30, "How long SIGTERM waits for running programs.", unit="seconds", ge=0, le=3600)
    data_dir: Path = _row(Path("data"), "Folder for the database, the cookies' secret and the lock of this instance.")
    database_url: str = _row("", "SQLAlchemy URL of the history and the keys. Empty: SQLite in the data folder.")
    history_limit: int = _row(1000, "Runs kept in the history; 0 keeps none.", unit="runs", ge=0, le=1_000_000)
    history_bytes: int = _row(
        256 << 20, "Bytes that the runs in the history may take; the oldest go first.", unit="bytes", ge=1 << 20
    )
    log_level: str = _row("INFO", "DEBUG, INFO, WARNING or ERROR.", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_json: bool = _row(False, "Write the log as JSON lines.")

    # The engine.
    docker: str = _row("docker", "Docker-compatible client to call: docker, podman, or a path.", min_length=1)
    image: str = _row("", "Sandbox image. Empty: the one built from sandbox/guest.")
    packs: NameList = _row(
        (), f"More languages and libraries, built by `make` when they are missing: {', '.join(PACKS)}. Comma-separated."
    )
    seccomp: str = _row("", "Seccomp profile: a path, or `default` for the engine's own. Empty: ours.")
    runtime: str = _row("", "OCI runtime for the containers, such as runsc. Empty: the engine's default.")

    # One run.
    timeout_seconds: float = _row(10, "Wall time of a program.", unit="seconds", gt=0, le=3600)
    memory_mb: int = _row(128, "Memory of a container, files included; no swap.", unit="MiB", ge=32, le=65536)
    cpus: float = _row(1.0, "CPUs of a container.", unit="CPUs", ge=0.1, le=64)
    pids: int = _row(64, "Processes and threads of a container.", unit="tasks", ge=16, le=4096)
    shm_mb: int = _row(
        16, "Size of /dev/shm, at most half of the memory less 24 MiB; counts as memory.", unit="MiB", ge=1, le=4096
    )
    output_bytes: int = _row(
        1 << 20, "Output kept of each stream, as head and tail.", unit="bytes", ge=1024, le=1 << 26
    )
    output_stop_bytes: int = _row(
        64 << 20, "Output after which a program is stopped.", unit="bytes", ge=1024, le=1 << 40
    )

    # What a request may ask for instead.
    max_timeout_seconds: float = _row(60, "Most wall time a request may ask for.", unit="seconds", ge=1, le=3600)
    max_memory_mb: int = _row(512, "Most memory a request may ask for.", unit="MiB", ge=32, le=65536)
    max_output_bytes: int = _row(4 << 20, "Most output a request may have kept.", unit="bytes", ge=1024, le=1 << 26)
    max_processes: int = _row(256, "Most processes and threads a request may ask for.", unit="tasks", ge=16, le=4096)

    # What is accepted.
    max_code_characters: int = _row(5000, "Length of a single-file program.", unit="characters", ge=1, le=1_000_000)
    max_batch_tasks: int = _row(
        5, "Tasks in one batch; at most those that may run and wait at once.", unit="tasks", ge=1, le=100
    )
    max_upload_bytes: int = _row(10 << 20, "Size of an uploaded archive.", unit="bytes", ge=1024, le=1 << 30)
    max_held_bytes: int = _row(
        128 << 20, "Archives of running and waiting requests kept in memory together.", unit="bytes", ge=0
    )
    max_bodies_bytes: int = _row(
        128 << 20,
        "Request bodies kept together until answered, three quarters for one address; 64 KiB of each are free.",
        unit="bytes",
        ge=0,
    )
    max_address_connections: int = _row(
        0, "Connections from one address; 0 allows three quarters of all.", unit="connections", ge=0
    )
    max_archive_members: int = _row(1000, "Entries in an archive.", unit="entries", ge=1, le=100_000)
    max_archive_bytes: int = _row(32 << 20, "Size of an archive unpacked.", unit="bytes", ge=1024, le=1 << 32)
    artifact_count: int = _row(20, "Files that one run may give back.", unit="files", ge=0, le=1000)
    artifact_bytes: int = _row(16 << 20, "Size of those together.", unit="bytes", ge=0, le=64 << 20)
    artifact_store_bytes: int = _row(
        512 << 20, "Bytes that such files of past runs may take on disk; the oldest go first.", unit="bytes", ge=0
    )
    max_stdin_bytes: int = _row(64 << 10, "Standard input given to a program.", unit="bytes", ge=0, le=1 << 24)
    max_args: int = _row(32, "Command-line arguments of a program.", unit="arguments", ge=0, le=1000)
    max_arg_characters: int = _row(1000, "Length of one argument.", unit="characters", ge=1, le=100_000)

    # Containers that wait, and who has to wait.
    pool: PoolSizes = _row(
        {language.name: language.pool for language in LANGUAGES.values() if language.pool},
        "Containers kept waiting for each language. The programs of one that is not named start cold.",
        unit="containers",
    )
    pool_max_age_seconds: float = _row(600, "Age at which a waiting container is replaced.", unit="seconds", gt=0)
    pool_visitors: int = _row(
        30,
        "More that wait, for as many who have just opened the page, in its first language.",
        unit="containers",
        ge=0,
        le=1000,
    )
    keep_containers: bool = _row(
        True, "Keep used containers for the next runs of the same owner; without, every run gets a fresh one."
    )
    keep_runs: int = _row(100, "Runs after which a kept container is replaced.", unit="runs", ge=1, le=100_000)
    keep_idle_seconds: float = _row(60, "How long a kept container waits for its owner.", unit="seconds", ge=0, le=3600)
    keep_age_seconds: float = _row(600, "Age at which a kept container is replaced.", unit="seconds", gt=0)
    containers_mb: int = _row(
        0, "Memory for all containers, waiting, kept and running; 0 is half of the machine's.", unit="MiB", ge=0
    )
    max_concurrent_runs: int = _row(
        0, "Programs running at once; 0 decides by CPUs and memory.", unit="runs", ge=0, le=256
    )
    owner_runs_at_once: int = _row(
        64, "Programs of one owner that run or wait; 0 is no bound.", unit="programs", ge=0, le=1_000_000
    )
    owner_cpu_seconds_per_hour: float = _row(
        3600, "CPU time that one owner may use; 0 is no bound.", unit="seconds an hour", ge=0, le=10_000_000
    )
    address_owners: int = _row(
        40, "Owners' worth of both that an address may have in all, keys aside; 0 is no bound.", unit="owners", ge=0
    )
    queue_size: int = _row(64, "Programs that may wait for their turn.", unit="programs", ge=0, le=1000)
    queue_seconds: float = _row(
        15,
        "How long a request may wait until its turn, or the first turn of its batch, comes.",
        unit="seconds",
        ge=0,
        le=3600,
    )

    @field_validator("allowed_hosts", "allowed_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("packs", mode="before")
    @classmethod
    def _split_packs(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("packs")
    @classmethod
    def _check_packs(cls, packs: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted({*packs} - {*PACKS}):
            raise ValueError(f"{', '.join(unknown)} is no pack. Known: {', '.join(PACKS)}")
        return packs

    @field_validator("pool", mode="before")
    @classmethod
    def _split_pool(cls, value: object) -> object:
        return sizes_in(value)

    @field_validator("cookie_secret")
    @classmethod
    def _check_secret(cls, secret: str) -> str:
        if 0 < len(secret) < MIN_SECRET_CHARACTERS:
            raise ValueError(f"a secret has at least {MIN_SECRET_CHARACTERS} characters (openssl rand -hex 32)")
        return secret

    _check_hosts = field_validator("allowed_hosts")(check_hosts)
    _check_origins = field_validator("allowed_origins")(check_origins)

    @field_validator("seccomp")
    @classmethod
    def _check_seccomp(cls, profile: str) -> str:
        if profile not in ("", "default") and not Path(profile).is_file():
            raise ValueError("there is no such file")
        return profile

    @property
    def limits(self) -> Limits:
        """What one run may use."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})

    @property
    def most(self) -> Limits:
        """What a request may ask for: no less than it gets without asking, and no more than can ever be had."""
        usual = self.limits
        return replace(
            usual,
            timeout_seconds=max(usual.timeout_seconds, self.max_timeout_seconds),
            memory_mb=max(usual.memory_mb, min(self.max_memory_mb, self.effective_containers_mb())),
            output_bytes=max(usual.output_bytes, self.max_output_bytes),
            pids=max(usual.pids, self.max_processes),
        )

    def effective_concurrent_runs(self) -> int:
        """The number of programs that run at once: the setting, or two for each CPU that one may use.

        Never fewer than a batch of five, and never more than the memory for containers would hold.
        """
        if self.max_concurrent_runs:
            return self.max_concurrent_runs
        by_cpu = max(5, round((os.cpu_count() or 1) * 2 / self.cpus))
        return max(1, min(by_cpu, self.effective_containers_mb() // self.memory_mb, 64))

    def spare_places(self) -> int:
        """Places beside those, for owners who run nothing: one, unless the number of places was set."""
        return 0 if self.max_concurrent_runs else 1

    def spare_mb(self) -> int:
        """Memory that each of them needs: what a program that asks for none gets, in any language of these packs."""
        packs = {"", *self.packs}
        own = (each.in_pack(pack).memory_mb for each in LANGUAGES.values() for pack in packs & {*each.packs})
        return max(self.memory_mb, *own)

    def effective_containers_mb(self) -> int:
        """Memory for all containers, in MiB: the setting, or half of the machine's."""
        return self.containers_mb or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 21

    def effective_batch_tasks(self) -> int:
        """The number of tasks in one batch: the setting, but never more than would ever be admitted."""
        return min(self.max_batch_tasks, self.effective_concurrent_runs() + self.queue_size)


def load(**overrides: Any) -> Settings:
    """The settings from the environment and `.env`, with `overrides` on top.

    :raises SettingsError: naming every setting that is wrong, and every `SCE_` variable that is none.
    """
    unknown = [
        name
        for name in (*os.environ, *dotenv_values(ENV_FILE, encoding="utf-8"))
        if name.upper().startswith(PREFIX) and not _is_known(name.upper().removeprefix(PREFIX))
    ]
    if unknown:
        raise SettingsError(f"Unknown setting {', '.join(sorted(unknown))}. The README lists the known ones.")
    try:
        return Settings(**overrides)
    except ValidationError as problem:
        raise SettingsError("\n".join(map(_line, problem.errors(include_url=False)))) from problem


def _is_known(name: str) -> bool:
    return name in NO_SETTINGS or name.lower() in Settings.model_fields


def _line(error: ErrorDetails) -> str:
    """A finding without the value, which may be a secret."""
    name = ".".join(str(part) for part in error["loc"]).upper()
    return f"{PREFIX}{name}: {error['msg'].removeprefix('Value error, ')}"
