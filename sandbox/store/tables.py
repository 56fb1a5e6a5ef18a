"""The tables of the database. A change here takes another in `migrations` that brings older databases to it.

Columns are for what is searched, filtered or cut; the rest of a result is one of them. A run is a row of `runs`:
small, so that listing and searching read little. What its long fields hold beyond their first `HEAD_CHARACTERS` is in
`run_rests`, for the runs that have so much.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

from sandbox.store.rows import LONG_FIELDS

METADATA = MetaData()
VERSIONS = Table("history_version", METADATA, Column("version", Integer, primary_key=True, autoincrement=False))
RUNS = Table(
    "runs",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("timestamp", String(32), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("language", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    # Whose run it is: `key:NAME`, `page:ID`, or nobody's.
    Column("owner", String(255), nullable=False, server_default=""),
    # Before the texts: SQLite would read through all of them to get at it.
    Column("stored_bytes", Integer, nullable=False, server_default="0"),
    Column("code", Text, nullable=False),
    Column("entry", Text, nullable=False),
    Column("archive", Text, nullable=False),
    Column("args", Text, nullable=False),
    Column("stdin", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("error", Text, nullable=False),
    # What else a result has: a new field of results needs no column.
    Column("result", JSON, nullable=False),
    # SQLite would otherwise give the number of a deleted last row again, and paging goes by it.
    sqlite_autoincrement=True,
)
# What somebody may see is listed by owner, newest first.
Index("runs_of_owner", RUNS.c.owner, RUNS.c.seq)
RESTS = Table(
    "run_rests",
    METADATA,
    Column("seq", ForeignKey(RUNS.c.seq, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    *(Column(name, Text, nullable=False) for name in LONG_FIELDS),
)
KEYS = Table(
    "api_keys",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("is_operator", Boolean, nullable=False),
    Column("runs_at_once", Integer),
    Column("cpu_seconds_per_hour", Float),
    Column("created", String(32), nullable=False),
    Column("max_code_characters", Integer),
)
