"""Host names as people write them, made into the one form we dial (IDNA 2008, RFC 5891; UTS 46)."""

from __future__ import annotations

import functools
import ipaddress
import re

import idna

from postroom.errors import InvalidValue

__all__ = [
    "Address",
    "address_of",
    "canonical_host",
    "check_port",
    "host_and_port",
    "is_loopback",
    "parse_port",
    "parse_proxy",
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PROXY = re.compile(r"(?:http://)?(?P<host>\[[^\]]+\]|[^\[\]:/@\s]+):(?P<port>[0-9]+)/?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_V6_LETTERS = frozenset("0123456789abcdefABCDEF:.")
_NO_NAME = "this is no host name; write it like imap.example.com"
LONGEST = 253  # characters of a name without its final dot, RFC 1035


def canonical_host(text: str, *, field: str = "host") -> str:
    """The host as we compare and dial it: a lower-case A-label name or the text of an address.

    No final dot, no brackets; ``::ffff:192.0.2.1`` becomes ``192.0.2.1``, since both are the same
    to the kernel.  Raises InvalidValue, also for the spellings of an IPv4 address that C libraries
    accept (``127.1``, ``0x7f000001``, ``2130706433``, ``0177.0.0.1``): what is checked must be what
    is dialled.  The ASCII form may hold underscores, which names inside container networks have.
    """
    try:
        return _known_host(text)
    except InvalidValue:
        return _host(text, field)  # which names the field


def _host(text: str, field: str) -> str:
    if not text or text != text.strip():
        raise InvalidValue(field, "give a host name or an address, without spaces around it.")
    if ":" in text:
        return str(_address_v6(text, field))
    name = _remapped(text, field)
    last = name.rpartition(".")[2]
    if _NUMBER.fullmatch(last):
        return str(_address_v4(name, field))
    if len(name) > LONGEST:
        raise InvalidValue(field, f"a host name has at most {LONGEST} characters.")
    for label in name.split("."):
        _check_label(label, field)
    return name


@functools.lru_cache(4096)  # whatever moves a destination reads the host of every connection
def _known_host(text: str) -> str:
    return _host(text, "host")


def address_of(host: str) -> Address | None:
    """The address a canonical host is, or None when it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@functools.lru_cache(4096)
def is_loopback(host: str) -> bool:
    """Whether a canonical host is this machine itself: what is sent there passes no network."""
    address = address_of(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")  # RFC 6761, 6.3


def host_and_port(host: str, port: int) -> str:
    """``host:port`` for people and for canonical lines; an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_port(port: int, *, field: str = "port") -> int:
    """The port, if it is one.  Raises InvalidValue."""
    if not 1 <= port <= 65535:
        raise InvalidValue(field, "a port is a number from 1 to 65535")
    return port


def parse_port(text: str, *, field: str = "port") -> int:
    """A port as people write it.  Raises InvalidValue."""
    digits = text.isascii() and text.isdigit() and len(text) <= 5
    return check_port(int(text) if digits else 0, field=field)


def parse_proxy(text: str, *, field: str = "proxy") -> tuple[str, int]:
    """``HOST:PORT`` of an HTTP proxy, also as ``http://HOST:PORT``, as a canonical host and a number.

    Raises InvalidValue.
    """
    match = _PROXY.fullmatch(text.strip())
    if match is None:
        raise InvalidValue(field, "give HOST:PORT, such as proxy.example.com:3128")
    return canonical_host(match["host"], field=field), parse_port(match["port"], field=field)


def _remapped(text: str, field: str) -> str:
    """The name in lower-case ASCII; UTS 46 also maps full-width digits and dots to plain ones."""
    try:
        name = idna.uts46_remap(text, std3_rules=False).removesuffix(".")
        if name.isascii():
            return name
        return ".".join(
            label if label.isascii() else idna.alabel(label).decode() for label in name.split(".")
        )
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidValue(field, f"{_NO_NAME}.") from error


def _check_label(label: str, field: str) -> None:
    if not _LABEL.fullmatch(label):
        raise InvalidValue(field, f"{_NO_NAME}, without port or path.")
    if label.startswith("xn--"):
        try:
            idna.ulabel(label)
        except (idna.IDNAError, UnicodeError) as error:
            raise InvalidValue(field, "the part that starts with xn-- is not valid.") from error


def _address_v4(name: str, field: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(name)
    except ValueError as error:
        raise InvalidValue(
            field, "write an IPv4 address as four decimal numbers, like 192.0.2.1."
        ) from error


def _address_v6(text: str, field: str) -> Address:
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if "%" in inner:
        raise InvalidValue(field, "an address with a zone (after %) cannot be used.")
    try:
        if not _V6_LETTERS.issuperset(inner):
            raise ValueError
        address = ipaddress.IPv6Address(inner)
    except ValueError as error:
        raise InvalidValue(
            field, "this is no host name and no address; the port is given apart from the host."
        ) from error
    return address.ipv4_mapped or address
