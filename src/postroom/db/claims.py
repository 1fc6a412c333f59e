"""Claims: take work, fence it with an epoch, settle it.  The one primitive under all work.

A table that is worked off has the columns ``due_at``, ``owner`` and ``epoch``.

- *Claim*: one statement takes a batch of rows that are due and that nobody living owns, writes the
  owner and raises the epoch.
- *Guard*: every later change says its epoch.  A worker that was frozen and comes back finds a
  higher one, gets ``claim_lost`` and commits nothing.
- *Release*: the owner is removed, ``due_at`` says when the row is wanted again.

The lease is the owner's: a row is free when its owner has no seat in ``workers``, or has not sent a
heartbeat for :data:`LEASE_SECONDS`.  So ten thousand claims cost one heartbeat.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from postroom.db.tx import Row, Tx
from postroom.errors import Refused

__all__ = ["HEARTBEAT_SECONDS", "LEASE_SECONDS", "Claim", "Queue"]

LEASE_SECONDS: Final = 15.0
HEARTBEAT_SECONDS: Final = 5.0


class Claim(NamedTuple):
    """A claimed row: its key, the epoch that fences it, and the row as it was taken."""

    id: str
    epoch: int
    row: Row


class Queue:
    """The claim statements of one table.

    ``ready`` is a condition in SQL, written by the noun that owns the table, that says which rows
    are work at all; it may use named parameters that :meth:`claim` is given.  Table and condition
    are constants of the code, never input.
    """

    def __init__(self, table: str, *, ready: str = "1=1", order: str = "due_at") -> None:
        free = (
            "(owner IS NULL OR owner NOT IN "
            "(SELECT owner FROM workers WHERE heartbeat_at >= :oldest_heartbeat))"
        )
        self._claim = (
            f"UPDATE {table} SET owner = :owner, epoch = epoch + 1 WHERE id IN "
            f"(SELECT id FROM {table} WHERE due_at <= :now AND {free} AND ({ready}) "
            f"ORDER BY {order} LIMIT :limit) RETURNING *"
        )
        self._next = f"SELECT min(due_at) FROM {table} WHERE {free} AND ({ready})"
        self._guard = f"SELECT epoch FROM {table} WHERE id = :id AND owner = :owner"
        self._release = (
            f"UPDATE {table} SET owner = NULL, due_at = :due_at "
            f"WHERE id = :id AND epoch = :epoch AND owner = :owner"
        )

    def claim(self, tx: Tx, *, owner: str, now: float, limit: int, **values: Any) -> list[Claim]:
        """Take up to ``limit`` rows that are due.  The rows come back as they are after it."""
        rows = tx.all(
            self._claim,
            owner=owner,
            now=now,
            limit=limit,
            oldest_heartbeat=now - LEASE_SECONDS,
            **values,
        )
        return [Claim(row["id"], row["epoch"], row) for row in rows]

    def next_due(self, tx: Tx, *, now: float, **values: Any) -> float | None:
        """When the next row that nobody owns is due (seconds since 1970), or None."""
        due: float | None = tx.value(self._next, oldest_heartbeat=now - LEASE_SECONDS, **values)
        return due

    def guard(self, tx: Tx, claim: Claim, *, owner: str) -> None:
        """Raise ``claim_lost`` unless the claim still stands.  Call it first in every body."""
        if tx.value(self._guard, id=claim.id, owner=owner) != claim.epoch:
            raise Refused(
                "Another worker has taken this work over.", code="claim_lost", temporary=True
            )

    def release(self, tx: Tx, claim: Claim, *, owner: str, due_at: float) -> None:
        """Give the row back, wanted again at ``due_at``; raises ``claim_lost`` as :meth:`guard`."""
        done = tx.execute(self._release, id=claim.id, epoch=claim.epoch, owner=owner, due_at=due_at)
        if not done:
            raise Refused(
                "Another worker has taken this work over.", code="claim_lost", temporary=True
            )
