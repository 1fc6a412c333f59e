"""SMTP commands as bytes; NUL, CR, LF and what is too long are refused (RFC 5321, 4.1)."""

from __future__ import annotations

import re
from typing import Final

from postroom.errors import InvalidValue

__all__ = [
    "DATA",
    "NOOP",
    "QUIT",
    "RSET",
    "STARTTLS",
    "auth",
    "ehlo",
    "helo",
    "mail",
    "rcpt",
]

DATA: Final = b"DATA\r\n"
NOOP: Final = b"NOOP\r\n"
QUIT: Final = b"QUIT\r\n"
RSET: Final = b"RSET\r\n"
STARTTLS: Final = b"STARTTLS\r\n"

# What a path may not hold even between quotes: controls would end the line, the brackets the path.
_NEVER = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_OUTSIDE_QUOTES = re.compile(r'[\s<>,;:\\"()]')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL = re.compile(r"\[[0-9A-Za-z:.\-]+\]")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Za-z:.]+\]")


def ehlo(name: str) -> bytes:
    """EHLO with our name: a domain name or an address literal.  Raises InvalidValue."""
    return b"EHLO " + _hello(name) + b"\r\n"


def helo(name: str) -> bytes:
    """HELO, for servers older than EHLO.  Raises InvalidValue."""
    return b"HELO " + _hello(name) + b"\r\n"


def auth(mechanism: str, initial: bytes | None) -> bytes:
    """AUTH, with the initial response in base64 if there is one (RFC 4954)."""
    line = b"AUTH " + mechanism.encode("ascii")
    return line + (b" " + initial if initial is not None else b"") + b"\r\n"


def mail(sender: str, *, size: int = 0, eight_bit: bool = False, utf8: bool = False) -> bytes:
    """MAIL FROM; an empty sender is the null path of notifications.

    ``size`` in bytes (RFC 1870), ``eight_bit`` asks for BODY=8BITMIME (RFC 6152), ``utf8`` for
    SMTPUTF8 (RFC 6531).  Raises InvalidValue for an address that cannot be sent.
    """
    line = b"MAIL FROM:<" + (_path("sender", sender, utf8=utf8) if sender else b"") + b">"
    if size:
        line += b" SIZE=%d" % size
    if eight_bit:
        line += b" BODY=8BITMIME"
    if utf8:
        line += b" SMTPUTF8"
    return line + b"\r\n"


def rcpt(recipient: str, *, utf8: bool = False) -> bytes:
    """RCPT TO.  Raises InvalidValue for an address that cannot be sent."""
    return b"RCPT TO:<" + _path("recipient", recipient, utf8=utf8) + b">\r\n"


def _hello(name: str) -> bytes:
    if len(name) > 255 or not _NAME.fullmatch(name):
        raise InvalidValue("hello", "give a host name or an address in square brackets")
    return name.encode("ascii")


def _path(field: str, address: str, *, utf8: bool) -> bytes:
    """The address as it stands between < and >: one local part, one domain, nothing else."""
    if _NEVER.search(address):
        raise InvalidValue(field, "the address holds a line break or a control character")
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise InvalidValue(field, "give an address such as name@example.com")
    local_fits = _QUOTED.fullmatch(local) or not (_OUTSIDE_QUOTES.search(local) or "@" in local)
    domain_fits = _LITERAL.fullmatch(domain) or not _OUTSIDE_QUOTES.search(domain)
    if not local_fits or not domain_fits:
        raise InvalidValue(field, "the address holds a character that has no place there")
    try:
        encoded = address.encode("utf-8" if utf8 else "ascii")
    except UnicodeEncodeError:
        raise InvalidValue(field, "the address is not ASCII; this takes SMTPUTF8") from None
    if len(encoded) > 320:  # 64 for the local part, 255 for the domain: RFC 5321, 4.5.3.1
        raise InvalidValue(field, "the address is longer than 320 bytes")
    return encoded
