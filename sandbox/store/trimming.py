"""Room in the history: the oldest runs go when there are more than are kept, or when they take too many bytes.

Several servers may do so in one database, and add to it.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from sandbox.store.tables import RUNS

RETENTION_SLACK = 50
"""Old runs are deleted this many at a time, so that most runs pay nothing for it."""

BYTES_SLACK = 16
"""This part of the bytes is made free at a time, and may be added until they are counted anew."""

LOCK = 5_216_047_337_410_212
"""As that of the migrations."""


class Trimmer:
    """Keeps the newest `limit` runs, as far as they fit into `max_bytes`. Only a guess in it is not thread-safe."""

    def __init__(self, limit: int, max_bytes: int) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._since_trim = RETENTION_SLACK
        self._bytes: int | None = None
        self._uncounted = 0

    def trim(self, connection: Connection, added: int) -> bool:
        """Make room after a run of so many bytes was added. Whether any may have gone."""
        are_many, are_large = self._are_many(), self._are_large(added)
        if not (are_many or are_large) or not try_alone(connection):
            return False
        if are_many:
            self._trim_rows(connection)
        if are_large:
            self._trim_bytes(connection)
        return True

    def _are_many(self) -> bool:
        self._since_trim += 1
        return self._since_trim > min(RETENTION_SLACK, self._limit // 10)

    def _trim_rows(self, connection: Connection) -> None:
        """Numbers may have gaps, so the oldest kept one is looked up."""
        self._since_trim = 0
        newest_first = select(RUNS.c.seq).order_by(RUNS.c.seq.desc())
        oldest = connection.execute(newest_first.offset(self._limit - 1).limit(1)).scalar()
        if oldest is not None:
            connection.execute(delete(RUNS).where(RUNS.c.seq < oldest))

    def _are_large(self, added: int) -> bool:
        """Whether to count, which reads every row: they seem not to fit, or others may have added as much as this."""
        if self._bytes is None:
            return True
        self._bytes += added
        self._uncounted += added
        return self._bytes > self._max_bytes or self._uncounted > self._max_bytes // BYTES_SLACK

    def _trim_bytes(self, connection: Connection) -> None:
        self._uncounted = 0
        up_to_here = func.sum(RUNS.c.stored_bytes).over(order_by=RUNS.c.seq.desc())
        totals = select(RUNS.c.seq, up_to_here.label("total")).subquery()
        self._bytes = int(connection.execute(select(func.max(totals.c.total))).scalar() or 0)
        if self._bytes > self._max_bytes:
            too_much = totals.c.total > self._max_bytes - self._max_bytes // BYTES_SLACK
            newest = select(func.max(totals.c.seq)).where(too_much).scalar_subquery()
            connection.execute(delete(RUNS).where(RUNS.c.seq <= newest))
            self._bytes = int(connection.execute(select(func.sum(RUNS.c.stored_bytes))).scalar() or 0)


def try_alone(connection: Connection) -> bool:
    """Whether nobody else deletes many runs until the transaction ends: two might lock each other's out."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({LOCK})").scalar())


def wait_alone(connection: Connection) -> None:
    """The same, once the others have ended."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
