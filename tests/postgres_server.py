"""A PostgreSQL server that the tests start, stop and make hang. It must not run as root.

A folder in /tmp, a unix socket in there, and no port.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts import postgres

SETTINGS = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "listen_addresses=", "max_connections=60")


class PostgresServer:
    """One of the test's own, in a folder that is its socket's, too."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.folder = folder
        self._programs = programs
        self._user = user_of(folder)

    def make(self) -> None:
        self._run("initdb", "--no-sync", "--auth=trust", "--username=tests", "--encoding=UTF8", "--locale=C.UTF-8")

    def start(self) -> None:
        options = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={self.folder}"))
        self._run("pg_ctl", "--wait", "--log", str(self.folder / "log"), "--options", options, "start")

    def stop(self) -> None:
        """As a crash does: every connection is cut."""
        self._run("pg_ctl", "--wait", "--mode", "immediate", "stop")

    def hang(self) -> None:
        """Stop all of its processes; connections stay open, and new ones are not refused."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    @property
    def is_running(self) -> bool:
        return (self.folder / "data" / "postmaster.pid").exists()

    def _signal(self, number: int) -> None:
        """To the first process, which starts the others, before those."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(first, number)
        for child in Path(f"/proc/{first}/task/{first}/children").read_text().split():
            os.kill(int(child), number)

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), "-D", str(self.folder / "data"), *words]
        with (self.folder / "output").open("w+") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd=self.folder, timeout=100, **self._user)
        assert done.returncode == 0, (self.folder / "output").read_text()


@contextmanager
def postgresql_server() -> Iterator[PostgresServer]:
    """A running server. Fails the test when its programs are not there."""
    programs = postgres.find()
    if programs is None:
        pytest.fail("These tests need PostgreSQL: `make postgres`.", pytrace=False)
    folder = Path(tempfile.mkdtemp(prefix="sce-postgresql-"))
    server = PostgresServer(programs, folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        if server.is_running:
            server.go_on()
            server.stop()
        shutil.rmtree(folder)


def user_of(folder: Path) -> dict[str, Any]:
    """How to start processes in the folder as somebody who is not root: as Debian's user for PostgreSQL."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
