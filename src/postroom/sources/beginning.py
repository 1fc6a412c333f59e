"""Where collecting begins: what was in a folder at one moment, for a source of what comes after it."""

from __future__ import annotations

from typing import Final, NamedTuple

from postroom.clock import timestamp
from postroom.db import Tx
from postroom.protocols.base import FolderState, MessageStore
from postroom.sources import ledger, store
from postroom.sources.ledger import Seen

__all__ = ["BEFORE_START", "Mark", "begin_at", "mark_of"]

BEFORE_START: Final = "was there before the start"


class Mark(NamedTuple):
    """A folder as it was: the wire's cursor behind all of it, and the messages themselves where the
    wire has no order to tell them by (POP3).
    """

    folder: str
    uidvalidity: int
    cursor: str
    present: tuple[Seen, ...] = ()


async def mark_of(messages: MessageStore, folder: FolderState, *, page: int = 500) -> Mark:
    """The mark of a folder that was just opened.  Raises WireError."""
    present: list[Seen] = []
    if messages.features.snapshot:
        async for listed in messages.newer("", page=page):
            present += [
                Seen(one.id, "ignored", BEFORE_START, one.size, None) for one in listed.summaries
            ]
    return Mark(folder.name, folder.uidvalidity, folder.next_cursor, tuple(present))


def begin_at(tx: Tx, source: str, mark: Mark) -> None:
    """Let a new source collect what came after the mark, however late it looks for the first time."""
    row = store.row_of(tx, source)
    ledger.record(
        tx, row["id"], row["store"], mark.folder, [*mark.present], cursor=mark.cursor,
        uidvalidity=mark.uidvalidity, now=timestamp(),
    )  # fmt: skip
