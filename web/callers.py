"""Who a request belongs to: a key's owner, a page, or nobody.

A key comes in the header `Authorization`, or was traded for a cookie before. What claims to be a key and is none is
refused, never taken for nobody. A browser whose key has been revoked becomes a page without one.
"""

from __future__ import annotations

import re

from flask import Flask, Request, Response, current_app, g, request

from sandbox.models import Caller
from sandbox.settings import Settings
from sandbox.store.keys import Key, Keys
from web.cookies import Cookies, new_page, of_key
from web.errors import KeyRequired, WrongKey
from web.guards import is_another_pages

BEARER = re.compile(r"bearer +([^\s,]+)", re.IGNORECASE)
"""https://www.rfc-editor.org/rfc/rfc6750#section-2.1"""


class Callers:
    """Tells one from the other."""

    def __init__(self, settings: Settings, keys: Keys, cookies: Cookies) -> None:
        self.key_required = settings.require_key
        self.keys = keys
        self.cookies = cookies

    def identify(self, request: Request) -> Caller:
        """Whoever sent this; nobody also where a key is required.

        :raises WrongKey: it has the header of a key, and no key that counts.
        :raises KeysError: it has a key, and the store cannot be read.
        """
        given = request.headers.get("Authorization")
        if given is not None:
            return self._of_key(self.find(_bearer(given)))
        kind, _, name = self._cookie_of(request).partition(":")
        if kind == "key":
            return self._of_cookie(name)
        return self._of_page(f"page:{name}" if kind else "")

    def find(self, text: str) -> Key:
        """What is known of a key.

        :raises WrongKey: it is none.
        :raises KeysError: the store cannot be read.
        """
        key = self.keys.find(text)
        if key is None:
            raise WrongKey("This key is not known here, or has been revoked.")
        return key

    def sign_in(self, key: Key) -> Caller:
        """Give the browser that sent the current request a cookie that names the key."""
        g.cookie = of_key(key.hash)
        g.caller = caller = self._of_key(key)
        return caller

    def welcome(self) -> Caller:
        """Give it a cookie of a page's own, or none where a key is needed."""
        g.cookie = "" if self.key_required else new_page()
        g.caller = caller = self._of_page(g.cookie)
        return caller

    def sign_out(self, request: Request) -> Caller:
        """The same, but for a browser that has one already. Needs no store: nobody may be kept from leaving."""
        content = self._cookie_of(request)
        return self.welcome() if content.startswith("key:") or not content else self._of_page(content)

    def _cookie_of(self, request: Request) -> str:
        """Pages of other origins may come with a key, never with a cookie."""
        return "" if is_another_pages(request) else self.cookies.read(request)

    def _of_cookie(self, key_hash: str) -> Caller:
        key = self.keys.find_hash(key_hash)
        return self._of_key(key) if key else self.welcome()

    def _of_key(self, key: Key) -> Caller:
        return Caller(
            address=_address(),
            owner=f"key:{key.name}",
            is_operator=key.is_operator,
            sees_nobodys=key.is_operator or not self.key_required,
            runs_at_once=key.runs_at_once,
            cpu_seconds_per_hour=key.cpu_seconds_per_hour,
            max_code_characters=key.max_code_characters,
        )

    def _of_page(self, owner: str) -> Caller:
        """A page's own cookie is no key."""
        if self.key_required:
            return Caller(address=_address(), sees_nobodys=False)
        return Caller(address=_address(), owner=owner)


def caller_of(request: Request) -> Caller:
    """Who the current request belongs to; found out once.

    :raises WrongKey: as `Callers.identify`.
    :raises KeysError: the same.
    """
    if "caller" not in g:
        g.caller = current_callers().identify(request)
    caller: Caller = g.caller
    return caller


def admit(request: Request) -> Caller:
    """The same, for what not everybody may use.

    :raises KeyRequired: a key is needed, and there is none.
    """
    caller = caller_of(request)
    if current_callers().key_required and not caller.owner:
        raise KeyRequired("This server needs a key: send the header Authorization: Bearer sce_…")
    return caller


def current_callers() -> Callers:
    callers: Callers = current_app.extensions["callers"]
    return callers


def install(app: Flask, callers: Callers) -> None:
    """Make them known to `app`, and have new cookies sent."""

    def set_cookie(response: Response) -> Response:
        if "cookie" in g and not is_another_pages(request):
            callers.cookies.write(response, g.cookie, is_secure=request.is_secure)
        return response

    app.extensions["callers"] = callers
    app.after_request(set_cookie)


def _bearer(header: str) -> str:
    match = BEARER.fullmatch(header.strip())
    if not match:
        raise WrongKey("The header Authorization must be: Bearer sce_…")
    return match[1]


def _address() -> str:
    return request.remote_addr or ""
