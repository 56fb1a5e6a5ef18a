"""Names of hosts and origins, as settings have them."""

from __future__ import annotations

import re

HOST_NAME = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9._-]+", re.IGNORECASE)
ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://(?:{HOST_NAME.pattern})(?::[0-9]{{1,5}})?/?", re.IGNORECASE)


def check_hosts(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names.

    :raises ValueError: with a sentence that says which is none.
    """
    for name in names:
        if not HOST_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no host name (run.example or [::1], without port or wildcard)")
    return names


def check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """The origins.

    :raises ValueError: with a sentence that says which is none.
    """
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin (https://docs.example or http://localhost:8080)")
    return origins
