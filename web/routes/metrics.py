"""The numbers of this process, and who may read them."""

from __future__ import annotations

from flask import Request, Response, request

from sandbox.addresses import parse
from sandbox.errors import KeysError
from sandbox.settings import Settings
from web.callers import caller_of
from web.errors import KeyRequired, OperatorOnly, WrongKey
from web.guards import is_loopback_name
from web.metrics import Metrics
from web.route import Routes

FORWARDING = ("forwarded", "x-forwarded", "x-real-ip", "via")
"""How the headers begin, in lower case, by which a proxy may give itself away."""

REFUSALS = (WrongKey, KeyRequired, OperatorOnly, KeysError)


def install(routes: Routes, settings: Settings, metrics: Metrics) -> None:
    @routes.add("GET", "/metrics", answers=str, media_type="text/plain", errors=REFUSALS, needs_caller=False)
    def show_metrics() -> Response:
        """Numbers of this server for Prometheus; for operators, and without a key from the same machine."""
        check_reader(request, settings)
        text, content_type = metrics.exposition(request.headers.get("Accept", ""))
        return Response(text, content_type=content_type)


def check_reader(request: Request, settings: Settings) -> None:
    """Return when the sender may read the numbers.

    :raises WrongKey: its key is none.
    :raises KeyRequired: it has none, and needs one.
    :raises OperatorOnly: it has one, which is no operator's.
    """
    caller = caller_of(request)
    if caller.is_operator or (not settings.trusted_proxies and is_from_here(request)):
        return
    if caller.has_key:
        raise OperatorOnly("Only an operator's key may read the metrics.")
    raise KeyRequired("The metrics need an operator's key: send the header Authorization: Bearer sce_…")


def is_from_here(request: Request) -> bool:
    """Whether it was sent on this machine, to this machine, and not by a proxy that shows itself."""
    address = parse(request.remote_addr or "")
    if address is None or not address.is_loopback or not is_loopback_name(request.headers.get("Host", "")):
        return False
    return not any(name.lower().startswith(FORWARDING) for name, _ in request.headers)
