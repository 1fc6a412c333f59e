"""Claims: take work, fence it with an epoch, settle it.  The one primitive under all work.

A table that is worked off has the columns ``due_at``, ``owner`` and ``epoch``, an index of its free
rows (``owner IS NULL``) in the order of ``due_at``, and one of the others by ``owner``.

- *Claim*: one statement takes a batch of rows that are due and that nobody owns, writes the owner and
  raises the epoch; another one for each owner that is gone takes its rows.  Theirs have waited, and are
  half of a batch where there is more than enough of both: neither keeps the other waiting for ever.  A
  claim walks neither past what the living have, nor past what waits.
- *Guard*: every later change says its epoch.  A worker that was frozen and comes back finds a
  higher one, gets ``claim_lost`` and commits nothing.  What is written once this was looked at, in
  the same transaction, needs no fence of its own.
- *Release*: the owner is removed, ``due_at`` says when the row is wanted again.

The lease is the owner's: an owner is gone when it has no seat in ``workers``, or has not sent a
heartbeat for :data:`LEASE_SECONDS`.  So ten thousand claims cost one heartbeat.

What differs by dialect stands in :data:`DIALECTS`, one line each; the statements are the same.  On
SQLite writers come one after the other, so nothing is locked there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from postroom.db.tx import Row, Tx
from postroom.errors import Refused

__all__ = ["HEARTBEAT_SECONDS", "LEASE_SECONDS", "Claim", "Queue", "claim_lost"]

LEASE_SECONDS: Final = 15.0
HEARTBEAT_SECONDS: Final = 5.0


class _Dialect(NamedTuple):
    """How a column is compared with the JSON list ``:names`` and a key with what a query finds, and
    how rows are locked: those to be taken (others skip them), and those that a guard looks at
    (others wait)."""

    among: str
    found: str
    take: str
    hold: str


DIALECTS: Final[Mapping[str, _Dialect]] = {
    # the plus keeps SQLite from going by an index of that column, and sorting what it finds there
    "sqlite": _Dialect(
        "+{column} IN (SELECT value FROM json_each(:names))", "{column} IN ({query})", "", ""
    ),
    # an array is made once; a plan may run a query behind IN again, and lock more than the limit
    "postgresql": _Dialect(
        "{column} IN (SELECT json_array_elements_text(CAST(:names AS json)))",
        "{column} = ANY (ARRAY({query}))",
        "FOR UPDATE SKIP LOCKED",
        "FOR UPDATE",
    ),
}


class _Texts(NamedTuple):
    """The statements about rows that nobody owns, and about those of one owner that is gone."""

    claim: str
    take_over: str
    gone: str
    due: str
    due_of: str
    how_many: str
    how_many_of: str
    named: str
    named_of: str
    earliest: str
    earliest_of: str
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
    that the ``names`` of a call are names in; ``taken`` is what else a claim sets.  Table, conditions
    and columns are constants of the code, never input.
    """

    def __init__(
        self,
        table: str,
        *,
        ready: str = "1=1",
        order: str = "due_at",
        among: str = "",
        taken: str = "",
    ) -> None:
        self._texts = {
            name: _texts(dialect, table, ready, order, among, taken)
            for name, dialect in DIALECTS.items()
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
        """Take up to ``limit`` rows that are due.  The rows come back as they are after it.

        Those of owners that are gone come first, in half of the batch if it would be full without.
        """
        texts = self._texts[tx.dialect]
        values |= {"owner": owner, "now": now, "names": _listed(names)}
        gone, half = self._gone(tx, now), (limit + 1) // 2
        rows = _of_each(tx, texts.take_over, gone, half, values)
        left = len(rows) == half  # if not, they have no more
        rows += tx.all(texts.claim, limit=limit - len(rows), **values)
        if left:
            rows += _of_each(tx, texts.take_over, gone, limit - len(rows), values)
        return [Claim(row["id"], row["epoch"], row) for row in rows]

    def due(self, tx: Tx, *, now: float, limit: int) -> list[Row]:
        """The first rows that a claim could take, whatever their names, in its order."""
        texts, half = self._texts[tx.dialect], (limit + 1) // 2
        of_gone = _of_each(tx, texts.due_of, self._gone(tx, now), limit, {"now": now})
        free = tx.all(texts.due, now=now, limit=limit - len(of_gone[:half]))
        return [*of_gone[:half], *free, *of_gone[half:]][:limit]

    def count_due(self, tx: Tx, *, now: float) -> int:
        """How many rows a claim could take, whatever their names."""
        texts = self._texts[tx.dialect]
        count: int = tx.value(texts.how_many, now=now)
        for gone in self._gone(tx, now):
            count += tx.value(texts.how_many_of, now=now, gone=gone)
        return count

    def names_due(self, tx: Tx, *, now: float, **values: Any) -> set[str]:
        """The names of which a claim could take rows."""
        texts = self._texts[tx.dialect]
        rows = tx.all(texts.named, now=now, **values)
        for gone in self._gone(tx, now):
            rows += tx.all(texts.named_of, now=now, gone=gone, **values)
        return {row["name"] for row in rows}

    def next_due(
        self, tx: Tx, *, now: float, names: Iterable[str] = (), **values: Any
    ) -> float | None:
        """When the next row that nobody living owns is due (seconds since 1970), or None."""
        texts = self._texts[tx.dialect]
        values["names"] = _listed(names)
        found: list[float | None] = [tx.value(texts.earliest, **values)]
        found += [tx.value(texts.earliest_of, gone=gone, **values) for gone in self._gone(tx, now)]
        return min((due for due in found if due is not None), default=None)

    def holds(self, tx: Tx, claim: Claim, *, owner: str) -> bool:
        """Whether a claim still stands."""
        return bool(self.standing(tx, [claim], owner=owner))

    def standing(self, tx: Tx, claims: Sequence[Claim], *, owner: str) -> list[Claim]:
        """Those of the claims that still stand, in one look; the others were taken over."""
        text = self._texts[tx.dialect].guard
        rows = tx.all(text, names=_listed(one.id for one in claims))
        found = {row["id"]: (row["owner"], row["epoch"]) for row in rows}
        return [one for one in claims if found.get(one.id) == (owner, one.epoch)]

    def guard(self, tx: Tx, claim: Claim, *, owner: str) -> None:
        """Raise ``claim_lost`` unless the claim still stands.  Call it first in every body."""
        if not self.holds(tx, claim, owner=owner):
            raise claim_lost()

    def release(self, tx: Tx, claim: Claim, *, owner: str, due_at: float) -> None:
        """Give the row back, wanted again at ``due_at``; raises ``claim_lost`` as :meth:`guard`."""
        text = self._texts[tx.dialect].release
        if not tx.execute(text, id=claim.id, epoch=claim.epoch, owner=owner, due_at=due_at):
            raise claim_lost()

    def _gone(self, tx: Tx, now: float) -> list[str]:
        """The owners of rows that have no seat, or whose lease is over."""
        text = self._texts[tx.dialect].gone
        return [row["owner"] for row in tx.all(text, oldest_heartbeat=now - LEASE_SECONDS)]


def _texts(dialect: _Dialect, table: str, ready: str, order: str, among: str, taken: str) -> _Texts:
    named = f"({ready}) AND {dialect.among.format(column=among)}" if among else f"({ready})"
    claimed = f"SET owner = :owner, epoch = epoch + 1{', ' if taken else ''}{taken}"
    free, of_gone = "owner IS NULL", "owner = :gone"

    def taking(whose: str) -> str:
        query = (
            f"SELECT id FROM {table} WHERE due_at <= :now AND {whose} AND {named} "
            f"ORDER BY {order} LIMIT :limit {dialect.take}"
        )
        found = dialect.found.format(column="id", query=query)
        return f"UPDATE {table} {claimed} WHERE {found} RETURNING *"

    def due(what: str, whose: str) -> str:
        return f"SELECT {what} FROM {table} WHERE due_at <= :now AND {whose} AND ({ready})"

    in_order = f" ORDER BY {order} LIMIT :limit"
    return _Texts(
        claim=taking(free),
        take_over=taking(of_gone),
        # from owner to owner by the index, so that this costs what there are owners, not rows
        gone="WITH RECURSIVE owners (owner) AS "
        f"(SELECT min(owner) FROM {table} WHERE owner IS NOT NULL UNION ALL "
        f"SELECT (SELECT min(owner) FROM {table} AS more WHERE more.owner > owners.owner) "
        "FROM owners WHERE owner IS NOT NULL) "
        "SELECT owner FROM owners WHERE owner IS NOT NULL AND owner NOT IN "
        "(SELECT owner FROM workers WHERE heartbeat_at >= :oldest_heartbeat)",
        due=due("*", free) + in_order,
        due_of=due("*", of_gone) + in_order,
        how_many=due("count(*)", free),
        how_many_of=due("count(*)", of_gone),
        named=due(f"DISTINCT {among} AS name", free),
        named_of=due(f"DISTINCT {among} AS name", of_gone),
        earliest=f"SELECT min(due_at) FROM {table} WHERE {free} AND {named}",
        earliest_of=f"SELECT min(due_at) FROM {table} WHERE {of_gone} AND {named}",
        # the owner is compared above: SQLite would look through all that it has
        guard=f"SELECT id, owner, epoch FROM {table} WHERE "
        f"{dialect.among.format(column='id').lstrip('+')} {dialect.hold}",
        release=f"UPDATE {table} SET owner = NULL, due_at = :due_at "
        f"WHERE id = :id AND epoch = :epoch AND owner = :owner",
    )


def _of_each(
    tx: Tx, text: str, owners: Sequence[str], limit: int, values: Mapping[str, Any]
) -> list[Row]:
    """Up to ``limit`` rows of these owners, of one after the other."""
    rows: list[Row] = []
    for owner in owners:
        if len(rows) >= limit:
            break
        rows += tx.all(text, limit=limit - len(rows), gone=owner, **values)
    return rows


def _listed(names: Iterable[str]) -> str:
    return json.dumps(list(names))


def claim_lost() -> Refused:
    """What is raised where a claim no longer stands."""
    return Refused("Another worker has taken this work over.", code="claim_lost", temporary=True)
