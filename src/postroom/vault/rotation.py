"""Rotation of the vault key while the room is used: stage, rewrap, destroy.

    stage    one transaction: a new term is active, the one before it is retired
    rewrap   many small ones: a few data keys are read, wrapped anew, and swapped in where the row
             still is what was read; no secret is opened, no value sealed anew
    destroy  one transaction: a retired term goes if no data key is under it, and not otherwise

Every step looks at what the tables hold and at nothing else, so whoever is killed between two of
them, or within one, leaves a room in which everything opens and the next call goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from postroom.db import Row, Tx
from postroom.errors import Unreadable
from postroom.vault.kek import Kek
from postroom.vault.terms import SWAP, Rewrap, Terms

__all__ = ["BATCH", "Batch", "destroy_unused", "left", "retired", "rewrap", "stage", "swap"]

BATCH: Final = 100
"""Data keys in one transaction: a few milliseconds, so that writers hardly wait."""
_STALE: Final = """
    SELECT d.id, d.vault_key, d.wrapped FROM data_keys d JOIN vault_keys v ON v.id = d.vault_key
    WHERE v.state = 'retired' AND d.id > :after ORDER BY d.id LIMIT :limit
"""


class Batch(NamedTuple):
    """Data keys wrapped anew, those that do not open, and where the next batch begins."""

    swaps: list[Rewrap]
    damaged: list[str]
    after: str


def retired(tx: Tx) -> list[int]:
    """The terms that are not destroyed yet: a rotation is under way, or was interrupted."""
    rows = tx.all("SELECT term FROM vault_keys WHERE state = 'retired' ORDER BY term")
    return [row["term"] for row in rows]


def stage(tx: Tx, terms: Terms, keks: Collection[Kek]) -> int | None:
    """Begin a new term and give its number; None when an earlier rotation is to be finished first."""
    return None if retired(tx) else terms.begin(tx, keks)


def left(tx: Tx) -> int:
    """How many data keys are still under retired terms."""
    count: int = tx.value(
        "SELECT count(*) FROM data_keys d JOIN vault_keys v ON v.id = d.vault_key "
        "WHERE v.state = 'retired'"
    )
    return count


def rewrap(tx: Tx, terms: Terms, after: str, limit: int) -> Batch | None:
    """The next data keys behind ``after``, wrapped by the active term; None when there is none.

    Only reads.  What is damaged is named and stays as it is: it may be mended from a backup.
    """
    rows: list[Row] = tx.all(_STALE, after=after, limit=limit)
    if not rows:
        return None
    swaps, damaged = [], []
    for row in rows:
        try:
            swaps.append(terms.rewrap(tx, row))
        except Unreadable:
            damaged.append(row["id"])
    return Batch(swaps, damaged, rows[-1]["id"])


def swap(tx: Tx, swaps: Iterable[Rewrap]) -> int:
    """Put the new wrapping where the old one still stands; gives how many were put.

    A data key that was destroyed meanwhile stays destroyed; one that another rotation was faster
    with keeps what that wrote.
    """
    return sum(tx.execute(SWAP, **one._asdict()) for one in swaps)


def destroy_unused(tx: Tx) -> list[int]:
    """Destroy every retired term that no data key is under; gives their numbers.

    Proof and deletion are one transaction: a writer that was in between has committed, and its row
    is seen here, or has yet to insert and then finds that the term is not active.  The row of the
    term goes as well, so that the foreign key of the data keys refuses what comes too late.
    """
    unused = tx.all(
        "SELECT id, term FROM vault_keys WHERE state = 'retired' AND NOT EXISTS "
        "(SELECT 1 FROM data_keys WHERE vault_key = vault_keys.id) ORDER BY term"
    )
    for row in unused:
        tx.execute("DELETE FROM vault_key_wraps WHERE vault_key = :id", id=row["id"])
        tx.execute("DELETE FROM vault_keys WHERE id = :id", id=row["id"])
    return [row["term"] for row in unused]
