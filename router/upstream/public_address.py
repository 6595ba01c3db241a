"""Which addresses are out on the public internet, where a stranger's URL may lead us.

What is meant for one machine, one network, one link, a group or a book of examples is not, and neither is an
address that only wraps another and would be unwrapped on the way. For IPv6 the public part is the small one
and is named; for IPv4 it is the other way round. Source: IANA's registries of special-purpose addresses; and
the two clouds whose metadata services have addresses outside of them.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address


def _networks4(ranges: Iterable[str]) -> tuple[IPv4Network, ...]:
    return tuple(map(IPv4Network, ranges))


def _networks6(ranges: Iterable[str]) -> tuple[IPv6Network, ...]:
    return tuple(map(IPv6Network, ranges))


_CLOSED_4: Final = _networks4(
    (
        "0.0.0.0/8",  # this network; 0.0.0.0 reaches the machine itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # between a carrier and its customers; one cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # one cloud's host, in a public range
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; one cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_OPEN_6: Final = IPv6Network("2000::/3")  # global unicast
_CLOSED_6: Final = _networks6(
    (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, identifiers
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which wraps any IPv4 address
        "3fff::/20",  # documentation
    )
)
# What stands for an IPv4 address in earnest: sockets of both families, and networks without IPv4.
_WRAPPING_6: Final = _networks6(("::ffff:0:0/96", "64:ff9b::/96"))


def address_is_public(address: Address) -> bool:
    """Tell whether this is the address of one host on the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    if address.scope_id is not None:
        return False
    if any(address in network for network in _WRAPPING_6):
        return address_is_public(IPv4Address(address.packed[-4:]))
    return address in _OPEN_6 and not any(address in network for network in _CLOSED_6)
