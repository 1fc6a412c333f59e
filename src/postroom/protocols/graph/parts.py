"""The parts of a message found by one pass over its lines (RFC 2046): where each lies, not what.

A message of 150 MB is not held in memory: a part is an offset and a length in the file, decoded
while it is sent.
"""

from __future__ import annotations

import binascii
import dataclasses
import email
from collections.abc import Iterator
from email.message import Message as Fields
from typing import IO, Final

from postroom.errors import InvalidValue
from postroom.mail.filenames import extension_of, safe_name
from postroom.mail.headers import decode_header

__all__ = ["Leaf", "Taken", "take_apart"]

_LINE: Final = 64 * 1024
_HEAD: Final = 1024 * 1024
_DEEP: Final = 32
_MANY: Final = 1000
_PIECE: Final = 57 * 4 * 256  # bytes of base64 decoded at once, about 58 KB


@dataclasses.dataclass(slots=True)
class Leaf:
    """A part that holds something: from ``start`` to ``end`` in the file, encoded as it says."""

    fields: Fields
    start: int
    end: int = 0

    @property
    def content_type(self) -> str:
        """Small letters, without parameters; a multipart without parts is text."""
        said = self.fields.get_content_type()
        return "text/plain" if said.startswith("multipart/") else said

    @property
    def encoding(self) -> str:
        """``base64``, ``quoted-printable`` or another, which is none."""
        return str(self.fields.get("content-transfer-encoding", "")).strip().lower()

    @property
    def attached(self) -> bool:
        """Whether it is a file for whoever reads, and no text to be shown."""
        return self.fields.get_content_disposition() == "attachment" or bool(self.file_name)

    @property
    def file_name(self) -> str:
        """The name it came with, or nothing."""
        return decode_header(str(self.fields.get_filename() or ""))

    @property
    def content_id(self) -> str:
        """What HTML calls it by (``cid:``, RFC 2392)."""
        return str(self.fields.get("content-id", "")).strip().strip("<>")

    def shown_name(self, number: int) -> str:
        """A name to attach it by."""
        fallback = f"part-{number}{extension_of(self.content_type)}"
        return safe_name(self.file_name, fallback=fallback) if self.file_name else fallback

    def decoded(self, file: IO[bytes]) -> Iterator[bytes]:
        """Its bytes, a piece at a time."""
        pieces = self._raw(file)
        if self.encoding == "base64":
            return _base64(pieces)
        if self.encoding == "quoted-printable":
            return _quoted(pieces)
        return pieces

    def size(self, file: IO[bytes]) -> int:
        """How many bytes it has when decoded; one pass over it."""
        return sum(len(piece) for piece in self.decoded(file))

    def _raw(self, file: IO[bytes]) -> Iterator[bytes]:
        at = self.start
        while at < self.end:
            file.seek(at)
            piece = file.read(min(_PIECE, self.end - at))
            if not piece:
                return
            at += len(piece)
            yield piece


@dataclasses.dataclass(slots=True)
class Taken:
    """A message taken apart: its own header fields, and its leaves in order."""

    fields: Fields
    leaves: list[Leaf]


def take_apart(file: IO[bytes]) -> Taken:
    """One pass.  Raises InvalidValue for one with too many parts, or too deep."""
    scan = _Scan()
    file.seek(0)
    at = 0
    while line := file.readline(_LINE):
        scan.line(line, at)
        at += len(line)
    scan.finish(at)
    return Taken(scan.top or email.message_from_bytes(b""), scan.leaves)


class _Scan:
    def __init__(self) -> None:
        self.top: Fields | None = None
        self.leaves: list[Leaf] = []
        self._boundaries: list[bytes] = []
        self._head: bytearray | None = bytearray()
        self._leaf: Leaf | None = None
        self._ending = 0  # of the line before: it belongs to the boundary, RFC 2046 5.1.1

    def line(self, line: bytes, at: int) -> None:
        if self._boundaries and line.startswith(b"--") and self._boundary(line.rstrip(), at):
            return
        if self._head is not None:
            self._head += line
            if line in (b"\r\n", b"\n") or len(self._head) > _HEAD:
                self._begin(at + len(line))
            return
        self._ending = 2 if line.endswith(b"\r\n") else 1 if line.endswith(b"\n") else 0

    def _boundary(self, line: bytes, at: int) -> bool:
        for depth in range(len(self._boundaries) - 1, -1, -1):
            mark = b"--" + self._boundaries[depth]
            if line not in (mark, mark + b"--"):
                continue
            if self._head is not None:  # a part that is a header alone
                self._begin(at)
            self._close(at - self._ending)
            ends = line != mark
            del self._boundaries[depth if ends else depth + 1 :]
            self._head = None if ends else bytearray()
            self._ending = 0
            return True
        return False

    def _begin(self, at: int) -> None:
        fields = email.message_from_bytes(bytes(self._head or b""))
        self._head = None
        self._ending = 0
        self.top = self.top or fields
        boundary = fields.get_boundary() if fields.get_content_maintype() == "multipart" else None
        if boundary:
            self._boundaries.append(boundary.encode("utf-8", "surrogateescape"))
        else:
            self._leaf = Leaf(fields, at)
            self.leaves.append(self._leaf)
        if len(self._boundaries) > _DEEP or len(self.leaves) > _MANY:
            raise InvalidValue("message", "it has too many parts, or parts too deep in others")

    def _close(self, at: int) -> None:
        if self._leaf is not None:
            self._leaf.end = max(self._leaf.start, at)
            self._leaf = None

    def finish(self, at: int) -> None:
        if self._head:
            self._begin(at)
        self._close(at)


def _base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        clean = left + piece.translate(None, b"\r\n \t")
        whole = len(clean) - len(clean) % 4
        left = clean[whole:]
        if data := binascii.a2b_base64(clean[:whole]):
            yield data
    if left and (data := binascii.a2b_base64(left + b"=" * (-len(left) % 4))):
        yield data


def _quoted(pieces: Iterator[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        whole, mark, left = (left + piece).rpartition(b"\n")
        if mark:
            yield binascii.a2b_qp(whole + mark)
    if left:
        yield binascii.a2b_qp(left)
