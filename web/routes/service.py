"""The page, and what this server is and can do."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import asdict, dataclass, fields
from typing import Any

from flask import Response, render_template, request

from executor import Executor
from sandbox.errors import EngineError, SandboxError
from sandbox.intake.limits import limits_in
from sandbox.languages import LANGUAGES
from sandbox.languages.language import Language
from sandbox.models import AS_USUAL, Limits
from sandbox.packs import PACKS, add_with, imports_of
from sandbox.settings import Settings
from sandbox.store.artifacts import INLINE_BYTES
from web import openapi
from web.callers import caller_of, current_callers
from web.route import Routes

Json = dict[str, Any]


@dataclass(frozen=True)
class Health:
    """How the server is, in a word."""

    status: str


@dataclass(frozen=True)
class KnownLanguage:
    """What a program may be written in."""

    name: str
    title: str
    version: str
    """As its interpreter says; empty when that is not known, or it is not there."""
    aliases: tuple[str, ...]
    file_name: str
    extensions: tuple[str, ...]
    limits: Limits
    pack: str
    """What has to be added to the server for it; empty: nothing."""
    ready: bool
    """Whether programs can be run in it here."""

    @classmethod
    def of(cls, language: Language, settings: Settings, executor: Executor) -> KnownLanguage:
        return cls(
            **{field.name: getattr(language, field.name) for field in fields(cls) if hasattr(language, field.name)},
            version=executor.images.versions().get(language.name, ""),
            limits=limits_in(language, AS_USUAL, settings.limits),
            ready=not language.pack or language.pack in executor.images.ready(),
        )


@dataclass(frozen=True)
class KnownLanguages:
    """All of them, in the order in which the page offers them."""

    languages: list[KnownLanguage]


def install(routes: Routes, settings: Settings, executor: Executor) -> None:
    description = functools.cache(lambda: openapi.describe(routes, settings, current_callers().cookies.name))
    all_config = page_config(settings)

    def config() -> Json:
        ready = executor.images.ready()
        languages = [_with_readiness(language, ready) for language in all_config["languages"]]
        return all_config | {"languages": languages, "missing_modules": _missing_modules(ready)}

    @routes.app.get("/")
    def index() -> Response:
        _welcome(executor)
        page = Response(render_template("index.html", config=config()), mimetype="text/html")
        # To be asked for again each time; with no-store, the browser's Back button could not restore it.
        page.headers["Cache-Control"] = "no-cache"
        return page

    @routes.add("GET", "/config", answers=Json, needs_caller=False)
    def show_config() -> Json:
        """Languages and limits of this server."""
        return config()

    @routes.add("GET", "/languages", answers=KnownLanguages, needs_caller=False)
    def show_languages() -> KnownLanguages:
        """What programs may be written in."""
        return KnownLanguages([KnownLanguage.of(language, settings, executor) for language in LANGUAGES.values()])

    @routes.add("GET", "/openapi.json", answers=Json, needs_caller=False)
    def show_openapi() -> Json:
        """This document."""
        return description()

    @routes.add("GET", "/healthz", answers=Health, needs_caller=False)
    def show_health() -> Health:
        """Whether the server answers."""
        return Health("ok")

    @routes.add("GET", "/readyz", answers=Health, errors=(EngineError,), needs_caller=False)
    def show_readiness() -> Health:
        """Whether programs can be run."""
        executor.check_ready()
        return Health("ready")


def _welcome(executor: Executor) -> None:
    """Give a browser that is nobody yet a cookie. A valid one is never replaced; a page can be read without any."""
    callers = current_callers()
    with contextlib.suppress(SandboxError):
        if not callers.key_required and not caller_of(request).owner:
            callers.welcome()
        executor.expect(caller_of(request))


def _with_readiness(language: Json, ready: frozenset[str]) -> Json:
    pack = language["pack"]
    is_ready = not pack or pack in ready
    return language | {"ready": is_ready, "add_with": None if is_ready else add_with(pack)}


def _missing_modules(ready: frozenset[str]) -> dict[str, str]:
    """The modules of packs that are not here, and the command that adds each."""
    missing = [pack for pack in PACKS if pack not in ready]
    return {module: add_with(pack) for pack in missing for module in sorted(imports_of(pack))}


def page_config(settings: Settings) -> Json:
    """What `GET /config` answers, but for which packs are there now."""
    return {
        "languages": [
            {
                "name": language.name,
                "title": language.title,
                "aliases": list(language.aliases),
                "file_name": language.file_name,
                "extensions": list(language.extensions),
                "entry_names": list(language.entry_names),
                "pack": language.pack,
                "group": language.group or language.name,
                "page": asdict(language.page),
            }
            for language in LANGUAGES.values()
        ],
        "limits": {
            "timeout_seconds": settings.timeout_seconds,
            "memory_mb": settings.memory_mb,
            "max_code_characters": settings.max_code_characters,
            "max_batch_tasks": settings.effective_batch_tasks(),
            "max_upload_bytes": settings.max_upload_bytes,
            "max_archive_members": settings.max_archive_members,
            "max_archive_bytes": settings.max_archive_bytes,
            "max_stdin_bytes": settings.max_stdin_bytes,
            "max_args": settings.max_args,
            "max_arg_characters": settings.max_arg_characters,
            "output_bytes": settings.output_bytes,
            "processes": settings.pids,
            "max_timeout_seconds": settings.most.timeout_seconds,
            "max_memory_mb": settings.most.memory_mb,
            "max_output_bytes": settings.most.output_bytes,
            "max_processes": settings.most.pids,
        },
        "artifacts": {
            "count": settings.artifact_count,
            "bytes": settings.artifact_bytes,
            "inline_bytes": INLINE_BYTES,
        },
    }
