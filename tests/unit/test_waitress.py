"""What web/serving leans on in waitress is still there. Its behaviour: test_server.py, test_slow_clients.py."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import metadata

import pytest
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher

from web import serving
from web.serving.channel import Channel, JsonErrorTask
from web.serving.connections import Listener
from web.serving.dispatcher import Dispatcher
from web.serving.parser import Parser

METHODS = {
    HTTPChannel: {
        "__init__": "(self, server, sock, addr, adj, map=None)",
        "add_channel": "(self, map=None)",
        "del_channel": "(self, map=None)",
        "send_continue": "(self)",
        "handle_write": "(self)",
        "handle_close": "(self)",
        "send": "(self, data, do_close=True)",
        "readable": "(self)",
        "received": "(self, data)",
        "_flush_exception": "(self, flush, do_close=True)",
        "_flush_some": "(self, do_close=True)",
    },
    HTTPRequestParser: {
        "__init__": "(self, adj)",
        "received": "(self, data)",
        "parse_header": "(self, header_plus)",
        "close": "(self)",
    },
    ErrorTask: {"execute": "(self)", "set_close_on_finish": "(self) -> None", "write": "(self, data)"},
    ThreadedTaskDispatcher: {
        "__init__": "(self)",
        "add_task": "(self, task)",
        "set_thread_count": "(self, count)",
        "shutdown": "(self, cancel_pending=True, timeout=5)",
    },
    TcpWSGIServer: {
        "__init__": "(self, application, map=None, _start=True, _sock=None, dispatcher=None, adj=None, "
        "sockinfo=None, bind_socket=True, **kw)",
        "readable": "(self)",
        "add_task": "(self, task)",
        "del_channel": "(self, map=None)",
        "pull_trigger": "(self)",
    },
}
"""What is overridden or called, and how it is called."""

ATTRIBUTES = {
    HTTPChannel: "requests requests_lock request total_outbufs_len will_close close_when_flushed connected "
    "last_activity creation_time parser_class error_task_class server socket",
    HTTPRequestParser: "adj completed content_length body_bytes_received error expect_continue headers_finished "
    "path version",
    ErrorTask: "channel request status response_headers content_length",
    ThreadedTaskDispatcher: "queue threads active_count",
    TcpWSGIServer: "channel_class accepting socket",
    Adjustments: "max_request_body_size",
}
"""What is read or set on the objects."""

OURS = {
    Channel: HTTPChannel,
    Parser: HTTPRequestParser,
    JsonErrorTask: ErrorTask,
    Dispatcher: ThreadedTaskDispatcher,
    Listener: TcpWSGIServer,
}


def test_the_waitress_installed_is_the_one_that_was_read() -> None:
    installed = metadata.version("waitress")
    assert installed == serving.WAITRESS, (
        f"waitress {installed} is installed, and web/serving was written beside the source of {serving.WAITRESS}: read "
        "what changed in its channel, parser, server and task, run this file, test_server and test_slow_clients, and "
        "then change WAITRESS in web/serving/__init__.py"
    )


def test_waitress_has_what_we_lean_on() -> None:
    assert list(missing()) == []


def missing() -> Iterator[str]:
    """A sentence for each thing that is gone or is called in another way."""
    for cls, methods in METHODS.items():
        for name, wanted in methods.items():
            found = str(inspect.signature(getattr(cls, name))) if hasattr(cls, name) else "gone"
            if found != wanted:
                yield f"web/serving leans on {cls.__name__}.{name}{wanted}, which is {found} now"
    for cls, names in ATTRIBUTES.items():
        for name in names.split():
            if not is_attribute(cls, name):
                yield f"web/serving leans on {cls.__name__}.{name}, which its source no longer sets"


def is_attribute(cls: type, name: str) -> bool:
    """Whether a class, or a method of it or of its bases, sets an attribute."""
    setting = re.compile(rf"\bself\.{name}\b[^=\n]*= |^ +self\.{name},$", re.MULTILINE)
    return hasattr(cls, name) or any(setting.search(inspect.getsource(base)) for base in cls.__mro__[:-1])


@pytest.mark.parametrize("cls", OURS)
def test_every_method_of_waitress_that_we_override_is_listed(cls: type) -> None:
    parent = OURS[cls]
    overridden = {name for name, value in vars(cls).items() if inspect.isfunction(value) and hasattr(parent, name)}
    assert overridden - {"parser_class"} <= set(METHODS[parent])


def test_a_method_that_is_gone_or_takes_something_else_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(HTTPChannel, "_flush_some")
    monkeypatch.setattr(HTTPRequestParser, "received", lambda self, data, more: 0)
    monkeypatch.setitem(ATTRIBUTES, ErrorTask, "gone_too")
    assert list(missing()) == [
        "web/serving leans on HTTPChannel._flush_some(self, do_close=True), which is gone now",
        "web/serving leans on HTTPRequestParser.received(self, data), which is (self, data, more) now",
        "web/serving leans on ErrorTask.gone_too, which its source no longer sets",
    ]
