"""Claims: take work, fence it with an epoch, settle it.  The one primitive under all work.

A table that is worked off has the columns ``due_at``, ``owner`` and ``epoch``.

- *Claim*: one statement takes a batch of rows that are due and that nobody living owns, writes the
  owner and raises the epoch.
- *Guard*: every later change says its epoch.  A worker that was frozen and comes back finds a
  higher one, gets ``claim_lost`` and commits nothing.
- *Release*: the owner is removed, ``due_at`` says when the row is wanted again.

The lease is the owner's: a row is free when its owner has no seat in ``workers``, or has not sent a
heartbeat for :data:`LEASE_SECONDS`.  So ten thousand claims cost one heartbeat.

What differs by dialect stands in :data:`DIALECTS`, one line each; the statements are the same.  On
SQLite writers come one after the other, so nothing is locked there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from postroom.db.tx import Row, Tx
from postroom.errors import Refused

__all__ = ["HEARTBEAT_SECONDS", "LEASE_SECONDS", "Claim", "Queue"]

LEASE_SECONDS: Final = 15.0
HEARTBEAT_SECONDS: Final = 5.0


class _Dialect(NamedTuple):
    """How a column is compared with the JSON list ``:names``, and how rows are locked: those to be
    taken (others skip them), and the one that a guard looks at (others wait)."""

    among: str
    take: str
    hold: str


DIALECTS: Final[Mapping[str, _Dialect]] = {
    # the plus keeps SQLite from going by an index of that column, and sorting what it finds there
    "sqlite": _Dialect("+{column} IN (SELECT value FROM json_each(:names))", "", ""),
}


class _Texts(NamedTuple):
    claim: str
    due: str
    how_many: str
    earliest: str
    guard: str
    release: str


class Claim(NamedTuple):
    """A claimed row: its key, the epoch that fences it, and the row as it was taken."""

    id: str
    epoch: int
    row: Row


class Queue:
    """The claim statements of one table.

    ``ready`` is a condition in SQL, written by the noun that owns the table, that says which rows
    are work at all; it may use named parameters that :meth:`claim` is given.  ``among`` is the column
    that the ``names`` of a call are names in.  Table, conditions and columns are constants of the
    code, never input.
    """

    def __init__(
        self, table: str, *, ready: str = "1=1", order: str = "due_at", among: str = ""
    ) -> None:
        self._texts = {
            name: _texts(dialect, table, ready, order, among) for name, dialect in DIALECTS.items()
        }

    def claim(
        self,
        tx: Tx,
        *,
        owner: str,
        now: float,
        limit: int,
        names: Iterable[str] = (),
        **values: Any,
    ) -> list[Claim]:
        """Take up to ``limit`` rows that are due.  The rows come back as they are after it."""
        rows = tx.all(
            self._texts[tx.dialect].claim,
            owner=owner,
            now=now,
            limit=limit,
            **_free(now, names),
            **values,
        )
        return [Claim(row["id"], row["epoch"], row) for row in rows]

    def due(self, tx: Tx, *, now: float, limit: int) -> list[Row]:
        """The first rows that a claim could take, whatever their names, in its order."""
        return tx.all(self._texts[tx.dialect].due, now=now, limit=limit, **_free(now))

    def count_due(self, tx: Tx, *, now: float) -> int:
        """How many rows a claim could take, whatever their names."""
        count: int = tx.value(self._texts[tx.dialect].how_many, now=now, **_free(now))
        return count

    def next_due(
        self, tx: Tx, *, now: float, names: Iterable[str] = (), **values: Any
    ) -> float | None:
        """When the next row that nobody owns is due (seconds since 1970), or None."""
        due: float | None = tx.value(
            self._texts[tx.dialect].earliest, **_free(now, names), **values
        )
        return due

    def holds(self, tx: Tx, claim: Claim, *, owner: str) -> bool:
        """Whether a claim still stands."""
        found = tx.value(self._texts[tx.dialect].guard, id=claim.id, owner=owner)
        return bool(found == claim.epoch)

    def guard(self, tx: Tx, claim: Claim, *, owner: str) -> None:
        """Raise ``claim_lost`` unless the claim still stands.  Call it first in every body."""
        if not self.holds(tx, claim, owner=owner):
            raise _lost()

    def release(self, tx: Tx, claim: Claim, *, owner: str, due_at: float) -> None:
        """Give the row back, wanted again at ``due_at``; raises ``claim_lost`` as :meth:`guard`."""
        text = self._texts[tx.dialect].release
        if not tx.execute(text, id=claim.id, epoch=claim.epoch, owner=owner, due_at=due_at):
            raise _lost()


def _texts(dialect: _Dialect, table: str, ready: str, order: str, among: str) -> _Texts:
    free = (
        "(owner IS NULL OR owner NOT IN "
        "(SELECT owner FROM workers WHERE heartbeat_at >= :oldest_heartbeat))"
    )
    named = f"({ready}) AND {dialect.among.format(column=among)}" if among else f"({ready})"
    return _Texts(
        claim=f"UPDATE {table} SET owner = :owner, epoch = epoch + 1 WHERE id IN "
        f"(SELECT id FROM {table} WHERE due_at <= :now AND {free} AND {named} "
        f"ORDER BY {order} LIMIT :limit {dialect.take}) RETURNING *",
        due=f"SELECT * FROM {table} WHERE due_at <= :now AND {free} AND ({ready}) "
        f"ORDER BY {order} LIMIT :limit",
        how_many=f"SELECT count(*) FROM {table} WHERE due_at <= :now AND {free} AND ({ready})",
        earliest=f"SELECT min(due_at) FROM {table} WHERE {free} AND {named}",
        guard=f"SELECT epoch FROM {table} WHERE id = :id AND owner = :owner {dialect.hold}",
        release=f"UPDATE {table} SET owner = NULL, due_at = :due_at "
        f"WHERE id = :id AND epoch = :epoch AND owner = :owner",
    )


def _free(now: float, names: Iterable[str] = ()) -> dict[str, Any]:
    """The values of the conditions that every statement has."""
    return {"oldest_heartbeat": now - LEASE_SECONDS, "names": json.dumps(list(names))}


def _lost() -> Refused:
    return Refused("Another worker has taken this work over.", code="claim_lost", temporary=True)
