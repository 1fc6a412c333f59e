"""The bytes of one message in memory: the small half of base.Content, spools being the other."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from postroom.protocols.base import Content

__all__ = ["Held", "chunks"]

_CHUNK = 128 * 1024


class Held:
    """A base.Content whose bytes are in memory."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """How many bytes."""
        return len(self._data)

    def bytes(self) -> bytes:
        """All of them."""
        return self._data

    def open(self) -> BinaryIO:
        """A file-like object at the first byte."""
        return io.BytesIO(self._data)

    def discard(self) -> None:
        """Nothing to give back: memory is freed by itself."""


def chunks(content: Content, size: int = _CHUNK) -> Iterator[bytes]:
    """The content in pieces of at most ``size`` bytes, read as they are asked for."""
    with content.open() as source:
        while piece := source.read(size):
            yield piece
