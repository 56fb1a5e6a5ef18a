"""Who a browser is: a signed cookie, which no script can read and nobody can make up.

It says `page:ID`, where a page got it without a key, or `key:HASH`, which names a key by its hash and dies with it.
Cookies reach every port of a host, so its name is the secret's own: two servers on localhost do not take each other's
cookie away.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from flask import Request, Response
from itsdangerous import BadSignature, Signer

from sandbox.agreed import made_once
from sandbox.settings import MIN_SECRET_CHARACTERS, Settings

SECRET_FILE = "cookie_secret"  # noqa: S105 - the name of its file

LIFE_SECONDS = 400 * 24 * 3600
"""As long as browsers keep one: https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html#section-5.5"""

CONTENT = re.compile("page:[0-9a-f]{32}|key:[0-9a-f]{64}")


def secret_of(settings: Settings) -> str:
    """What cookies are signed with: the setting, or what the data folder has, made there if it is not yet.

    :raises OSError: when the folder cannot be written, or what it has is no secret.
    """
    if settings.cookie_secret:
        return settings.cookie_secret
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.data_dir / SECRET_FILE
    secret = made_once(path, secrets.token_hex(32))
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise OSError(f"{path} is damaged; removed, it is made anew, and browsers lose who they were")
    return secret


def new_page() -> str:
    """The content of a new page's cookie."""
    return f"page:{secrets.token_hex(16)}"


def of_key(key_hash: str) -> str:
    """The content of a cookie that names a key."""
    return f"key:{key_hash}"


class Cookies:
    """Reads and writes them."""

    def __init__(self, secret: str) -> None:
        self.name = "sce_" + hmac.digest(secret.encode(), b"name of the cookie", "sha256").hex()[:12]
        self._signer = Signer(secret, salt="owner", key_derivation="hmac", digest_method=hashlib.sha256)

    def read(self, request: Request) -> str:
        """The content of the cookie that we have set; empty when there is none."""
        for value in request.cookies.getlist(self.name):
            try:
                content = self._signer.unsign(value).decode()
            except BadSignature:
                continue
            if CONTENT.fullmatch(content):
                return content
        return ""

    def write(self, response: Response, content: str, *, is_secure: bool) -> None:
        """Set the cookie; with empty content, take it away."""
        value = self._signer.sign(content).decode() if content else ""
        life = LIFE_SECONDS if content else 0
        response.set_cookie(self.name, value, max_age=life, httponly=True, samesite="Lax", secure=is_secure)
