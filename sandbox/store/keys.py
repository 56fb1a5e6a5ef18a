"""Keys: who may come without a browser. Only their hashes are kept, so that nobody can take a key from the database.

A key is `sce_` and 32 letters and digits: 190 bits that nobody can guess. So a plain hash is enough, where a password
would need a slow one with salt, and whoever tries keys needs no slowing down.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError

from sandbox.errors import KeysError
from sandbox.store.database import Database
from sandbox.store.tables import KEYS

PREFIX = "sce_"
RANDOM_CHARACTERS = 32
MOST_CODE_CHARACTERS = 100_000
"""The most that a key may allow, since every body may be as large as the largest that any key allows."""
ALPHABET = string.ascii_letters + string.digits

KEY = re.compile(f"{PREFIX}[0-9A-Za-z]{{{RANDOM_CHARACTERS}}}")
NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")

FIND = select(KEYS).where(KEYS.c.hash == bindparam("key_hash"))
"""Made once, since each request with a key asks this: SQLAlchemy finds its SQL by identity."""


@dataclass(frozen=True)
class Key:
    """What is known of a key."""

    name: str
    hash: str
    is_operator: bool
    runs_at_once: int | None
    """A bound of its own; None: that of the settings."""
    cpu_seconds_per_hour: float | None
    """The same."""
    created: str
    max_code_characters: int | None = None
    """The same."""


class Keys:
    """The store. Thread-safe. Nothing is remembered: what one process adds or revokes holds for all at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        name: str,
        *,
        is_operator: bool = False,
        runs_at_once: int | None = None,
        cpu_seconds_per_hour: float | None = None,
        max_code_characters: int | None = None,
    ) -> str:
        """A new key, which cannot be shown again.

        :raises ValueError: with a sentence, when the name cannot be had, or a bound is none.
        :raises KeysError: when the store cannot be written.
        """
        _check(name, runs_at_once, cpu_seconds_per_hour, max_code_characters)
        key = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
        row = {
            "name": name,
            "hash": hash_of(key),
            "is_operator": is_operator,
            "runs_at_once": runs_at_once,
            "cpu_seconds_per_hour": cpu_seconds_per_hour,
            "max_code_characters": max_code_characters,
            "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        with self._database.writing(KeysError) as connection:
            try:
                connection.execute(insert(KEYS), row)
            except IntegrityError:
                raise ValueError(f"There is a key of the name {name} already. Revoke it first.") from None
        return key

    def all(self) -> list[Key]:
        """Every key, by name.

        :raises KeysError: when the store cannot be read.
        """
        with self._database.reading(KeysError) as connection:
            return [Key(**row) for row in connection.execute(select(KEYS).order_by(KEYS.c.name)).mappings()]

    def revoke(self, name: str) -> bool:
        """Forget a key; False when there was none of that name.

        :raises KeysError: when the store cannot be written.
        """
        with self._database.writing(KeysError) as connection:
            return connection.execute(delete(KEYS).where(KEYS.c.name == name)).rowcount > 0

    def find(self, key: str) -> Key | None:
        """What is known of a key; None when it is none.

        :raises KeysError: when the store cannot be read.
        """
        return self.find_hash(hash_of(key)) if KEY.fullmatch(key) else None

    def find_hash(self, key_hash: str) -> Key | None:
        """The same, by the key's hash.

        The time that the search takes may tell of hashes, which lead to no key.

        :raises KeysError: when the store cannot be read.
        """
        with self._database.reading(KeysError) as connection:
            row = connection.execute(FIND, {"key_hash": key_hash}).mappings().first()
        return Key(**row) if row and hmac.compare_digest(row["hash"], key_hash) else None


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _check(
    name: str, runs_at_once: int | None, cpu_seconds_per_hour: float | None, max_code_characters: int | None
) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(
            "A name has up to 64 letters, digits, dots, dashes and underscores; the first is a letter or a digit."
        )
    if runs_at_once is not None and not 1 <= runs_at_once <= 10_000:
        raise ValueError("Runs at once are a number from 1 to 10000.")
    if cpu_seconds_per_hour is not None and not 0.001 <= cpu_seconds_per_hour <= 10_000_000:
        raise ValueError("CPU seconds per hour are a number from 0.001 to 10000000.")
    if max_code_characters is not None and not 1 <= max_code_characters <= MOST_CODE_CHARACTERS:
        raise ValueError(f"Code characters are a number from 1 to {MOST_CODE_CHARACTERS}.")
