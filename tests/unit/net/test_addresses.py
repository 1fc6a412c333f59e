"""What may be dialled, and what never."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.net.addresses import refusal

NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "febf::1", "fd00:ec2::254", "100.100.100.200",
    "168.63.129.16", "192.0.0.192", "224.0.0.1", "239.1.1.1", "ff02::1", "0.0.0.0", "0.1.2.3", "::",
    "255.255.255.255", "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe", "64:ff9b::1", "::ffff:0:0.0.0.1", "2002:a9fe:a9fe::1", "::ffff:0:169.254.169.254",
    "2001:db8::5efe:a9fe:a9fe", "2001:db8::200:5efe:a9fe:a9fe",
    "2001:0:4136:e378:8000:63bf:5601:5601",  # Teredo: the client's address is stored inverted
]  # fmt: skip
NOT_PUBLIC = [
    "127.0.0.1", "127.255.255.254", "::1", "10.0.0.1", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "100.64.0.1", "100.127.255.255", "fc00::1", "fd12::1", "fec0::1", "192.0.2.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1", "2001:db8::1", "100::1",
    "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "4000::1", "::2",
    "5f00::1", "3fff::1", "2001:2::1", "192.88.99.1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1",
    "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("text", NEVER)
@pytest.mark.parametrize("public_only", [False, True])
def test_some_addresses_are_never_dialled(text: str, public_only: bool) -> None:
    """T56: link-local, metadata, multicast, in every wrapping."""
    assert refusal(ipaddress.ip_address(text), public_only=public_only)


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_private_addresses_are_refused_only_when_asked_for(text: str) -> None:
    """T56: loopback, private and reserved ones with ``public_only``."""
    address = ipaddress.ip_address(text)
    assert refusal(address, public_only=True)
    if text not in ("::2",):  # an IPv4-compatible form of 0.0.0.2
        assert not refusal(address, public_only=False)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_dialled(text: str) -> None:
    assert refusal(ipaddress.ip_address(text), public_only=True) == ""


@given(st.ip_addresses())
def test_what_python_calls_not_global_is_never_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """T56: any address."""
    if not address.is_global and address not in ipaddress.ip_network("192.0.0.0/24"):
        assert refusal(address, public_only=True)


@given(st.ip_addresses(v=4))
@example(ipaddress.IPv4Address("0.0.0.1"))
def test_an_ipv4_address_is_judged_alike_in_every_wrapping(address: ipaddress.IPv4Address) -> None:
    """T56: mapped, NAT64, 6to4."""
    number = int(address)
    wrapped = [
        int(ipaddress.IPv6Address("::ffff:0:0")) + number,
        int(ipaddress.IPv6Address("64:ff9b::")) + number,
        int(ipaddress.IPv6Address("2002::")) + (number << 80),
    ]
    for form in wrapped:
        carried = ipaddress.IPv6Address(form)
        for public_only in (False, True):
            if refusal(address, public_only=public_only):
                assert refusal(carried, public_only=public_only), carried
