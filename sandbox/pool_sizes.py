"""How many containers shall wait for each language, from the text in which an operator says so. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic_settings import NoDecode

from sandbox.errors import InvalidRequest
from sandbox.languages import DEFAULT, resolve

POOL_ENTRY = re.compile(r"\s*([^:\s]+)\s*:\s*([0-9]{1,2})\s*")
MAX_POOL = 64

PoolSizes = Annotated[dict[str, int], NoDecode]
"""`LANGUAGE:NUMBER`, comma-separated, in the environment."""


def sizes_in(value: object) -> object:
    """`pool_sizes` of a text, or of a dict as if it were one; anything else as it is."""
    if isinstance(value, dict):
        value = ",".join(f"{name}:{number}" for name, number in value.items())
    return pool_sizes(value) if isinstance(value, str) else value


def pool_sizes(text: str) -> dict[str, int]:
    """`name:number` each, by language; whatever a request may call one may be written here.

    :raises ValueError: with a sentence that says what is wrong.
    """
    sizes: dict[str, int] = {}
    for entry in filter(str.strip, text.split(",")):
        match = POOL_ENTRY.fullmatch(entry)
        if not match or int(match[2]) > MAX_POOL:
            raise ValueError(f"{entry.strip()!r} is no language with a number from 0 to {MAX_POOL} ({DEFAULT}:5)")
        try:
            name = resolve(match[1]).name
        except InvalidRequest as problem:
            raise ValueError(problem.message) from None
        if name in sizes:
            raise ValueError(f"{name} is named twice")
        sizes[name] = int(match[2])
    return sizes
