"""Names of folders: modified UTF-7 there and back (RFC 3501, 5.1.3), and no spelling is an error."""

from __future__ import annotations

from postroom.errors import FolderError, InvalidValue
from postroom.protocols.imap.names import Naming, check_name, decode_name, encode_name

__all__ = ["WORDS", "check"]

WORDS = (
    b"&", b"-", b"&-", b"&AOQ-", b"&2D3c5g-", b"&2D0-", b"&AAA-", b"&ACY-", b"INBOX", b"inbox.", b"/", b".",
    b"user.", b"+", b",", b"\xff", "ü".encode(), "\U0001f4e6".encode(), b"\0", b"\r\n", b"~", b'"', b"\\",
)  # fmt: skip
NAMINGS = (
    Naming(),
    Naming(".", b"INBOX.", (b"user.",)),
    Naming("", b""),
    Naming("/", b"", utf8=True),
    Naming("&", b"&-"),
)


def check(data: bytes) -> None:
    """A server's spelling, and what a person typed."""
    assert isinstance(decode_name(data).encode(), bytes)
    for naming in NAMINGS:
        assert isinstance(naming.from_wire(data).encode(), bytes)
    try:
        name = check_name(data.decode("utf-8", "surrogateescape"))
    except InvalidValue:
        return
    raw = encode_name(name)
    assert raw.isascii()
    assert decode_name(raw) == name
    for naming in NAMINGS:
        try:
            raw = naming.to_wire(name)
        except FolderError:
            continue
        assert not set(raw) & set(b"\r\n\0")
        assert naming.utf8 or raw.isascii()
