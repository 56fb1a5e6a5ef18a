"""What proxies tell of the requests they pass on: who asked, by which scheme, for which host.

`X-Forwarded-For`, `-Proto` and `-Host` count when the connection comes from a proxy that `SCE_TRUSTED_PROXIES` names.
Anybody can write these headers, and proxies add to them at the right; so they are read from there, for as long as
the next address is a trusted proxy as well. What makes no sense is as good as absent.

(werkzeug's ProxyFix and waitress count proxies instead of naming them, and believe whoever connects without one;
waitress can name one address, and answers what it cannot read with an error of its own.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask

from sandbox.addresses import parse
from sandbox.settings import Settings

UNKNOWN = "unknown"
"""The address of a caller that has none, such as one at a Unix socket. Nobody else is called so."""

# An address with a port: 192.0.2.1:4711, [2001:db8::1] or [2001:db8::1]:4711.
_WITH_PORT = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[0-9.]+))(?::[0-9]+)?")


class TrustedProxies:
    """WSGI middleware that lets a request look as it did when it reached the outermost trusted proxy."""

    def __init__(self, app: WSGIApplication, trusted: Iterable[IPv4Network | IPv6Network]) -> None:
        self._app = app
        self._trusted = [*trusted]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = environ.get("REMOTE_ADDR") or UNKNOWN
        if self._is_trusted(parse(environ["REMOTE_ADDR"])):
            self._believe(environ)
        return self._app(environ, start_response)

    def _is_trusted(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)

    def _believe(self, environ: WSGIEnvironment) -> None:
        caller, proxies = self._walk(environ)
        environ["REMOTE_ADDR"] = caller
        scheme = _told("PROTO", proxies, environ).lower()
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme
        if host := _told("HOST", proxies, environ):
            environ["HTTP_HOST"] = host

    def _walk(self, environ: WSGIEnvironment) -> tuple[str, int]:
        """The address of the first in the chain, from here, that is no trusted proxy, and how many are before it.

        If there is none, or its address makes no sense: of the last that is one.
        """
        caller, proxies = environ["REMOTE_ADDR"], 1
        for value in reversed(_values("FOR", environ)):
            address = _address_of(value)
            if address is None:
                break
            caller = str(address)
            if not self._is_trusted(address):
                break
            proxies += 1
        return caller, proxies


def _told(what: str, proxies: int, environ: WSGIEnvironment) -> str:
    """What the outermost of the trusted proxies has written, whether each adds its own or only one does."""
    return _values(what, environ)[-proxies:][0]


def _values(what: str, environ: WSGIEnvironment) -> list[str]:
    return [value.strip() for value in environ.get(f"HTTP_X_FORWARDED_{what}", "").split(",")]


def _address_of(value: str) -> IPv4Address | IPv6Address | None:
    match = _WITH_PORT.fullmatch(value)
    return parse((match["six"] or match["four"]) if match else value)


def install(app: Flask, settings: Settings) -> None:
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
