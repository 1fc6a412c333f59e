"""Names of folders: modified UTF-7 (RFC 3501, 5.1.3), and ``/`` for the server's own levels.

A person writes ``Done/2026``.  The server may want ``INBOX.Done.2026``: its separator and the
prefix of its personal namespace (RFC 2342) are put in on the way out and taken off on the way in.
Where UTF8=ACCEPT is on (RFC 6855, 3) names are UTF-8 and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from typing import Final

from postroom.errors import FolderError, InvalidValue

__all__ = ["Naming", "check_name", "decode_name", "encode_name"]

_SHIFTED: Final = re.compile(r"[^\x20-\x7e]+|&")
_ENCODED: Final = re.compile(rb"&([A-Za-z0-9+,]*)-")
_LONGEST: Final = 1000  # characters; servers stop far below, and a command line has to hold it


def encode_name(name: str) -> bytes:
    """``Entwürfe & mehr`` becomes ``Entw&APw-rfe &- mehr``."""

    def shift(match: re.Match[str]) -> str:
        text = match[0]
        if text == "&":
            return "&-"
        coded = base64.b64encode(text.encode("utf-16-be"), b"+,").rstrip(b"=")
        return f"&{coded.decode()}-"

    return _SHIFTED.sub(shift, name).encode("ascii")


def decode_name(raw: bytes) -> str:
    """The name a person reads.  What is no modified UTF-7 is taken for UTF-8, which some send."""

    def shift(match: re.Match[bytes]) -> bytes:
        coded = match[1]
        if not coded:
            return b"&"
        text = base64.b64decode(coded + b"=" * (-len(coded) % 4), b"+,", validate=True)
        return text.decode("utf-16-be").encode()

    try:
        if raw.isascii() and b"&" in raw:
            return _ENCODED.sub(shift, raw).decode()
    except (binascii.Error, UnicodeError):
        pass
    return raw.decode("utf-8", "replace")


def check_name(name: str) -> str:
    """The name, if it can be one.  Raises InvalidValue."""
    if not name or len(name) > _LONGEST:
        raise InvalidValue("folder", f"a folder's name has 1 to {_LONGEST} characters")
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        raise InvalidValue("folder", "a folder's name holds no line break and no control character")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidValue("folder", "it holds half a character; type it again") from None
    return name


@dataclasses.dataclass(frozen=True, slots=True)
class Naming:
    """How one server names folders: the separator, our prefix, and the prefixes of others."""

    separator: str = "/"
    prefix: bytes = b""
    foreign: tuple[bytes, ...] = ()
    utf8: bool = False

    def to_wire(self, name: str) -> bytes:
        """The server's spelling of a name.  Raises InvalidValue, FolderError."""
        check_name(name)
        if name.upper() == "INBOX":
            return b"INBOX"
        if "/" in name and not self.separator:
            raise FolderError(
                f"The server has no folders inside folders, so {name} cannot be there.",
                code="folder_missing",
            )
        own = name.replace("/", self.separator) if self.separator else name
        raw = own.encode() if self.utf8 else encode_name(own)
        if self._begins(raw, self.prefix) or any(self._begins(raw, p) for p in self.foreign):
            return raw
        if raw[:5].upper() == b"INBOX" and raw[5:6] == self.separator.encode():
            return raw
        return self.prefix + raw

    def from_wire(self, raw: bytes) -> str:
        """The name a person sees."""
        if raw.upper() == b"INBOX":
            return "INBOX"
        if self._begins(raw, self.prefix) and len(raw) > len(self.prefix):
            raw = raw[len(self.prefix) :]
        name = raw.decode("utf-8", "replace") if self.utf8 else decode_name(raw)
        if self.separator in {"", "/"}:
            return name
        return name.replace(self.separator, "/")

    @staticmethod
    def _begins(raw: bytes, prefix: bytes) -> bool:
        # "INBOX" is the same in any case of letters, the rest is not
        return bool(prefix) and (
            raw.startswith(prefix)
            or (prefix.upper() == b"INBOX." and raw[: len(prefix)].upper() == prefix.upper())
        )
