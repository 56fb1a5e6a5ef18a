"""What has been run: a table in a database, SQLite unless told otherwise. Knows nothing of containers or HTTP.

Whoever asks is told of what he may see (`Caller.may_see`), as if there were nothing else.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, func, insert, select, true, union_all
from sqlalchemy import or_ as any_of

from sandbox.errors import HistoryError, NotFound
from sandbox.models import Caller, RunRequest, RunResult
from sandbox.store.artifacts import ArtifactFiles
from sandbox.store.database import Database
from sandbox.store.patience import ANSWER_SECONDS, deadline
from sandbox.store.rows import LONG_FIELDS, MARK_BYTES, SHORT_CHARACTERS, parted, shortened, storable, to_json, to_row
from sandbox.store.tables import RESTS, RUNS
from sandbox.store.trimming import Trimmer, wait_alone

SCANNED_ROWS = 100
"""How many runs are looked through between two looks at the clock; their heads are a few megabytes at most."""

SEARCH_SECONDS = 0.5
"""After this time a listing ends where it is; the next page goes on from there."""

CLEAR_SECONDS = 20.0
"""What forgetting everything may take: a million runs."""

CURSOR_PREFIX = "row-"
CURSOR = re.compile(CURSOR_PREFIX + "([0-9]{1,18})")
"""Where a page of a listing ended: no run's id, and good also when that run has been deleted."""

ADD_RUN, ADD_RESTS = insert(RUNS), insert(RESTS)
"""Made once, with the values as parameters: SQLAlchemy then finds its SQL by identity and need not build it again."""


