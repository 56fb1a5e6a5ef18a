"""Who a request comes from."""

from __future__ import annotations

from flask import Request

from sandbox.models import Caller


def caller_of(request: Request) -> Caller:
    """The caller as far as the connection tells it."""
    return Caller(address=request.remote_addr or "")
