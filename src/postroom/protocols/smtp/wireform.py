"""A message's content as DATA carries it: CRLF line ends and dot-stuffing (RFC 5321, 4.5.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

__all__ = ["END", "LONGEST_LINE", "Examination", "Stuffer", "examine", "examine_whole", "stuffed"]

END: Final = b".\r\n"
LONGEST_LINE: Final = 998
"""Bytes of one line without its CRLF (RFC 5321, 4.5.3.1.6)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Examination:
    """What a content is, seen from the wire.

    ``size`` counts CRLF line ends and no dot-stuffing (RFC 1870, 5); ``tidy`` means that every CR
    and LF is part of a CRLF and the last line has one; ``longest`` is the longest line in bytes.
    """

    size: int
    tidy: bool
    eight_bit: bool
    nul: bool
    longest: int


def examine(pieces: Iterable[bytes]) -> Examination:
    """Look once through the content, in pieces of any length."""
    size = crs = lfs = pairs = longest = current = 0
    eight_bit = nul = False
    last = b""
    for piece in pieces:
        if not piece:
            continue
        size += len(piece)
        eight_bit = eight_bit or not piece.isascii()
        nul = nul or b"\0" in piece
        crs += piece.count(b"\r")
        lfs += piece.count(b"\n")
        pairs += piece.count(b"\r\n") + (last == b"\r" and piece.startswith(b"\n"))
        lines = piece.replace(b"\r", b"\n").split(b"\n")
        lengths = [current + len(lines[0]), *map(len, lines[1:])]
        longest, current = max(longest, *lengths), lengths[-1]
        last = piece[-1:]
    lone = crs + lfs - 2 * pairs
    missing = 2 if last not in (b"", b"\r", b"\n") else 0
    return Examination(size + lone + missing, not lone and not missing, eight_bit, nul, longest)


def examine_whole(data: bytes) -> Examination:
    """The same for a content in one piece; quick when it is tidy, as composed messages are."""
    pairs = data.count(b"\r\n")
    if pairs == data.count(b"\n") == data.count(b"\r") and data.endswith(b"\r\n"):
        longest = max(map(len, data.split(b"\r\n")))
        return Examination(len(data), True, not data.isascii(), b"\0" in data, longest)
    return examine((data,))


def stuffed(data: bytes, *, tidy: bool) -> bytes:
    """A whole content ready for DATA, without the final dot.  ``tidy`` is the examination's."""
    if not tidy:
        data = _crlf(data)
        if data and not data.endswith(b"\r\n"):
            data += b"\r\n"
    if data.startswith(b"."):
        data = b"." + data
    return data.replace(b"\r\n.", b"\r\n..")


class Stuffer:
    """The same for a content in pieces; any split gives the same bytes."""

    def __init__(self) -> None:
        self._at_line_start = True
        self._held = b""  # a CR whose LF may be the first byte of the next piece

    def feed(self, piece: bytes) -> bytes:
        """The next bytes to write."""
        piece = self._held + piece
        self._held = b""
        if piece.endswith(b"\r"):
            piece, self._held = piece[:-1], b"\r"
        if not piece:
            return b""
        # lone CR and LF are what smuggling is made of: they never leave
        piece = _crlf(piece)
        if self._at_line_start and piece.startswith(b"."):
            piece = b"." + piece
        self._at_line_start = piece.endswith(b"\n")
        return piece.replace(b"\r\n.", b"\r\n..")

    def end(self) -> bytes:
        """What completes the last line, if it lacks its end."""
        done = self._at_line_start and not self._held
        self._at_line_start, self._held = True, b""
        return b"" if done else b"\r\n"


def _crlf(data: bytes) -> bytes:
    """Every CRLF, lone CR and lone LF as CRLF."""
    pairs = data.count(b"\r\n")
    if data.count(b"\r") == pairs == data.count(b"\n"):
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
