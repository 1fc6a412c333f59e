"""The stored bytes of outbox items: read alone, for a whole batch, or when they are asked for."""

from __future__ import annotations

import builtins
import io
import json
from collections.abc import Collection
from typing import IO, Any, Final

from postroom.db import Database, Tx
from postroom.errors import NotThere

__all__ = ["StoredContent", "content_of", "contents_of", "keep"]


def content_of(tx: Tx, item: str) -> bytes | None:
    """The stored bytes, or None once they were removed."""
    return contents_of(tx, [item]).get(item)


def contents_of(tx: Tx, items: Collection[str]) -> dict[str, bytes]:
    """The stored bytes of these items; of those that were removed there is nothing."""
    rows = tx.all(_CONTENTS[tx.dialect], items=json.dumps(list(items)))
    return {row["item"]: row["content"] for row in rows}


_CONTENTS: Final = {
    "sqlite": "SELECT item, content FROM outbox_content "
    "WHERE item IN (SELECT value FROM json_each(:items))",
    "postgresql": "SELECT item, content FROM outbox_content "
    "WHERE item IN (SELECT json_array_elements_text(CAST(:items AS json)))",
}


_ROWID: Final = "SELECT rowid FROM outbox_content WHERE item = :item"

_PIECE: Final = 2 * 1024 * 1024
"""Bytes of a large content that are read in one transaction; shorter ones walk the way to their
beginning more often (SQLite keeps a large value as a chain of pages)."""

_BUFFER: Final = 64 * 1024


def keep(tx: Tx, item: str, content: bytes) -> None:
    """Store the bytes of an item.

    Of large ones the room is made first and then filled: as a value of the INSERT, SQLite would hold
    them two times more.
    """
    if len(content) <= _PIECE:
        tx.execute(_KEEP, item=item, content=content)
        return
    rowid = tx.insert(_MAKE_ROOM, item=item, size=len(content))
    tx.fill("outbox_content", "content", rowid, io.BytesIO(content))


_KEEP: Final = "INSERT INTO outbox_content (item, content) VALUES (:item, :content)"
_MAKE_ROOM: Final = "INSERT INTO outbox_content (item, content) VALUES (:item, zeroblob(:size))"


class StoredContent:
    """The stored bytes as protocols.base.Content: read when they are asked for, one item at a time.

    So a batch of a hundred large messages does not have to fit into memory, nor one of a hundred
    megabytes; small ones may be ``held`` from the beginning, which spares a transaction each.
    """

    __slots__ = ("_db", "_held", "_item", "size")

    def __init__(self, db: Database, item: str, size: int, held: bytes | None = None) -> None:
        self._db = db
        self._item = item
        self._held = held
        self.size = size

    def bytes(self) -> bytes:
        """The exact bytes.  Raises NotThere when they were removed meanwhile."""
        content = self._held
        if content is None:
            content = self._db.read_now(lambda tx: content_of(tx, self._item))
        if content is None:
            raise _removed(self._item)
        return content

    def open(self) -> IO[builtins.bytes]:
        """A file-like object at the first byte; a large one is read from the database as it goes."""
        if self._held is not None or self.size <= _PIECE:
            return io.BytesIO(self.bytes())
        return io.BufferedReader(_Large(self._db, self._item, self.size), _BUFFER)

    def discard(self) -> None:
        """The row keeps its content; it is removed with time, by ``retention.purge``."""


class _Large(io.RawIOBase):
    """A content piece by piece, each in a transaction of its own: none is open while it is sent."""

    def __init__(self, db: Database, item: str, size: int) -> None:
        self._db = db
        self._item = item
        self._size = size
        self._at = 0
        self._piece = b""
        self._from = 0  # where in the content the piece begins

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Raises NotThere when the content was removed meanwhile."""
        if not self._from <= self._at < self._from + len(self._piece):
            self._piece = b""  # before the next one is read
            self._from = self._at
            self._piece = self._db.read_now(self._read) if self._at < self._size else b""
        start = self._at - self._from
        count = min(len(buffer), len(self._piece) - start)
        buffer[:count] = memoryview(self._piece)[start : start + count]
        self._at += count
        return count

    def _read(self, tx: Tx) -> bytes:
        rowid = tx.value(_ROWID, item=self._item)
        if rowid is None:
            raise _removed(self._item)
        return tx.piece("outbox_content", "content", rowid, start=self._from, size=_PIECE)


def _removed(item: str) -> NotThere:
    return NotThere(f"The content of outbox item {item} has been removed.")
