"""Which addresses may be dialled: what is refused always, and what is not the public internet.

An IPv6 address can carry an IPv4 address (mapped RFC 4291, NAT64 RFC 6052, 6to4 RFC 3056,
IPv4-compatible RFC 4291, Teredo RFC 4380).  A relay or a kernel may turn it back, so whatever is
carried is judged as well.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from postroom.net.names import Address

__all__ = ["refusal"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _table(rows: dict[str, str]) -> list[tuple[Network, str]]:
    return [(ipaddress.ip_network(net), why) for net, why in rows.items()]


# Cloud metadata services give out machine credentials to whoever can ask.  Most are link-local; the
# others: EC2 over IPv6, Alibaba, Oracle, and Azure's platform address.
_ALWAYS = _table(
    {
        "169.254.169.254/32": "a metadata service",
        "fd00:ec2::254/128": "a metadata service",
        "fd20:ce::254/128": "a metadata service",
        "100.100.100.200/32": "a metadata service",
        "192.0.0.192/32": "a metadata service",
        "168.63.129.16/32": "a metadata service",
        "169.254.0.0/16": "link-local",
        "fe80::/10": "link-local",
        "224.0.0.0/4": "multicast",
        "ff00::/8": "multicast",
        "255.255.255.255/32": "broadcast",
        "0.0.0.0/8": "unspecified",
        "::/128": "unspecified",
    }
)
# RFC 6890 and its registry: what is not reachable over the internet, or not for hosts.
_NOT_PUBLIC = _table(
    {
        "127.0.0.0/8": "loopback",
        "::1/128": "loopback",
        "10.0.0.0/8": "private",
        "172.16.0.0/12": "private",
        "192.168.0.0/16": "private",
        "100.64.0.0/10": "shared by a carrier (RFC 6598)",
        "fc00::/7": "private (unique local)",
        "fec0::/10": "site-local",
        "192.0.0.0/24": "reserved",
        "192.0.2.0/24": "for documentation",
        "192.88.99.0/24": "reserved",
        "198.18.0.0/15": "for benchmarks",
        "198.51.100.0/24": "for documentation",
        "203.0.113.0/24": "for documentation",
        "240.0.0.0/4": "reserved",
        "64:ff9b:1::/48": "a private translation prefix",
        "100::/64": "a discard prefix",
        "2001::/23": "reserved",
        "2001:db8::/32": "for documentation",
        "3fff::/20": "for documentation",
        "5f00::/16": "reserved",
    }
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_TRANSLATED = ipaddress.IPv6Network("::ffff:0:0:0/96")  # RFC 2765
_LOOPBACK = ipaddress.IPv6Address(1)  # ::1 lies in the compatible prefix and carries nothing
_ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214: the interface identifier names an IPv4 address


def refusal(address: Address, *, public_only: bool) -> str:
    """Why this address is not dialled, in a few words; an empty text when it may be."""
    for one in _carried(address):
        tables = _ALWAYS + _NOT_PUBLIC if public_only else _ALWAYS
        for network, why in tables:
            if one.version == network.version and one in network:
                return why
    if public_only and isinstance(address, ipaddress.IPv6Address) and not _may_be_public(address):
        return "reserved"
    return ""


def _may_be_public(address: ipaddress.IPv6Address) -> bool:
    return address in _GLOBAL_V6 or address in _NAT64[0] or address.ipv4_mapped is not None


def _carried(address: Address) -> Iterator[Address]:
    """The address itself and every IPv4 address inside it."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    ends_in_v4 = any(address in prefix for prefix in (*_NAT64, _TRANSLATED, _COMPATIBLE))
    isatap = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    if (ends_in_v4 and address != _LOOPBACK) or isatap:
        yield low
