"""What an address says of whom it belongs to. Knows nothing of requests.

Whoever has one address of IPv6 mostly has the other 2^64 of its network as well.
"""

from __future__ import annotations

import functools
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from sandbox.models import Caller


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """The address, without its zone (`fe80::1%eth0`), and as IPv4 what is IPv4 inside IPv6; None for anything else."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@functools.lru_cache(1024)
def group(text: str) -> str:
    """Who counts as one client: an IPv4 address, or the /64 network of an IPv6 one. What is no address is itself."""
    address = parse(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), 64), strict=False))
    return str(address or text)


def share_of(caller: Caller) -> tuple[str, str]:
    """Whose share of the service a run takes: that of an address and, of this, an owner's. Nobody is his address."""
    address = group(caller.address)
    return address, caller.owner or address
