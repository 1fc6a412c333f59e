"""Whether a head of the record is behind the newest checkpoint: each names the one before it.

A row alone says little.  Whoever put the whole database back can put the row of the head beside it
until the next head is kept; but what was written without that row does not lead to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from postroom.audit.outside import Head
from postroom.audit.reading import active_term
from postroom.audit.record import CHECKPOINT, RETIRE, Mac, is_own, newest
from postroom.db import Row, Tx

__all__ = ["covers", "newest_head", "told_lost"]


def covers(tx: Tx, mac: Mac, head: Head) -> bool:
    """Whether the newest checkpoint is this head, or leads to it through those between.

    Of checkpoints between that were retired with their streams the rest is believed: then the row of
    the head must be there, or retired too.
    """
    row = newest(tx, mac)
    while row is not None and row["position"] >= head.position:
        if _head(row)[:3] == head[:3]:
            return True
        before = json.loads(row["detail"]).get("before")
        if before is None:
            return False
        if tuple(before) == head[:3]:
            return _is_there(tx, mac, head)
        row = _own(tx, mac, *before[:2])
        if row is None and _retired(tx, mac, *before):
            return _is_there(tx, mac, head)
    return False


def newest_head(tx: Tx, mac: Mac) -> Head | None:
    """The newest checkpoint of the database, as it is kept outside, with the vault key of that time."""
    row = newest(tx, mac)
    if row is None:
        return None
    term, vault_key = active_term(tx, mac) or (0, None)
    return _head(row)._replace(term=term, vault_key=vault_key or "")


def told_lost(tx: Tx, mac: Mac) -> set[tuple[str, int, str]]:
    """The heads (stream, number, code) that checkpoints found missing."""
    claims = (json.loads(row["detail"]).get("lost") for row in _telling(tx, mac, '%"lost":%'))
    return {(claim[0], claim[1], claim[2]) for claim in claims if claim}


def _is_there(tx: Tx, mac: Mac, head: Head) -> bool:
    row = _own(tx, mac, head.stream, head.seq)
    return _retired(tx, mac, *head[:3]) if row is None else _head(row)[:3] == head[:3]


def _own(tx: Tx, mac: Mac, stream: str, seq: int) -> Row | None:
    row = tx.one(
        "SELECT * FROM audit WHERE stream = :stream AND seq = :seq", stream=stream, seq=seq
    )
    return row if row is not None and is_own(tx, mac, row) else None


def _retired(tx: Tx, mac: Mac, stream: str, seq: int, code: str) -> bool:
    """Whether one of our rows states that the stream was retired, at this row or behind it."""
    for row in _telling(tx, mac, f'%"{stream}"%'):
        end = json.loads(row["detail"]).get("retired", {}).get(stream)
        if row["action"] == RETIRE and end is not None:
            return bool(end[0] > seq or (end[0] == seq and end[1] == code))
    return False


def _telling(tx: Tx, mac: Mac, detail: str) -> Iterator[Row]:
    """Our checkpoints whose detail is like that, the newest first."""
    for row in tx.all(
        "SELECT * FROM audit WHERE noun = 'audit' AND name = :name AND detail LIKE :detail "
        "ORDER BY position DESC",
        name=CHECKPOINT,
        detail=detail,
    ):
        if is_own(tx, mac, row):
            yield row


def _head(row: Row) -> Head:
    return Head(row["stream"], row["seq"], row["mac"].hex(), row["position"], row["at"])
