"""Behind a proxy: whose request it is, by which scheme and for which host, and whom nobody believes."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sandbox.addresses import parse
from sandbox.settings import Settings, SettingsError, load
from tests.fakes import FakeExecutor, serving, web_app
from tests.wire import connect, read_answer
from web.proxies import UNKNOWN, TrustedProxies

PROXY, INNER, STRANGER = "127.0.0.2", "127.0.1.3", "127.0.0.3"
TRUSTED = ("127.0.0.2", "127.0.1.0/24", "2001:db8:1::/64")
NETWORKS = [ip_network(network) for network in TRUSTED]


def seen(peer: str | None, **headers: str) -> dict[str, Any]:
    """The environment that the application sees of a request from this peer."""
    found: list[dict[str, Any]] = []
    environ: dict[str, Any] = {"wsgi.url_scheme": "http", "HTTP_HOST": "localhost"}
    environ |= {f"HTTP_X_FORWARDED_{name.upper()}": value for name, value in headers.items()}
    if peer is not None:
        environ["REMOTE_ADDR"] = peer

    def app(environ: dict[str, Any], _: Any) -> list[bytes]:
        found.append(environ)
        return []

    TrustedProxies(app, NETWORKS)(environ, lambda *_: lambda _: None)
    return found[0]


def caller(peer: str | None, header: str) -> str:
    address: str = seen(peer, **{"for": header})["REMOTE_ADDR"]
    return address


# --- The address ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("203.0.113.5:4711", "203.0.113.5"),
        ("2001:db8::5", "2001:db8::5"),
        ("[2001:db8::5]", "2001:db8::5"),
        ("[2001:db8::5]:4711", "2001:db8::5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("fe80::5%eth0", "fe80::5"),
        ("198.51.100.9, 203.0.113.5", "203.0.113.5"),
        ("198.51.100.9,203.0.113.5, 127.0.1.9 ,127.0.0.2", "203.0.113.5"),
        ("203.0.113.5, 2001:db8:1::7", "203.0.113.5"),
        ("127.0.1.9, 127.0.1.8", "127.0.1.9"),
        (", ,203.0.113.5", "203.0.113.5"),
        (", ".join(["198.51.100.9"] * 1000), "198.51.100.9"),
        (", ".join(["203.0.113.5", *["127.0.1.9"] * 1000]), "203.0.113.5"),
    ],
)
def test_the_caller_is_the_first_from_the_right_that_is_no_trusted_proxy(header: str, address: str) -> None:
    assert caller(PROXY, header) == address


@pytest.mark.parametrize(
    "garbage",
    ["", ",", "unknown", "_hidden", "unix:", "203.0.113", "203.0.113.500", "203.0.113.5:x", "[::1", "203.0.113.5]",
     "[203.0.113.5", "203.0.113.5 198.51.100.9", "0x7f000001", "2130706433", "\x00", "é", "1" * 30_000,
     '"203.0.113.5"'],
)  # fmt: skip
def test_what_makes_no_sense_is_the_proxys_own(garbage: str) -> None:
    """Never that of who stands further left, which anybody may have written."""
    assert caller(PROXY, garbage) == PROXY
    assert caller(PROXY, f"203.0.113.5, {garbage}, 127.0.1.9") == "127.0.1.9"


@pytest.mark.parametrize("peer", [STRANGER, "127.0.0.1", "::1", "203.0.113.9", "unix:", "localhost"])
def test_nobody_else_is_believed(peer: str) -> None:
    environ = seen(peer, **{"for": "203.0.113.5", "proto": "https", "host": "run.example"})
    assert environ["REMOTE_ADDR"] == peer
    assert (environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("http", "localhost")


@pytest.mark.parametrize("peer", ["", None])
def test_who_has_no_address_is_not_this_process_itself(peer: str | None) -> None:
    """Which has no quota. A server that listens on a Unix socket gives none."""
    assert caller(peer, "203.0.113.5") == UNKNOWN


def test_a_proxy_is_known_by_its_ipv4_address_also_over_ipv6() -> None:
    assert caller("::ffff:127.0.0.2", "203.0.113.5") == "203.0.113.5"


@given(st.text(st.characters(codec="latin-1"), max_size=200), st.ip_addresses())
@hypothesis_settings(deadline=None)
def test_nothing_that_a_caller_writes_makes_him_another(spoofed: str, real: IPv4Address | IPv6Address) -> None:
    """The proxy adds the address that it sees to whatever was there."""
    assume(not any(real in network for network in NETWORKS))
    assert caller(PROXY, f"{spoofed}, {real}") == caller(PROXY, str(real)) == str(parse(str(real)))


@given(
    st.sampled_from([PROXY, INNER, STRANGER, "", "unix:"]),
    st.text(st.characters(codec="latin-1"), max_size=300),
    st.text(st.characters(codec="latin-1"), max_size=50),
    st.text(st.characters(codec="latin-1"), max_size=50),
)
@hypothesis_settings(deadline=None)
def test_no_header_makes_it_fail(peer: str, chain: str, scheme: str, host: str) -> None:
    environ = seen(peer, **{"for": chain, "proto": scheme, "host": host})
    assert environ["wsgi.url_scheme"] in ("http", "https")
    assert environ["REMOTE_ADDR"]


# --- Scheme and host ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chain", "told", "counts"),
    [
        ("203.0.113.5", "https", "https"),
        ("203.0.113.5", "HTTPS", "https"),
        ("203.0.113.5", "http, https", "https"),  # the caller wrote the first, the proxy added its own
        ("203.0.113.5, 127.0.1.3", "https, http", "https"),  # the outer proxy's, then the inner one's
        ("203.0.113.5, 127.0.1.3", "http, https, http", "https"),
        ("203.0.113.5, 127.0.1.3", "https", "https"),  # the inner one passed it on
        ("203.0.113.5", "https, ftp", "http"),
        ("203.0.113.5", "javascript", "http"),
        ("203.0.113.5", "", "http"),
        ("", "https", "https"),
    ],
)
def test_the_scheme_is_what_the_outermost_trusted_proxy_says(chain: str, told: str, counts: str) -> None:
    assert seen(PROXY, **{"for": chain, "proto": told})["wsgi.url_scheme"] == counts


@pytest.mark.parametrize(
    ("told", "counts"),
    [("run.example", "run.example"), ("evil.example, run.example:8443", "run.example:8443"), ("", "localhost")],
)
def test_the_host_is_what_the_outermost_trusted_proxy_says(told: str, counts: str) -> None:
    assert seen(PROXY, **{"for": "203.0.113.5", "host": told})["HTTP_HOST"] == counts


# --- Over a connection ----------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(trusted_proxies=TRUSTED, allowed_hosts=("run.example",), port=0, data_dir=tmp_path)


def post(url: str, source: str, *headers: str, host: str = "localhost") -> tuple[int, dict[str, Any]]:
    """Status and JSON of the answer to a run that is asked for from that address."""
    body = json.dumps({"code": "1"})
    lines = [
        "POST /run HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {len(body)}",
        *headers,
    ]  # fmt: skip
    with connect(url, source) as connection:
        connection.sendall("\r\n".join([*lines, "", body]).encode("latin-1"))
        status, _, answer = read_answer(connection)
    return status, answer


def test_a_run_belongs_to_the_address_that_a_trusted_proxy_names(url: str, executor: FakeExecutor) -> None:
    for source in (PROXY, STRANGER, INNER):
        assert post(url, source, "X-Forwarded-For: 203.0.113.5")[0] == 200
    assert post(url, PROXY, "X-Forwarded-For: 198.51.100.9", "X-Forwarded-For: 203.0.113.5")[0] == 200
    addresses = [request.caller.address for request in executor.requests]
    assert addresses == ["203.0.113.5", STRANGER, "203.0.113.5", "203.0.113.5"]


def test_the_page_behind_tls_may_use_its_own_server(url: str) -> None:
    own = ("Origin: https://run.example", "Sec-Fetch-Site: same-origin", "X-Forwarded-For: 203.0.113.5")
    assert post(url, PROXY, *own, host="run.example")[1]["code"] == "foreign_origin"
    assert post(url, PROXY, *own, "X-Forwarded-Proto: https", host="run.example")[0] == 200
    assert post(url, PROXY, *own, "X-Forwarded-Proto: https", "X-Forwarded-Host: run.example")[0] == 200
    assert post(url, STRANGER, *own, "X-Forwarded-Proto: https", host="run.example")[1]["code"] == "foreign_origin"


@pytest.mark.parametrize(
    "host", ["evil.example", "run.example, evil.example", "run.example:x", "a b", "\xe9", "[", "@"]
)
def test_a_host_that_a_proxy_names_is_checked_like_any(url: str, host: str) -> None:
    status, answer = post(url, PROXY, f"X-Forwarded-Host: {host}")
    assert (status, answer["code"]) == (400, "bad_host")


def test_a_foreign_page_is_refused_behind_a_proxy_as_well(url: str) -> None:
    told = ("X-Forwarded-Proto: https", "X-Forwarded-Host: run.example")
    assert post(url, PROXY, *told, "Origin: https://evil.example")[1]["code"] == "foreign_origin"
    assert post(url, PROXY, *told, "Origin: http://run.example")[1]["code"] == "foreign_origin"


@pytest.mark.parametrize("header", ["For", "Proto", "Host"])
def test_a_header_of_a_thousand_entries_is_answered(url: str, header: str) -> None:
    assert post(url, PROXY, f"X-Forwarded-{header}: {', '.join(['127.0.0.2'] * 1000)}")[0] in (200, 400)
    assert post(url, PROXY, *[f"X-Forwarded-{header}: 127.0.0.2"] * 200)[0] in (200, 400)


def test_cookies_are_secure_where_the_proxy_speaks_https(settings: Settings) -> None:
    app = web_app(settings)

    def cookie(peer: str, scheme: str) -> str:
        headers = {"Host": "run.example", "X-Forwarded-Proto": scheme}
        return app.test_client().get("/", headers=headers, environ_base={"REMOTE_ADDR": peer}).headers["Set-Cookie"]

    assert "; Secure" in cookie(PROXY, "https")
    assert "; Secure" not in cookie(PROXY, "http")
    assert "; Secure" not in cookie(STRANGER, "https")
    app.extensions["database"].close()


def test_without_the_setting_no_proxy_is_trusted(tmp_path: Path) -> None:
    executor = FakeExecutor()
    with serving(load(port=0, data_dir=tmp_path), executor) as url:
        post(url, "127.0.0.1", "X-Forwarded-For: 203.0.113.5")
    assert [request.caller.address for request in executor.requests] == ["127.0.0.1"]


# --- The setting ----------------------------------------------------------------------------------------------


def test_addresses_and_networks_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCE_TRUSTED_PROXIES", "192.0.2.1, 10.0.0.0/8 ,2001:db8::/32,::1")
    assert [str(network) for network in load().trusted_proxies] == [
        "192.0.2.1/32", "10.0.0.0/8", "2001:db8::/32", "::1/128",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", ["*", "proxy.example", "10.0.0.1/8", "192.0.2.1:80", "[::1]", "1", "192.0.2.1 ::1"])
def test_anything_else_stops_the_start(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("SCE_TRUSTED_PROXIES", wrong)
    with pytest.raises(SettingsError, match="SCE_TRUSTED_PROXIES"):
        load()
