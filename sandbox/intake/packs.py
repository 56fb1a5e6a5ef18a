"""In which pack's image a program runs: the one it asks for, or its language's own. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sandbox.errors import InvalidRequest, PackMissing
from sandbox.languages import LANGUAGES
from sandbox.languages.language import Language
from sandbox.models import RunRequest
from sandbox.packs import add_with


def with_pack(request: RunRequest, is_ready: Callable[[str], bool]) -> RunRequest:
    """The request with the pack it runs in; empty is the image that is always there.

    :raises InvalidRequest: its language is not in the pack that was asked for.
    :raises PackMissing: the pack was not added to this server.
    """
    language = LANGUAGES[request.language]
    pack = _asked_for(request.pack, language) if request.pack else language.pack
    if not is_ready(pack):
        raise PackMissing(f"{language.title} is not on this server. Its operator can add it: `{add_with(pack)}`.")
    return replace(request, pack=pack)


def _asked_for(pack: str, language: Language) -> str:
    if pack != language.pack:
        raise InvalidRequest(f"{language.title} is not in a pack called {pack[:40]!r}.", code="wrong_pack")
    return pack
