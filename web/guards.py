"""Who may ask: the name a request is addressed to, and the page it comes from. And the headers of every answer.

A web page somewhere can make its reader's browser send requests to this server on localhost. Three doors:
a name that resolves to 127.0.0.1 (DNS rebinding) is stopped by the Host allow-list; forms, pictures and the like,
which need no permission of ours to be sent, by Origin and Sec-Fetch-Site; reading answers, by the absence of CORS
headers. Browsers send Sec-Fetch-Site only to https and localhost; elsewhere any page can send a GET.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from flask import Flask, Request, Response, request

from sandbox.errors import InvalidRequest
from sandbox.settings import Settings
from web.errors import ForeignOrigin

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)

SECURITY_HEADERS: tuple[tuple[str, str], ...] = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
PAGE = ("index", "static")
"""Endpoints of the page. Anybody may see it, and other pages may lead to it: it costs and tells next to nothing."""
API_METHODS = "GET, POST, PUT, DELETE"
PREFLIGHT_SECONDS = "600"

# A name or IPv4 address, or an IPv6 address in brackets, and perhaps a port (RFC 9110, section 7.2).
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\s:\[\]/@,]+)(?::[0-9]{1,5})?", re.IGNORECASE)


def known_hosts(settings: Settings) -> frozenset[str]:
    """The names that a request may be addressed to, in lower case."""
    names = {name.lower() for name in settings.allowed_hosts} | LOOPBACK_NAMES
    listening = _bracketed(settings.host.lower())
    if listening not in ("", "0.0.0.0", "[::]"):  # noqa: S104 - compared, not bound
        names.add(listening)
    return frozenset(names)


def _bracketed(host: str) -> str:
    """An IPv6 address as a Host header writes it."""
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host


def is_loopback_name(host: str) -> bool:
    """Whether a Host header names this machine as only itself can."""
    match = _HOST.fullmatch(host)
    return match is not None and match["name"].lower() in LOOPBACK_NAMES


def check_host(host: str, known: frozenset[str]) -> None:
    """Refuse a request that was addressed to a name which is not ours.

    :raises InvalidRequest: with code `bad_host`.
    """
    match = _HOST.fullmatch(host)
    if match is None or match["name"].lower() not in known:
        raise InvalidRequest(
            f"This server does not answer for the host {host[:100]!r}. SCE_ALLOWED_HOSTS can add it.", code="bad_host"
        )


def check_origin(request: Request, allowed: frozenset[str]) -> None:
    """Refuse a request that a page of another origin sent, but for the page itself and preflights.

    Requests without these headers come from programs, not from pages, and pass.

    :raises ForeignOrigin: always with the same words, whatever the header said.
    """
    if request.method == "OPTIONS" or (request.method in ("GET", "HEAD") and request.endpoint in PAGE):
        return
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() in allowed:
        return
    from_elsewhere = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    if from_elsewhere or not _is_own(request, origin):
        raise ForeignOrigin("Pages of other origins may not use this server. SCE_ALLOWED_ORIGINS can allow one.")


def is_another_pages(request: Request) -> bool:
    """Whether a page of another origin sent this, as it may if that is allowed.

    Browsers send it our cookie from another port of the same host, or another name of the same site: that page could
    act as whoever reads it, and sign him out. (`same-origin` no page can say of itself; behind a proxy that is not
    named, ours has another scheme than we know of.)
    """
    is_ours = request.headers.get("Sec-Fetch-Site") == "same-origin"
    return not (is_ours or _is_own(request, request.headers.get("Origin")))


def _is_own(request: Request, origin: str | None) -> bool:
    own_origin = f"{request.scheme}://{request.headers.get('Host', '')}"
    return origin is None or origin.lower() == own_origin.lower()


def finish(response: Response, request: Request, allowed: frozenset[str]) -> Response:
    """Add the headers that every answer carries, and the CORS ones when the origin is allowed."""
    for name, value in SECURITY_HEADERS:
        response.headers.setdefault(name, value)  # a route may be stricter
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    if allowed:
        response.vary.add("Origin")
        if request.headers.get("Origin", "").lower() in allowed:
            _add_cors(response, request)
    return response


def _add_cors(response: Response, request: Request) -> None:
    response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
    response.headers["Access-Control-Expose-Headers"] = "X-Run-Id, Retry-After"
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = API_METHODS
        response.headers["Access-Control-Allow-Headers"] = "Content-Type, Authorization"
        response.headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS


def install(app: Flask, settings: Settings) -> None:
    """Guard every request to `app`, static files and unknown addresses included."""
    hosts = known_hosts(settings)
    origins = frozenset(origin.lower().rstrip("/") for origin in settings.allowed_origins)

    def guard() -> None:
        check_host(request.headers.get("Host", ""), hosts)
        check_origin(request, origins)

    after: Callable[[Response], Response] = lambda response: finish(response, request, origins)  # noqa: E731
    app.before_request(guard)
    app.after_request(after)
