"""How often the engine is asked whether it is ready."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from executor import Executor
from sandbox import readiness
from sandbox.settings import Settings


def test_the_engine_is_asked_once_a_second_however_many_ask_us(
    settings: Settings, real_engine: None, tmp_path: Path
) -> None:
    log, client = tmp_path / "log", tmp_path / "client"
    client.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {shutil.which(settings.docker)} "$@"\n')
    client.chmod(0o755)
    with Executor(settings.model_copy(update={"docker": str(client)})) as executor:
        log.write_text("")
        started_at = time.monotonic()
        for _ in range(50):
            executor.check_ready()
        allowed = 1 + (time.monotonic() - started_at) // readiness.REMEMBERED_SECONDS
    asked = [line for line in log.read_text().splitlines() if line.startswith("image inspect")]
    assert 1 <= len(asked) <= allowed
