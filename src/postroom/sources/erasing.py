"""Erasing a person from the ledger: what is shown of a message goes, the key that knows it stays.

Without its key a message would be collected again.  Without its Message-ID it is not recognised
when the server numbers its folder anew, or when it comes back under another key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from postroom.db import Row, Tx
from postroom.sources.entries import ERASED

__all__ = ["AT_ONCE", "Known", "ends", "erase", "erase_notes", "known", "notes_naming"]

AT_ONCE: Final = 10_000
"""Ids of one look: a read ends within some hundredths of a second."""
_TEXTS: Final = ("sender", "subject", "message_id", "reason", "delivered_to")
_OPEN: Final = ("pending", "acquired", "delivered")

Named = Callable[[str], bool]
"""Whether a text names whoever is meant."""


class Known(NamedTuple):
    """A message that the ledger knows of somebody; ``open``: it is still being collected."""

    id: int
    source: str
    open: bool
    file: str
    since: float


def ends(tx: Tx) -> tuple[int, int]:
    """The first and the last ledger id; the last is the smaller one where there is none."""
    first = tx.value("SELECT min(id) FROM ledger")
    last = tx.value("SELECT max(id) FROM ledger")
    return (0, -1) if first is None else (first, last)


def known(tx: Tx, low: int, named: Named) -> list[Known]:
    """What of the next :data:`AT_ONCE` ids is of somebody; ``source`` is the name of the source."""
    rows = tx.all(
        "SELECT l.id, l.state, l.sender, l.subject, l.message_id, l.reason, l.delivered_to, "
        "l.first_seen_at, s.name AS source FROM ledger l JOIN sources s ON s.id = l.source "
        "WHERE l.id BETWEEN :low AND :high ORDER BY l.id",
        low=low,
        high=low + AT_ONCE - 1,
    )
    return [
        Known(
            row["id"],
            row["source"],
            row["state"] in _OPEN,
            row["delivered_to"],
            row["first_seen_at"],
        )
        for row in rows
        if _is_of(row, named)
    ]


def _is_of(row: Row, named: Named) -> bool:
    return any(row[name] and named(row[name]) for name in _TEXTS)


def erase(tx: Tx, ids: Iterable[int], named: Named, *, now: float) -> int:
    """Take away what is shown of these, where they still are somebody's; gives how many were.

    The place in the sink stays where its path does not name the person: the file is still there.
    """
    done = 0
    for one in ids:
        row = tx.one("SELECT * FROM ledger WHERE id = :id", id=one)
        if row is None or not _is_of(row, named):
            continue
        kept = row["state"] == "held" and not named(row["reason"])
        done += tx.execute(
            "UPDATE ledger SET subject = '', sender = '', message_id = '', sha256 = NULL, "
            "reason = :reason, delivered_to = :place, updated_at = :now WHERE id = :id",
            id=one,
            reason=row["reason"] if kept else ERASED,
            place="" if named(row["delivered_to"]) else row["delivered_to"],
            now=now,
        )
    return done


def notes_naming(tx: Tx, named: Named) -> int:
    """How many sources have a last error that names somebody."""
    return len(_notes(tx, named))


def erase_notes(tx: Tx, named: Named) -> int:
    """Take those errors away; gives how many there were."""
    found = _notes(tx, named)
    for one in found:
        tx.execute("UPDATE sources SET note = :note WHERE id = :id", note=ERASED, id=one)
    return len(found)


def _notes(tx: Tx, named: Named) -> list[str]:
    rows = tx.all("SELECT id, note FROM sources WHERE note <> ''")
    return [row["id"] for row in rows if named(row["note"])]
