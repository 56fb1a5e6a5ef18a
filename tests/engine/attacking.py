"""What programs that attack are made of."""

from __future__ import annotations

import textwrap

LANGUAGES = ("python", "node", "bash")


def attempts(*expressions: str, setup: str = "") -> str:
    """A Python program that tries each expression and prints the name of the error it ends in, or its value."""
    tries = "".join(
        f"try: print({expression})\nexcept Exception as problem: print(type(problem).__name__)\n"
        for expression in expressions
    )
    return f"{textwrap.dedent(setup)}\n{tries}"
