"""From a request to the order that the supervisor carries out. Pure."""

from __future__ import annotations

from dataclasses import replace

from sandbox.box.arrivals import NOTHING, Asked
from sandbox.box.protocol import Order, Step
from sandbox.languages import LANGUAGES
from sandbox.languages.language import Language
from sandbox.models import Limits, RunRequest


def order_of(request: RunRequest, *, artifacts: Asked = NOTHING, may_be_followed: bool = False) -> Order:
    """What has to be done to run a program, maybe in a container that is kept afterwards."""
    language = LANGUAGES[request.language].in_pack(request.pack)
    archive = request.archive
    entry = request.entry if archive else language.file_name
    may_use_waiting = not archive and not request.args and language.fits_waiting(request.code)
    names = archive.names if archive else (language.file_name,)
    program = Step(
        language.command(entry, request.args, request.code),
        language.variables(waiting=may_use_waiting),
        request.limits,
        folder=f"/app/{archive.folder}".rstrip("/") if archive else "/app",
    )
    return Order(
        steps=(*_compilation(language, entry, names, request.limits), program),
        names=names,
        payload=archive.data if archive else request.code.encode(),
        is_archive=archive is not None,
        stdin=request.stdin.encode(),
        may_use_waiting=may_use_waiting,
        may_be_followed=may_be_followed,
        artifacts=artifacts,
    )


def _compilation(language: Language, entry: str, names: tuple[str, ...], limits: Limits) -> tuple[Step, ...]:
    """The step that makes the program, of a language that has one."""
    compiler = language.compiler
    if compiler is None:
        return ()
    own = replace(limits, timeout_seconds=compiler.timeout_seconds, output_bytes=compiler.output_bytes)
    return (Step(compiler.command_for(entry, names), compiler.variables(), own),)
