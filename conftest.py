"""Lends the server of the test suite to `test_security.py`, which lies beside it and not in `tests/`."""

from __future__ import annotations

from tests.conftest import real_engine, server, server_url

__all__ = ["real_engine", "server", "server_url"]
