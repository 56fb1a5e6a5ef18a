"""Who counts as one client."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.addresses import group, parse, share_of
from sandbox.models import Caller


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_a_client_also_inside_ipv6(address: IPv4Address) -> None:
    assert group(str(address)) == group(f"::ffff:{address}") == str(address)


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1), st.integers(0, 63))
def test_an_ipv6_network_of_64_bits_is_a_client(address: IPv6Address, host: int, bit: int) -> None:
    """Whatever its hosts are; and with any other bit it is another one."""
    network = int(address) >> 64 << 64
    if network == 0:
        return  # of which some addresses are IPv4's
    assert group(str(IPv6Address(network | host))) == group(str(address)) == str(IPv6Network((network, 64)))
    assert group(str(IPv6Address(network ^ (1 << 64 + bit)))) != group(str(address))


def test_the_zone_of_an_address_does_not_count() -> None:
    assert group("fe80::1%eth0") == group("fe80::2")


@pytest.mark.parametrize("text", ["", "unknown", "unix:", "1.2.3", "1.2.3.4:80", "[::1]", "1.2.3.4, 5.6.7.8", "\x00"])
def test_what_is_no_address_is_a_client_of_its_own(text: str) -> None:
    assert parse(text) is None
    assert group(text) == text


@given(st.text())
def test_nothing_fails(text: str) -> None:
    assert isinstance(group(text), str)


def test_nobody_is_his_address() -> None:
    assert share_of(Caller("192.0.2.1")) == ("192.0.2.1", "192.0.2.1")
    assert share_of(Caller("2001:db8::1", owner="page:7")) == ("2001:db8::/64", "page:7")
