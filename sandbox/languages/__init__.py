"""The languages, a file each, and nothing about a language anywhere else.

Adding one means adding a file here that defines `LANGUAGE`, and its interpreter to the image (CONTRIBUTING.md).
Pure: no process, no HTTP, no settings.
"""

from __future__ import annotations

import importlib
import pkgutil

from sandbox.errors import InvalidRequest
from sandbox.languages.language import Language

DEFAULT = "python"
"""Of a request that names none."""


def _found() -> list[Language]:
    """Those of the files beside this one, in the order in which people are offered them."""
    modules = [importlib.import_module(f"{__name__}.{file.name}") for file in pkgutil.iter_modules(__path__)]
    languages: list[Language] = [module.LANGUAGE for module in modules if hasattr(module, "LANGUAGE")]
    return sorted(languages, key=lambda language: (language.name != DEFAULT, -language.pool, language.name))


LANGUAGES = {language.name: language for language in _found()}

_BY_NAME = {name: language for language in LANGUAGES.values() for name in (language.name, *language.aliases)}


def resolve(name: str) -> Language:
    """The language called `name`, in any case, by name or alias.

    :raises InvalidRequest: with code `unsupported_language`, listing the known names.
    """
    language = _BY_NAME.get(name.strip().lower())
    if language is None:
        known = ", ".join(sorted(_BY_NAME))
        raise InvalidRequest(f"Unsupported language {name[:40]!r}. Known: {known}.", code="unsupported_language")
    return language
