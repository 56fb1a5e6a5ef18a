"""Connections to PostgreSQL by psycopg, which waits for an answer as long as the server's machine is there.

A server that is stopped, or waits for a lock or a disk, leaves the connection open: no setting of the driver ends that.
Imported only where psycopg is used.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from sqlalchemy import Dialect
from sqlalchemy.pool import ConnectionPoolEntry

from sandbox.store.patience import ANSWER_SECONDS, deadline, seconds_left

T = TypeVar("T")

PARAMETERS = {
    "connect_timeout": 2,  # for each address of the host; less is not possible
    "tcp_user_timeout": 5000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
"""For what has no deadline: a machine that is gone is noticed after about ten seconds. The URL's own come first."""

ABANDONED_SECONDS = 30
"""After which the server ends what nobody waits for any more."""

ABANDONED = sql.SQL(
    "SELECT set_config('statement_timeout', {0}, false), set_config('idle_in_transaction_session_timeout', {0}, false)"
).format(f"{ABANDONED_SECONDS}s")


class Overdue(psycopg.OperationalError):
    """The deadline of the thread has passed."""


class Connection(psycopg.Connection[Any]):
    """One that waits until the deadline of its thread, and is of no use after that."""

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **named: Any) -> T:
        left = seconds_left()
        try:
            return super().wait(gen if left is None else _until(gen, time.monotonic() + left), *arguments, **named)
        except Overdue:
            self.close()
            raise


def _until(gen: Generator[Any, Any, T], end: float) -> Generator[Any, Any, T]:
    """The same steps. Whoever takes them comes back without news ten times a second."""
    try:
        wanted = next(gen)
        while True:
            news = yield wanted
            if not news and time.monotonic() >= end:
                raise Overdue("no answer in time")
            wanted = gen.send(news)
    except StopIteration as done:
        value: T = done.value
        return value


def connect(_: Dialect, __: ConnectionPoolEntry, words: list[Any], parameters: dict[str, Any]) -> Connection:
    """A new connection, for SQLAlchemy, until the deadline of the thread. Names of hosts are looked up without one."""
    connecting: Future[Connection] = Future()
    left = seconds_left()
    threading.Thread(target=_connect, args=(connecting, words, PARAMETERS | parameters), daemon=True).start()
    try:
        return connecting.result(left)
    except TimeoutError:
        connecting.add_done_callback(_close)
        raise Overdue("no connection in time") from None


def _connect(connecting: Future[Connection], words: list[Any], parameters: dict[str, Any]) -> None:
    try:
        connection = Connection.connect(*words, **parameters)
        with deadline(ANSWER_SECONDS):
            connection.execute(ABANDONED)
            connection.commit()
        connecting.set_result(connection)
    except BaseException as problem:
        connecting.set_exception(problem)


def _close(connecting: Future[Connection]) -> None:
    if not connecting.exception():
        connecting.result().close()
