"""Retention: what the outbox keeps of a message that is finished, and how long."""

from __future__ import annotations

from typing import Final

from postroom.db import Tx

__all__ = ["KEEP_CONTENT_SECONDS", "KEEP_ROW_SECONDS", "PURGE_ROWS", "purge"]

KEEP_CONTENT_SECONDS: Final = 7 * 86400.0
KEEP_ROW_SECONDS: Final = 90 * 86400.0
PURGE_ROWS: Final = 200
"""Messages of one transaction: whoever stores a message meanwhile does not wait for long."""


def purge(tx: Tx, *, now: float) -> int:
    """Remove the content of what finished 7 days ago, and rows that finished 90 days ago.

    At most PURGE_ROWS of each; gives how many of what there was more of: as many means that there
    may be others.  An idempotency key is forgotten with the content: it is unique for 7 days.
    """
    rows = tx.all(
        "SELECT id FROM outbox WHERE finished_at < :before AND (idempotency_key IS NOT NULL "
        "OR EXISTS (SELECT 1 FROM outbox_content WHERE item = outbox.id)) LIMIT :most",
        before=now - KEEP_CONTENT_SECONDS,
        most=PURGE_ROWS,
    )
    old = [{"id": row["id"]} for row in rows]
    tx.many("DELETE FROM outbox_content WHERE item = :id", old)
    tx.many("UPDATE outbox SET idempotency_key = NULL WHERE id = :id", old)
    rows = tx.all(
        "SELECT id FROM outbox WHERE finished_at < :before LIMIT :most",
        before=now - KEEP_ROW_SECONDS,
        most=PURGE_ROWS,
    )
    gone = [{"id": row["id"]} for row in rows]
    tx.many("DELETE FROM outbox_content WHERE item = :id", gone)
    tx.many("DELETE FROM sent_copies WHERE id = :id", gone)
    tx.many("DELETE FROM outbox_recipients WHERE item = :id", gone)
    tx.many("DELETE FROM outbox_attempts WHERE item = :id", gone)
    tx.many("DELETE FROM outbox WHERE id = :id", gone)
    return max(len(old), len(gone))
