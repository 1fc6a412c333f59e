"""Sets of uids: compressed to ranges, written, read, cut to length (RFC 9051, 4.1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from postroom.errors import ProtocolError

__all__ = [
    "HIGHEST",
    "LONGEST",
    "Ranges",
    "compress",
    "count",
    "cut",
    "members",
    "parse_set",
    "write_set",
]

Ranges = list[tuple[int, int]]

LONGEST: Final = 7000
"""Bytes of one set in one command: RFC 7162 (4) asks clients to keep lines below 8,192."""
HIGHEST: Final = 2**32 - 1


def compress(uids: Iterable[int]) -> Ranges:
    """Neighbouring uids as ranges, in the order given."""
    ranges: Ranges = []
    low = high = -1
    for uid in uids:
        if uid == high + 1 and low >= 0:
            high = uid
            continue
        if low >= 0:
            ranges.append((low, high))
        low = high = uid
    if low >= 0:
        ranges.append((low, high))
    return ranges


def write_set(ranges: Ranges) -> str:
    """``1:3,7``."""
    return ",".join(f"{low}" if low == high else f"{low}:{high}" for low, high in ranges)


def cut(uids: Sequence[int]) -> Iterator[str]:
    """The uids as sets, each short enough for one command."""
    piece: list[str] = []
    length = 0
    for low, high in compress(uids):
        text = f"{low}" if low == high else f"{low}:{high}"
        if length + len(text) >= LONGEST:
            yield ",".join(piece)
            piece, length = [], 0
        piece.append(text)
        length += len(text) + 1
    if piece:
        yield ",".join(piece)


def parse_set(text: str) -> Ranges:
    """A set a server wrote; ``5:3`` is 3:5.  Raises ProtocolError when it is no set."""
    ranges: Ranges = []
    for part in text.split(",") if text else []:
        low, _, high = part.partition(":")
        first, last = _uid(low), _uid(high or low)
        ranges.append((min(first, last), max(first, last)))
    return ranges


def _uid(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) <= HIGHEST:
        return int(text)
    raise ProtocolError("The server sent a set of uids that cannot be read.")


def count(ranges: Ranges) -> int:
    """How many uids there are, without making them."""
    return sum(high - low + 1 for low, high in ranges)


def members(ranges: Ranges) -> list[int]:
    """Every uid; ask :func:`count` first, a server can write ``1:4294967295``."""
    return list(chain.from_iterable(range(low, high + 1) for low, high in ranges))
