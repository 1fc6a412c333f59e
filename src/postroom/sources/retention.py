"""Retention: what a source remembers while a message is on the server, and 400 days after."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from postroom.clock import timestamp
from postroom.db import Database, Row, Tx
from postroom.protocols.base import FolderState, MessageStore
from postroom.sources import cursors, ledger
from postroom.sources.returning import Place
from postroom.sources.settling import Write

__all__ = ["KEEP_SECONDS", "PURGE_ROWS", "Sweeper", "purge"]

KEEP_SECONDS: Final = 400 * 86400.0
"""How long a message is remembered that is no longer on the server."""
PURGE_ROWS: Final = 1000
"""Rows removed in one transaction."""
_SWEEP_SECONDS: Final = 86400.0
"""How often a folder is looked through for messages that others have taken away."""
_TOLD_SECONDS: Final = 7 * 86400.0
"""The same, where the server tells by itself what is gone: it may be wrong."""
_SWEEP_ROWS: Final = 20_000
"""How many are asked for in one pass; the next pass that is due goes on behind them."""
_AT_ONCE: Final = 500


class Sweeper:
    """Notes which messages are no longer in the folder.

    A server with QRESYNC tells it when the folder is opened; if it has lost count it is asked at
    once, and others once a day, for a part of the messages at each pass.  What the source itself
    moves or deletes is noted when it does so, and POP3 shows everything at each listing.
    """

    def __init__(self, db: Database, write: Write, place: Place) -> None:
        self._db = db
        self._write = write
        self._place = place

    async def told(self, folder: FolderState) -> None:
        """Note what the server said is gone, before anything new is listed: it may have come back."""
        gone = folder.changes.gone if folder.changes is not None else None
        if not gone:
            return
        if len(gone) <= _AT_ONCE:
            await self._write(lambda tx: _gone(tx, self._place, gone, now=timestamp()))
            return
        # so many numbers are those of a server that forgot which of them were in use
        after = 0
        while after >= 0:
            after = await self._among(gone, after)

    async def _among(self, gone: Collection[str], after: int) -> int:
        """Note which of the next few are among the gone; gives the id to go on behind, -1: the end."""
        rows = await self._db.read(lambda tx: _present(tx, self._place, after))
        left = [row["id"] for row in rows if row["message"] in gone]
        if left:
            await self._write(lambda tx: ledger.left(tx, left, now=timestamp()))
        last: int = rows[-1]["id"] if rows else -1
        return last

    async def run(
        self, store: MessageStore, folder: FolderState, alive: Callable[[], None]
    ) -> None:
        """Ask the server which messages it still has, if it is time to."""
        cursor = await self._db.read(lambda tx: cursors.cursor_of(tx, *self._place))
        if store.features.snapshot or cursor is None:
            return
        changes = folder.changes
        told = changes is not None and changes.gone is not None
        lost = changes is not None and changes.lost
        age = timestamp() - cursor.swept_at
        if age < (_TOLD_SECONDS if told else _SWEEP_SECONDS) and not lost:
            return
        after = cursor.swept_to
        for _ in range(_SWEEP_ROWS // _AT_ONCE):
            after = await self._some(store, folder, after)
            alive()
            if not after:
                break
        await self._write(lambda tx: _swept(tx, self._place, after, now=timestamp()))

    async def _some(self, store: MessageStore, folder: FolderState, after: int) -> int:
        """Look at the next few; gives the id to go on behind, 0 at the end."""
        rows = await self._db.read(lambda tx: _present(tx, self._place, after))
        gone = await self._missing(store, folder, rows)
        if gone:
            await self._write(lambda tx: ledger.left(tx, gone, now=timestamp()))
        last: int = rows[-1]["id"] if len(rows) == _AT_ONCE else 0
        return last

    async def _missing(
        self, store: MessageStore, folder: FolderState, rows: Sequence[Row]
    ) -> list[int]:
        """Those that are not in the folder; numbers of an older UIDVALIDITY are nobody's."""
        current = f"{folder.uidvalidity}-" if folder.uidvalidity else ""
        asked = [row["message"] for row in rows if row["message"].startswith(current)]
        there = {one.id for one in await store.summaries(asked)} if asked else set()
        return [row["id"] for row in rows if row["message"] not in there]


def _present(tx: Tx, place: Place, after: int) -> list[Row]:
    """Finished messages that are not known to be gone, by id."""
    return tx.all(
        "SELECT id, message FROM ledger WHERE source = :source AND store = :store "
        "AND folder = :folder AND id > :after AND gone_at IS NULL AND after_due = '' "
        "AND state IN ('done', 'failed', 'ignored', 'held') ORDER BY id LIMIT :most",
        source=place.source,
        store=place.store,
        folder=place.folder,
        after=after,
        most=_AT_ONCE,
    )


def _gone(tx: Tx, place: Place, messages: Iterable[str], *, now: float) -> None:
    """These are no longer in the folder; what is still to be read is noticed when it is."""
    tx.many(
        "UPDATE ledger SET gone_at = :now WHERE source = :source AND store = :store "
        "AND folder = :folder AND message = :message AND gone_at IS NULL AND after_due = '' "
        "AND state IN ('done', 'failed', 'ignored', 'held')",
        [{**place._asdict(), "message": one, "now": now} for one in messages],
    )


def _swept(tx: Tx, place: Place, to: int, *, now: float) -> None:
    tx.execute(
        "UPDATE cursors SET swept_at = :now, swept_to = :to WHERE source = :source "
        "AND store = :store AND folder = :folder",
        now=now,
        to=to,
        source=place.source,
        store=place.store,
        folder=place.folder,
    )


def purge(tx: Tx, *, now: float) -> int:
    """Forget messages that have been gone for 400 days, at most PURGE_ROWS; gives how many.

    What is still to be read, or to be settled on the server, is never forgotten.
    """
    return tx.execute(
        "DELETE FROM ledger WHERE id IN (SELECT id FROM ledger WHERE gone_at < :before "
        "AND after_due = '' AND state IN ('done', 'failed', 'ignored', 'held', 'vanished') "
        "ORDER BY gone_at LIMIT :most)",
        before=now - KEEP_SECONDS,
        most=PURGE_ROWS,
    )
