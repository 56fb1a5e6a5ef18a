"""Programs started by hand, in a container of the sandbox's image with the flags of a run; and what came of them."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from executor import Executor
from sandbox.engine.flags import container_name, options_for, run_words
from sandbox.engine.instance import NUMBERS
from sandbox.languages import LANGUAGES
from sandbox.models import RunRequest, RunResult
from sandbox.packs import PACKS
from tests.conftest import docker, plain

PROGRAMS = Path(__file__).resolve().parent / "programs"


def read_programs(file: Path) -> dict[str, str]:
    """Title -> source, from a file of programs."""
    text = file.read_text(encoding="utf-8")
    parts = re.split(r"^#: (.+)\n", text, flags=re.MULTILINE)[1:]
    programs = dict(zip(parts[::2], parts[1::2], strict=True))
    assert len(programs) * 2 == len(parts), "two programs have the same title"
    return programs


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """What can be seen of a program from outside."""

    output: str
    error: str
    exit_code: int

    @classmethod
    def of(cls, result: RunResult) -> Behaviour:
        return cls(plain(result.output), plain(result.error), result.exit_code)


class PlainRunner:
    """The container in which programs are started by hand."""

    def __init__(self, executor: Executor, pack: str = "") -> None:
        settings = executor.settings
        options = dataclasses.replace(options_for(settings, podman=False), image=executor.images.name_of(pack))
        # No server gives it to a container, nor another process of these tests.
        number = NUMBERS + (os.getpid() * 16 + ("", *PACKS).index(pack)) % NUMBERS
        self.name = container_name(number)
        app_mb = executor._supply.app_mb
        limits = dataclasses.replace(settings.limits, memory_mb=256 if pack else settings.memory_mb)
        words = run_words(options, limits, number=number, labels={}, app_mb=app_mb, exe_mb=16)
        at = words.index(options.image)
        words[at:] = ["--entrypoint", "python3", options.image, "-I", "-c", (PROGRAMS / "runner.py").read_text()]
        self._process = subprocess.Popen(
            [settings.docker, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, request: RunRequest, files: Mapping[str, bytes | str]) -> Behaviour:
        language = LANGUAGES[request.language]
        program = {
            "compiler": language.compiler and language.compiler.command_for(request.entry or language.file_name, ()),
            "command": language.command(request.entry or language.file_name, request.args, request.code),
            "environment": {
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "HOME": "/app",
                "LANG": "C.UTF-8",
                **dict(language.environment),
            },
            "files": {name: _base64(content) for name, content in files.items()},
            "stdin": _base64(request.stdin),
        }
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(program) + "\n")
        self._process.stdin.flush()
        output, error, exit_code = json.loads(self._process.stdout.readline())
        texts = [plain(base64.b64decode(stream).decode(errors="replace")) for stream in (output, error)]
        return Behaviour(texts[0], texts[1], exit_code if exit_code >= 0 else 128 - exit_code)

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)
        docker("rm", "--force", self.name, check=False)


def _base64(content: bytes | str) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()


def code_request(language: str, code: str, **fields: object) -> tuple[RunRequest, dict[str, bytes | str]]:
    return RunRequest(language, code, **fields), {LANGUAGES[language].file_name: code}  # type: ignore[arg-type]
