"""A server process for the tests of starting and stopping: real in everything but the executor.

Its programs say "working" when they start and end after as many seconds as their code says.
"""

from __future__ import annotations

import sys
import time

from app import serve
from sandbox.models import Stream
from sandbox.settings import load
from tests.fakes import Call, FakeExecutor, web_app
from web import logs
from web.serving.server import listen


def sleep(call: Call) -> None:
    call.say(Stream.STDOUT, "working\n")
    deadline = time.monotonic() + float(call.request.code)
    while time.monotonic() < deadline and not call.gone():
        time.sleep(0.02)


if __name__ == "__main__":
    settings = load()
    logs.configure(settings)
    serve(web_app(settings, FakeExecutor(sleep)), settings, listen(settings))
    sys.exit(0)
