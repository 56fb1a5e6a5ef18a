"""The page, and what this server is and can do."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import asdict, dataclass
from typing import Any

from flask import Response, render_template, request

from executor import Executor
from sandbox.errors import EngineError, SandboxError
from sandbox.languages import LANGUAGES
from sandbox.settings import Settings
from web import openapi
from web.callers import caller_of, current_callers
from web.route import Routes

Json = dict[str, Any]


@dataclass(frozen=True)
class Health:
    """How the server is, in a word."""

    status: str


def install(routes: Routes, settings: Settings, executor: Executor) -> None:
    description = functools.cache(lambda: openapi.describe(routes, settings, current_callers().cookies.name))
    config = page_config(settings)

    @routes.app.get("/")
    def index() -> Response:
        _welcome(executor)
        page = Response(render_template("index.html", config=config), mimetype="text/html")
        # To be asked for again each time; with no-store, the browser's Back button could not restore it.
        page.headers["Cache-Control"] = "no-cache"
        return page

    @routes.add("GET", "/config", answers=Json, needs_caller=False)
    def show_config() -> Json:
        """Languages and limits of this server."""
        return config

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


def page_config(settings: Settings) -> Json:
    """What `GET /config` answers."""
    return {
        "languages": [
            {
                "name": language.name,
                "title": language.title,
                "aliases": list(language.aliases),
                "file_name": language.file_name,
                "extensions": list(language.extensions),
                "entry_names": list(language.entry_names),
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
            "max_stdin_bytes": settings.max_stdin_bytes,
            "max_args": settings.max_args,
            "max_arg_characters": settings.max_arg_characters,
            "output_bytes": settings.output_bytes,
        },
    }
