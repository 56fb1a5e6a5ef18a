"""The command line: `python cli.py key add NAME` and the like. Uses the settings of the server in this folder.

A key is the only thing on stdout, so that a script can take it; explanations go to stderr. The exit status is 1 when
something cannot be done, 2 when it was asked in a wrong way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from sandbox.errors import KeysError
from sandbox.settings import SettingsError, load
from sandbox.store.database import Database, url_of
from sandbox.store.keys import Key, Keys

PATIENCE_SECONDS = 60.0
"""Nobody's run waits for a command, and it may have the tables of an older version to change first."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Look after a Safe Code Executor."""


@main.group()
def key() -> None:
    """Keys: who may come without a browser, or at all."""


@key.command()
@click.argument("name")
@click.option("--operator", is_flag=True, help="May see and delete the runs of everybody.")
@click.option("--runs-at-once", type=int, metavar="N", help="A bound of its own for programs that run or wait.")
@click.option("--cpu-seconds-per-hour", type=float, metavar="N", help="A bound of its own for CPU time.")
@click.option("--max-code-characters", type=int, metavar="N", help="A bound of its own for the length of code.")
def add(name: str, operator: bool, **bounds: Any) -> None:
    """Make a key and print it, once."""
    with keys_of_this_folder() as keys:
        try:
            made = keys.add(name, is_operator=operator, **bounds)
        except ValueError as problem:
            raise click.UsageError(str(problem)) from problem
    click.echo(f"The key of {name}. It works at once, and cannot be shown again:", err=True)
    click.echo(made)


@key.command(name="list")
def list_keys() -> None:
    """List the keys: their names, and what they may do."""
    with keys_of_this_folder() as keys:
        rows = [("NAME", "OPERATOR", "RUNS AT ONCE", "CPU S/HOUR", "CODE", "CREATED"), *map(_row, keys.all())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


@key.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Make a key invalid, at once. What it has run stays in the history."""
    with keys_of_this_folder() as keys:
        if not keys.revoke(name):
            raise click.ClickException(f"There is no key of the name {name}.")
    click.echo(f"The key of {name} is invalid from now on.", err=True)


@contextmanager
def keys_of_this_folder() -> Iterator[Keys]:
    """The keys that the server with these settings knows; what goes wrong ends the command with a sentence."""
    try:
        settings = load()
        database = Database(url_of(settings), answer_seconds=PATIENCE_SECONDS)
    except SettingsError as problem:
        raise click.UsageError(str(problem)) from problem
    try:
        if not settings.data_dir.is_dir():
            settings.data_dir.mkdir(parents=True)
            click.echo(f"New data folder {settings.data_dir.resolve()}: is this where the server is started?", err=True)
        yield Keys(database)
    except KeysError as problem:
        raise click.ClickException(problem.reason) from problem
    except OSError as problem:
        raise click.ClickException(f"SCE_DATA_DIR: {problem.strerror}: {problem.filename}") from problem
    finally:
        database.close()


def _row(key: Key) -> tuple[str, ...]:
    bounds = [str(bound or "-") for bound in (key.runs_at_once, key.cpu_seconds_per_hour, key.max_code_characters)]
    return key.name, "yes" if key.is_operator else "-", *bounds, key.created


if __name__ == "__main__":
    main()
