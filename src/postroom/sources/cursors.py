"""How far each folder of a source was listed: the rows of ``cursors``.

A cursor is marked while messages come together with their listing, so before any of them has a row
in the ledger that could count the attempt.  Whoever finds the mark knows that the pass before died of
one of them, or lost its connection: it lists first, and reads what it has recorded.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from postroom.db import Tx
from postroom.protocols.base import Since

__all__ = ["Cursor", "cursor_of", "cursors", "move"]

_READING: Final = " reading"


class Cursor(NamedTuple):
    """Where listing a folder goes on: behind ``text``, a cursor of the wire.

    ``reading``: messages behind it were read before they were recorded, and that did not end well.
    Times are seconds since 1970; ``swept_to`` is the ledger's id that the last sweep came to.
    """

    text: str
    uidvalidity: int
    reading: bool
    updated_at: float
    swept_at: float
    swept_to: int


def cursor_of(tx: Tx, source: str, store: str, folder: str) -> Cursor | None:
    """The cursor of a folder, or None before the first time."""
    row = tx.one(
        "SELECT * FROM cursors WHERE source = :source AND store = :store AND folder = :folder",
        source=source,
        store=store,
        folder=folder,
    )
    if row is None:
        return None
    text: str = row["cursor"]
    return Cursor(
        text.removesuffix(_READING),
        row["uidvalidity"],
        text.endswith(_READING),
        row["updated_at"],
        row["swept_at"],
        row["swept_to"],
    )


def cursors(tx: Tx, source: str, store: str) -> dict[str, Since]:
    """How far each folder of a mailbox is known, by its name."""
    rows = tx.all(
        "SELECT folder, uidvalidity, cursor FROM cursors WHERE source = :source AND store = :store",
        source=source,
        store=store,
    )
    return {
        row["folder"]: Since(row["uidvalidity"], row["cursor"].removesuffix(_READING))
        for row in rows
    }


def move(
    tx: Tx,
    source: str,
    store: str,
    folder: str,
    *,
    cursor: str,
    uidvalidity: int,
    now: float,
    reading: bool = False,
) -> None:
    """Move the cursor of a folder; ``reading`` marks it.

    A new ``uidvalidity`` makes the sweep due: the rows of the old one are no longer in the folder.
    """
    tx.execute(
        "INSERT INTO cursors (source, store, folder, uidvalidity, cursor, updated_at, swept_at, "
        "swept_to) VALUES (:source, :store, :folder, :uidvalidity, :cursor, :now, :now, 0) "
        "ON CONFLICT (source, store, folder) DO UPDATE "
        "SET swept_at = CASE WHEN cursors.uidvalidity = :uidvalidity THEN cursors.swept_at ELSE 0 END, "
        "uidvalidity = :uidvalidity, cursor = :cursor, updated_at = :now",
        source=source,
        store=store,
        folder=folder,
        uidvalidity=uidvalidity,
        cursor=cursor + _READING if reading else cursor,
        now=now,
    )