class History:
    """The store. Thread-safe."""

    def __init__(
        self,
        database: Database,
        limit: int,
        *,
        max_bytes: int = 256 << 20,
        output_bytes: int = 1 << 20,
        files: ArtifactFiles | None = None,
    ) -> None:
        """`limit` is the number of runs kept, 0 for none, and `max_bytes` what they may take.

        `output_bytes` is what is kept of output, and of errors. `files` are those that runs gave back: with a run go
        its files.
        """
        self._database = database
        self._limit = limit
        self._trimmer = Trimmer(limit, max_bytes)
        self._field_bytes = output_bytes + MARK_BYTES
        self._files = files

    def add(self, request: RunRequest, result: RunResult) -> None:
        """Store one finished run.

        :raises HistoryError: when that was not possible.
        """
        if not self._limit:
            return
        run, rests = parted(to_row(request, result, self._field_bytes))
        with deadline(ANSWER_SECONDS):
            with self._database.writing(HistoryError) as connection:
                added = connection.execute(ADD_RUN, run)
                if rests:
                    assert added.inserted_primary_key is not None
                    connection.execute(ADD_RESTS, {"seq": added.inserted_primary_key.seq, **rests})
                is_trimmed = self._trimmer.trim(connection, run["stored_bytes"])
            if is_trimmed:
                self._remove_files()

    def _remove_files(self) -> None:
        """Remove the files of runs that are not there any more; where it cannot be told, next time.

        What the caller did is done, and nobody is given a file of a run that is not there.
        """
        if self._files:
            with contextlib.suppress(HistoryError):
                self._files.keep_only(self._existing)

    def _existing(self, ids: Sequence[str]) -> set[str]:
        """Those of these runs that are there.

        :raises HistoryError: when the store cannot be read.
        """
        with self._database.reading(HistoryError) as connection:
            found = (select(RUNS.c.id).where(RUNS.c.id.in_(some)) for some in _parts(ids))
            return {run_id for query in found for run_id in connection.execute(query).scalars()}

    def page(
        self,
        caller: Caller,
        *,
        limit: int = 50,
        before: str = "",
        text: str = "",
        language: str = "",
        status: str = "",
        gone: Callable[[], bool] = lambda: False,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Runs, newest first, with long fields cut to their first 2000 characters and named in `shortened`.

        With them comes what to give as `before` for the older ones, None when there are none. That holds also when
        runs are deleted meanwhile. `before` may be the id of a run, too. `text` is looked for in entry and archive
        name and in the first 8192 characters of code, output and error, in any case (SQLite: of ASCII letters).
        When that takes long, or `gone` says that nobody waits any more, fewer are returned than there are, perhaps
        none, and the older ones begin where the search has ended.

        :raises HistoryError: when the store cannot be read.
        :raises NotFound: when `before` is neither, or the run of that id is not there.
        """
        wanted = max(0, min(limit, self._limit))
        deadline = time.monotonic() + SEARCH_SECONDS
        found: list[RowMapping] = []
        with self._database.reading(HistoryError) as connection:
            conditions = list(_conditions(text, language, status, connection.dialect.name))
            position = _position(connection, caller, before)
            is_late = False
            while wanted and len(found) <= wanted:
                numbers = _next_numbers(connection, caller, position)
                if not numbers:
                    return shortened(map(dict, found)), None
                if is_late:
                    break
                found += _rows(connection, conditions, numbers, limit=wanted + 1 - len(found))
                position = numbers[-1]
                is_late = time.monotonic() > deadline or gone()
        shown = found[:wanted]
        if len(found) > wanted and shown:
            position = shown[-1]["seq"]
        return shortened(map(dict, shown)), f"{CURSOR_PREFIX}{position}" if wanted else None

    def get(self, caller: Caller, run_id: str) -> dict[str, Any] | None:
        """One run, whole; None when it is not there.

        :raises HistoryError: when the store cannot be read.
        """
        with self._database.reading(HistoryError) as connection:
            row = connection.execute(select(RUNS).where(RUNS.c.id == run_id, _seen_by(caller))).mappings().first()
            if row is None:
                return None
            rests = connection.execute(select(RESTS).where(RESTS.c.seq == row["seq"])).mappings().first()
        return to_json({**row, **{name: row[name] + rests[name] for name in LONG_FIELDS}} if rests else dict(row))

    def artifacts(self, caller: Caller, run_id: str) -> list[dict[str, Any]]:
        """The files that a run gave back, as its result lists them; none when the run is not there.

        :raises HistoryError: when the store cannot be read.
        """
        with self._database.reading(HistoryError) as connection:
            result = connection.execute(select(RUNS.c.result).where(RUNS.c.id == run_id, _seen_by(caller))).scalar()
        found: list[dict[str, Any]] = (result or {}).get("artifacts", [])
        return found

    def delete(self, caller: Caller, run_id: str) -> bool:
        """Forget one run; False when it was not there.

        :raises HistoryError: when the store cannot be written.
        """
        with self._database.writing(HistoryError) as connection:
            count = connection.execute(delete(RUNS).where(RUNS.c.id == run_id, _seen_by(caller))).rowcount
        self._remove_files()
        return count > 0

    def clear(self, caller: Caller, *, everybodys: bool = False) -> int:
        """Forget a caller's own runs and nobody's, or everybody's as far as he sees them; how many there were.

        :raises HistoryError: when the store cannot be written.
        """
        forgotten = _seen_by(caller) if everybodys else RUNS.c.owner.in_(_owners(caller))
        with self._database.writing(HistoryError, CLEAR_SECONDS) as connection:
            wait_alone(connection)
            count = connection.execute(delete(RUNS).where(forgotten)).rowcount
        with self._database.reading(HistoryError, CLEAR_SECONDS) as connection:
            if connection.dialect.name == "sqlite":
                _tidy_sqlite(connection.execution_options(isolation_level="AUTOCOMMIT"))
        self._remove_files()
        return count


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many at a time as any database takes values in one query."""
    return (ids[start : start + 500] for start in range(0, len(ids), 500))


def _tidy_sqlite(connection: Connection) -> None:
    """Leave nothing readable of what was forgotten, and give its room back once all is.

    VACUUM writes what is left anew, while nobody else can write. Room between what others keep is used again.
    """
    if connection.execute(select(RUNS.c.seq).limit(1)).first() is None:
        connection.exec_driver_sql("VACUUM")
    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _owners(caller: Caller) -> list[str]:
    """Himself, and nobody if what nobody ran is his, too."""
    return [*([caller.owner] if caller.owner else []), *([""] if caller.sees_nobodys else [])]


def _seen_by(caller: Caller) -> ColumnElement[bool]:
    """`Caller.may_see`, of rows."""
    return true() if caller.is_operator else RUNS.c.owner.in_(_owners(caller))


def _position(connection: Connection, caller: Caller, before: str) -> int:
    """The number of the row that a cursor or a run's id names; without one, a number above all."""
    if not before:
        return int(connection.execute(select(func.max(RUNS.c.seq))).scalar() or 0) + 1
    if match := CURSOR.fullmatch(before):
        return int(match[1])
    position = connection.execute(select(RUNS.c.seq).where(RUNS.c.id == before, _seen_by(caller))).scalar()
    if position is None:
        raise NotFound("before: no run of that id is in the history.")
    return int(position)


def _next_numbers(connection: Connection, caller: Caller, position: int) -> list[int]:
    """The numbers of the next rows to look through, newest first; none when there are none below `position`.

    Each owner's are found by the index, so that many rows of others cost nothing.
    """
    mine = [true()] if caller.is_operator else [RUNS.c.owner == owner for owner in _owners(caller)]
    newest = select(RUNS.c.seq).where(RUNS.c.seq < position).order_by(RUNS.c.seq.desc()).limit(SCANNED_ROWS)
    parts = [select(newest.where(condition).subquery().c.seq) for condition in mine]
    if not parts:
        return []
    together = union_all(*parts).subquery()
    numbers = select(together.c.seq).order_by(together.c.seq.desc()).limit(SCANNED_ROWS)
    return list(connection.execute(numbers).scalars())


def _rows(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], numbers: Sequence[int], limit: int
) -> Sequence[RowMapping]:
    """Those rows of these numbers that meet the conditions, newest first."""
    columns: list[ColumnElement[Any]] = [column for column in RUNS.c if column.name not in LONG_FIELDS]
    # One character more than is shown tells whether there is more; length() would read the field again.
    columns += [func.substr(RUNS.c[name], 1, SHORT_CHARACTERS + 1).label(name) for name in LONG_FIELDS]
    query = select(*columns).where(RUNS.c.seq.in_(numbers), *conditions).order_by(RUNS.c.seq.desc()).limit(limit)
    return connection.execute(query).mappings().all()


def _conditions(text: str, language: str, status: str, dialect: str) -> Iterator[ColumnElement[bool]]:
    if text:
        # Not LIKE, which compares the whole pattern at each place of the text, a letter at a time.
        place_in = func.strpos if dialect == "postgresql" else func.instr
        searched = (RUNS.c.code, RUNS.c.output, RUNS.c.error, RUNS.c.entry, RUNS.c.archive)
        yield any_of(*(place_in(func.lower(column), func.lower(storable(text))) > 0 for column in searched))
    if language:
        yield RUNS.c.language == language
    if status:
        yield RUNS.c.status == status
