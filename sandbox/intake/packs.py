"""In which pack's image a program runs: the one it asks for, the one whose modules it imports, or its language's own.

Pure. Of an archive the beginning of the entry is looked at, under a tight budget.
"""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace

from sandbox.errors import EngineError, InvalidRequest, PackMissing
from sandbox.intake.archive import ZIPFILE_PROBLEMS
from sandbox.intake.limits import limits_in
from sandbox.languages import LANGUAGES
from sandbox.languages.language import Language
from sandbox.models import Limits, RunRequest, RunResult, Status
from sandbox.packs import add_with, imports_of

MISSING_MODULE = re.compile(r"ModuleNotFoundError: No module named '(\w++)([.\w]*+)'")
"""Begins the last line of an error: the module, and what of it. A program may write megabytes of it: nothing that was
matched is given back (`++`), or it would take the square of their number."""

SOURCE_BYTES = 64 << 10
"""How much of a program is looked at."""


def with_pack(request: RunRequest, is_ready: Callable[[str], bool], usual: Limits) -> RunRequest:
    """The request with the pack it runs in (empty: the image that is always there), and all its limits.

    :raises InvalidRequest: its language is not in the pack that was asked for.
    :raises PackMissing: the pack was not added to this server.
    """
    language = LANGUAGES[request.language]
    check_pack(request.pack, language)
    pack = request.pack or _found(request, language, is_ready)
    if not is_ready(pack):
        raise PackMissing(
            f"{language.title} needs the pack `{pack}`, which is not on this server. "
            f"Its operator can add it: `{add_with(pack)}`."
        )
    own = language.in_pack(pack)
    artifacts = tuple(dict.fromkeys((*request.artifacts, *own.artifacts)))
    return replace(request, pack=pack, limits=limits_in(own, request.limits, usual), artifacts=artifacts)


def check_pack(pack: str, language: Language) -> None:
    """:raises InvalidRequest: the language is not in the pack that was asked for."""
    if pack and pack not in language.packs:
        raise InvalidRequest(f"{language.title} is not in a pack called {pack[:40]!r}.", code="wrong_pack")


def with_hint(result: RunResult, ready: Callable[[], frozenset[str]]) -> RunResult:
    """The result with a sentence more at the end of its error, if that is a module of a pack that it did not run in.

    Only then `ready` is asked which packs there are.
    """
    error = result.error.rstrip()
    missing = MISSING_MODULE.match(error.rpartition("\n")[2]) if result.status is Status.ERROR else None
    for pack in LANGUAGES[result.language].packs if missing else ():
        if missing and missing[1] in imports_of(pack):
            hint = _hint(missing, pack, is_ready=pack in ready())
            return replace(result, error=f"{error}\n{hint}") if hint else result
    return result


def _hint(missing: re.Match[str], pack: str, *, is_ready: bool) -> str:
    """How the program gets the module; nothing when it had the pack."""
    module, part = missing.groups()
    if not is_ready:
        return f"{module} is in the pack `{pack}`. The operator of this server can add it: `{add_with(pack)}`."
    if part:
        return ""  # there is no such thing in it
    return (
        f"{module} is in the pack `{pack}`, which a program gets when the file that it starts with imports it: "
        f"write `import {module}` there, too."
    )


def _found(request: RunRequest, language: Language, is_ready: Callable[[str], bool]) -> str:
    editions = [edition for edition in language.editions if _is_known_ready(edition.pack, is_ready)]
    if not editions:
        return language.pack
    source, beside = _source(request), _beside(request)
    return next((edition.pack for edition in editions if edition.is_wanted_by(source, beside)), language.pack)


def _is_known_ready(pack: str, is_ready: Callable[[str], bool]) -> bool:
    """False also when the engine does not say: whether the run can do without it is for the run to find out."""
    with contextlib.suppress(EngineError):
        return is_ready(pack)
    return False


def _beside(request: RunRequest) -> frozenset[str]:
    """The paths of a project's files, from the folder that its entry is in."""
    folder = request.entry[: request.entry.rfind("/") + 1]
    names = request.archive.names if request.archive else ()
    return frozenset(name.removeprefix(folder) for name in names if name.startswith(folder))


def _source(request: RunRequest) -> bytes:
    """The first 64 KiB of the program, in whole lines; nothing of one that cannot be read."""
    if request.archive is None:
        source = request.code[: SOURCE_BYTES + 1].encode()
    else:
        try:
            with zipfile.ZipFile(io.BytesIO(request.archive.data)) as opened, opened.open(request.entry) as file:
                source = file.read(SOURCE_BYTES + 1)
        except ZIPFILE_PROBLEMS:
            return b""
    return source if len(source) <= SOURCE_BYTES else source[:SOURCE_BYTES].rpartition(b"\n")[0]
