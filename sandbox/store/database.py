"""The database that a URL names: whether there can be one, and how a connection to it is set up."""

from __future__ import annotations

import sqlite3
import time

from sqlalchemy import Connection, exc, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from sandbox.settings import Settings, SettingsError

BUSY_SECONDS = 2
"""How long a write waits for another process that writes to the same SQLite file."""

LOCK = 5_216_047_337_410_211
"""Of the numbers that PostgreSQL can lock, any that nobody else who uses the same database will choose."""


def url_of(settings: Settings) -> str:
    """The SQLAlchemy URL of the history.

    :raises SettingsError: the setting is no URL, or names a database or a driver that is not there. It is not
        repeated, since it may hold a password.
    """
    if not settings.database_url:
        return f"sqlite:///{settings.data_dir.resolve() / 'history.db'}"
    if problem := _problem(settings.database_url):
        raise SettingsError(f"SCE_DATABASE_URL: {problem}")
    return settings.database_url


def _problem(url: str) -> str:
    try:
        make_url(url).get_dialect().import_dbapi()
    except exc.NoSuchModuleError:
        return "SQLAlchemy knows no such database or driver"
    except (exc.ArgumentError, ValueError):
        return "this is no SQLAlchemy URL, such as postgresql+psycopg://user@host/name"
    except ImportError:
        return "the Python driver for this database is not installed"
    return ""


def begin_alone(connection: Connection) -> None:
    """Begin a transaction once the others that have begun like this, in any process, have ended."""
    if connection.dialect.name == "sqlite":
        # Its driver would begin only with the first change of a row, and commit each change of a table.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")


def prepare_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """Set up a connection to SQLite."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    # WAL: readers do not wait for a writer. With it, NORMAL loses no committed run when the server dies, only,
    # perhaps, the last ones when the machine does: https://www.sqlite.org/pragma.html#pragma_synchronous
    _enter_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    # What was deleted shall not stay readable in the file.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _enter_wal(cursor: sqlite3.Cursor) -> None:
    """SQLite does not wait by itself when another process is doing the same to a new file."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
