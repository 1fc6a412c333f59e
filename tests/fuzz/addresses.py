"""Addresses: what we send to is what was given or refused; what we read is believed or flagged."""

from __future__ import annotations

from postroom.errors import InvalidValue
from postroom.mail import parse_addresses, read_addresses
from postroom.protocols.smtp.commands import rcpt

__all__ = ["WORDS", "check"]

WORDS = (
    b"a@x.org", b"Jo <", b">", b"<", b'"', b"\\", b",", b";", b":", b"(", b")", b"@", b".", b"[192.0.2.1]",
    b"[IPv6:::1]", b"=?utf-8?q?", b"?=", b"_", "é".encode(), b"xn--", "\u2028".encode(), b"\r\n ", b"\0",
    b"Friends: ", b"undisclosed-recipients:;", "bücher.example".encode(), b" ", b"\xff", "\u202e".encode(),
)  # fmt: skip


def check(data: bytes) -> None:
    """The bytes as a field that was received, and as what a person typed."""
    for charset in (None, "iso-2022-jp"):
        for each in read_addresses(data, charset):
            assert bool(each.address) != bool(each.problem)
            assert isinstance(str(each).encode(), bytes)
            assert not set(str(each)) & set("\r\n\0\x1b")
            assert not set(each.address) & set("\u202e\u2066\u200f\x7f\x85"), each
    text = data.decode("utf-8", "replace")
    try:
        found = parse_addresses(text)
    except InvalidValue:
        return
    for each in found:
        assert not set(each.envelope) & set("\r\n\0<>,; ")
        assert parse_addresses(str(each)) == [each]
        if each.envelope.isascii():
            assert rcpt(each.envelope) == b"RCPT TO:<%s>\r\n" % each.envelope.encode()
