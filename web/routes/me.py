"""Who I am: shown, changed by a key, given up."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request, request
from pydantic import BaseModel, ConfigDict, Field

from executor import Executor
from sandbox.errors import KeysError
from sandbox.intake.inputs import most_code_characters
from sandbox.models import Caller
from sandbox.quotas import CpuSecondsPerHour, RunsAtOnce
from sandbox.settings import Settings
from sandbox.store.keys import Key
from web.callers import caller_of, current_callers
from web.errors import WrongKey
from web.reading import read_json
from web.route import Body, Routes
from web.routes.sizes import STRUCTURE_BYTES

SIGN_IN_BYTES = 4096


class SignIn(BaseModel):
    """The body of `/sign-in`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    key: str = Field(description="As `cli.py key add` has printed it.")


@dataclass(frozen=True)
class Me:
    """Who sent the request."""

    owner: str
    """`key:NAME`, `page:ID`, or empty, which is nobody."""
    is_operator: bool
    key_required: bool
    """Whether this server answers only those who have a key."""
    runs_at_once: RunsAtOnce
    cpu_seconds_per_hour: CpuSecondsPerHour
    max_code_characters: int


def install(routes: Routes, settings: Settings, executor: Executor) -> None:
    def me_of(caller: Caller) -> Me:
        allowance = executor.allowance(caller)
        return Me(
            owner=caller.owner,
            is_operator=caller.is_operator,
            key_required=current_callers().key_required,
            runs_at_once=allowance.runs_at_once,
            cpu_seconds_per_hour=allowance.cpu_seconds_per_hour,
            max_code_characters=most_code_characters(caller, settings),
        )

    @routes.add("GET", "/me", answers=Me, errors=(WrongKey, KeysError), needs_caller=False)
    def show_me() -> Me:
        """Who I am, and what I may still run and use."""
        return me_of(caller_of(request))

    @routes.add("POST", "/sign-in", body=SIGN_IN_BODY, answers=Me, errors=(WrongKey, KeysError), needs_caller=False)
    def sign_in(key: Key) -> Me:
        """Trade a key for a cookie, in a browser."""
        return me_of(current_callers().sign_in(key))

    @routes.add("POST", "/sign-out", answers=Me, needs_caller=False)
    def sign_out() -> Me:
        """Trade the cookie of a key for one of the page's own."""
        return me_of(current_callers().sign_out(request))


def read_sign_in(request: Request, settings: Settings) -> Key:
    """The key that a request to `/sign-in` has.

    :raises WrongKey: it is none.
    """
    return current_callers().find(read_json(request, SignIn, STRUCTURE_BYTES).key)


SIGN_IN_BODY = Body(SignIn, read_sign_in, lambda _: SIGN_IN_BYTES)
