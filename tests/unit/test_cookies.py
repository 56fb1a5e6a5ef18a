"""The cookie that says who a browser is: made once, signed, kept from scripts; the secret it is signed with."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest
from flask import Request, Response
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.http import parse_cookie
from werkzeug.test import EnvironBuilder

from sandbox.agreed import made_once
from sandbox.settings import SettingsError, load
from tests.conftest import ROOT
from web.cookies import SECRET_FILE, Cookies, of_key, secret_of

COOKIES = Cookies("s" * 32)
PAGE = "page:" + "0f" * 16


def written(cookies: Cookies, content: str, *, is_secure: bool = False) -> str:
    """What a browser is told to keep."""
    response = Response()
    cookies.write(response, content, is_secure=is_secure)
    (header,) = response.headers.getlist("Set-Cookie")
    return header


def value_of(header: str) -> str:
    return header.partition(";")[0].partition("=")[2]


def read(cookies: Cookies, *values: str, name: str = "") -> str:
    header = "; ".join(f"{name or cookies.name}={value}" for value in values)
    return cookies.read(Request(EnvironBuilder().get_environ() | {"HTTP_COOKIE": header}))


@pytest.mark.parametrize("content", [PAGE, of_key("0" * 64)])
def test_what_was_written_is_read(content: str) -> None:
    assert read(COOKIES, value_of(written(COOKIES, content))) == content


def test_no_script_and_no_other_site_gets_it() -> None:
    parts = written(COOKIES, PAGE).split("; ")[1:]
    assert {part for part in parts if not part.startswith("Expires")} == {
        "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=34560000",
    }  # fmt: skip
    assert "; Secure" in written(COOKIES, PAGE, is_secure=True)


def test_the_name_is_the_secrets_own_and_does_not_tell_it() -> None:
    other = Cookies("t" * 32)
    assert other.name != COOKIES.name == Cookies("s" * 32).name
    assert read(other, value_of(written(COOKIES, PAGE))) == ""
    assert read(other, value_of(written(COOKIES, PAGE)), name=other.name) == ""


def test_another_one_of_the_same_name_does_not_hide_it() -> None:
    assert read(COOKIES, "page:forged", value_of(written(COOKIES, PAGE))) == PAGE


values = st.text(st.characters(codec="utf-8")) | st.builds(
    lambda content, signature: f"{content}.{signature}",
    st.sampled_from([PAGE, of_key("0" * 64), "page:", ""]),
    st.text(st.characters(codec="ascii")),
)


@given(values)
@hypothesis_settings(database=None)
def test_nothing_forged_is_read(value: str) -> None:
    assert read(COOKIES, value.encode().decode("latin-1")) == ""


@given(st.integers(0, 80), st.characters(codec="ascii"))
@hypothesis_settings(database=None)
def test_a_cookie_with_one_letter_changed_is_none_or_the_same(place: int, letter: str) -> None:
    value = value_of(written(COOKIES, PAGE))
    changed = value[:place] + letter + value[place + 1 :]
    assert read(COOKIES, changed) in ("", PAGE)
    (sent,) = parse_cookie(f"a={changed}").getlist("a")[:1] or [""]
    if sent.partition(".")[0] != PAGE:
        assert read(COOKIES, changed) == ""


# --- The secret -----------------------------------------------------------------------------------------------


def test_the_secret_is_made_at_the_first_start_for_its_owners_eyes_only(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path / "new" / "data")
    secret = secret_of(settings)
    path = settings.data_dir / SECRET_FILE
    assert len(secret) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in settings.data_dir.iterdir()] == [SECRET_FILE]
    assert secret_of(settings) == secret


def test_a_secret_that_is_set_is_used_and_nothing_is_written(tmp_path: Path) -> None:
    assert secret_of(load(data_dir=tmp_path / "data", cookie_secret="x" * 32)) == "x" * 32
    assert not (tmp_path / "data").exists()


def test_a_short_secret_is_refused_without_being_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SCE_COOKIE_SECRET: a secret has at least 32 characters") as caught:
        load(cookie_secret="hunter2")
    assert "hunter2" not in str(caught.value)
    assert "x" * 32 not in repr(load(cookie_secret="x" * 32))


@pytest.mark.parametrize("content", ["", "short\n"])
def test_a_damaged_file_stops_the_start(tmp_path: Path, content: str) -> None:
    (tmp_path / SECRET_FILE).write_text(content)
    with pytest.raises(OSError, match="damaged"):
        secret_of(load(data_dir=tmp_path))


START = """
import sys
from sandbox.settings import load
from web.cookies import secret_of
print("ready", flush=True)
for folder in sys.stdin:
    print(secret_of(load(data_dir=folder.strip())), flush=True)
"""


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    starts = [
        subprocess.Popen([sys.executable, "-c", START], stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT) for _ in range(4)
    ]
    for start in starts:
        assert start.stdout and start.stdout.readline() == "ready\n"
    for number in range(20):
        folder = tmp_path / str(number)
        for start in starts:
            assert start.stdin
            start.stdin.write(f"{folder}\n")
            start.stdin.flush()
        seen = {start.stdout.readline() for start in starts if start.stdout}
        assert len(seen) == 1, seen
        assert [path.name for path in folder.iterdir()] == [SECRET_FILE]
    for start in starts:
        start.communicate(timeout=30)


def test_what_could_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        made_once(tmp_path / "missing" / "file", "x")
    with pytest.raises(UnicodeEncodeError):
        made_once(tmp_path / "file", "\udc80")
    assert list(tmp_path.iterdir()) == []
