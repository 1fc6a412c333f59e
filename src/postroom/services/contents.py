"""The stored bytes of outbox items: read alone, for a whole batch, or when they are asked for."""

from __future__ import annotations

import builtins
import io
import json
from collections.abc import Collection
from typing import IO, Final

from postroom.db import Database, Tx
from postroom.errors import NotThere

__all__ = ["StoredContent", "content_of", "contents_of"]


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


class StoredContent:
    """The stored bytes as protocols.base.Content: read when they are asked for, one item at a time.

    So a batch of a hundred large messages does not have to fit into memory; small ones may be
    ``held`` from the beginning, which spares a transaction each.
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
            raise NotThere(f"The content of outbox item {self._item} has been removed.")
        return content

    def open(self) -> IO[builtins.bytes]:
        """A file-like object at the first byte."""
        return io.BytesIO(self.bytes())

    def discard(self) -> None:
        """The row keeps its content; it is removed with time, by ``retention.purge``."""
