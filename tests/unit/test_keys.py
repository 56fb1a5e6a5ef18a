"""Keys on each kind of database: made once, told apart, gone at once, for every process that uses the database."""

from __future__ import annotations

import math
import re
import threading

import pytest

from sandbox.errors import KeysError
from sandbox.store.database import Database as StoreDatabase
from sandbox.store.keys import Keys, hash_of
from tests.databases import Database


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database.open())


def test_a_key_is_found_with_what_it_was_made_with(keys: Keys) -> None:
    key = keys.add("ada", is_operator=True, runs_at_once=3, cpu_seconds_per_hour=0.5, max_code_characters=20_000)
    found = keys.find(key)
    assert found is not None
    assert (found.name, found.is_operator, found.runs_at_once, found.cpu_seconds_per_hour) == ("ada", True, 3, 0.5)
    assert found.max_code_characters == 20_000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.created)
    plain = keys.find(keys.add("bob"))
    assert plain is not None
    assert (plain.is_operator, plain.runs_at_once, plain.cpu_seconds_per_hour) == (False, None, None)
    assert plain.max_code_characters is None


def test_a_key_has_190_random_bits_and_none_is_like_another(keys: Keys) -> None:
    made = {keys.add(f"key{number}") for number in range(20)}
    assert len(made) == 20
    assert all(re.fullmatch("sce_[0-9A-Za-z]{32}", key) for key in made)
    assert 32 * math.log2(62) > 190


def test_the_database_holds_no_key(keys: Keys, database: Database) -> None:
    key = keys.add("ada")
    rows = database.execute("SELECT * FROM api_keys")
    assert hash_of(key) in str(rows)
    assert key not in str(rows) and key.removeprefix("sce_") not in str(rows)


@pytest.mark.parametrize("change", [str.upper, str.swapcase, lambda key: key + "a", lambda key: key[:-1]])
def test_what_is_nearly_a_key_is_none(keys: Keys, change: object) -> None:
    key = keys.add("ada")
    assert callable(change)
    assert keys.find(change(key)) is None


@pytest.mark.parametrize("text", ["", "sce_", "sce_" + "é" * 32, "\0", "' OR 1=1 --", "sce_" + "a" * 32 + "\n"])
def test_anything_else_is_none(keys: Keys, text: str) -> None:
    keys.add("ada")
    assert keys.find(text) is None


@pytest.mark.parametrize("name", ["a", "9", "ada.lovelace-1_x", "A" * 64])
def test_a_name_is_letters_digits_dots_dashes_and_underscores(keys: Keys, name: str) -> None:
    keys.add(name)
    assert [key.name for key in keys.all()] == [name]


@pytest.mark.parametrize("name", ["", "A" * 65, "-a", ".a", "a b", "a\n", "a:b", "é", "a/b", "a\0"])
def test_another_name_is_refused(keys: Keys, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        keys.add(name)


@pytest.mark.parametrize(
    "bounds",
    [
        {"runs_at_once": 0},
        {"runs_at_once": 10_001},
        {"cpu_seconds_per_hour": 0},
        {"cpu_seconds_per_hour": math.nan},
        {"cpu_seconds_per_hour": math.inf},
        {"cpu_seconds_per_hour": 1e-308},
        {"cpu_seconds_per_hour": 1e300},
        {"max_code_characters": 0},
        {"max_code_characters": 100_001},
    ],
)
def test_a_bound_that_is_none_is_refused(keys: Keys, bounds: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="number"):
        keys.add("ada", **bounds)  # type: ignore[arg-type]
    assert keys.all() == []


def test_a_name_is_given_once_also_by_many_at_once(keys: Keys) -> None:
    outcomes: list[str] = []

    def add() -> None:
        try:
            outcomes.append(keys.add("ada"))
        except ValueError as problem:
            outcomes.append(str(problem))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [outcome for outcome in outcomes if outcome.startswith("sce_")]
    assert len(made) == 1 and len(outcomes) == 8
    found = keys.find(made[0])
    assert found and found.name == "ada"


def test_a_revoked_key_is_none_and_its_name_is_free_again(keys: Keys) -> None:
    old = keys.add("ada")
    assert keys.revoke("ada")
    assert not keys.revoke("ada")
    assert keys.find(old) is None
    new = keys.add("ada")
    assert (keys.find(old), keys.find(new)) == (None, keys.all()[0])


def test_what_one_process_adds_and_revokes_holds_for_another_at_once(database: Database) -> None:
    one, other = Keys(database.open()), Keys(database.open())
    assert other.all() == []
    key = one.add("ada")
    assert other.find(key) == one.find(key) is not None
    other.revoke("ada")
    assert one.find(key) is None


def test_keys_are_listed_by_name(keys: Keys) -> None:
    for name in ("b", "a", "c"):
        keys.add(name)
    assert [key.name for key in keys.all()] == ["a", "b", "c"]


def test_a_database_that_does_not_answer_is_no_unknown_key() -> None:
    keys = Keys(StoreDatabase("postgresql+psycopg://nobody@localhost:1/nothing"))
    with pytest.raises(KeysError, match="requests with a key are refused") as caught:
        keys.find("sce_" + "a" * 32)
    assert caught.value.code == "keys_unavailable"
