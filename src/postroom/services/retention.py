"""What the outbox need not keep any longer: content after 7 days, rows after 90."""

from __future__ import annotations

from postroom.db import Tx
from postroom.services.outbox import KEEP_CONTENT_SECONDS

__all__ = ["KEEP_ROW_SECONDS", "purge"]

KEEP_ROW_SECONDS = 90 * 86400.0


def purge(tx: Tx, *, now: float) -> None:
    """Remove the content of what finished 7 days ago, and rows that finished 90 days ago.

    An idempotency key is forgotten with the content: it is unique for 7 days.
    """
    content, rows = now - KEEP_CONTENT_SECONDS, now - KEEP_ROW_SECONDS
    tx.execute(
        "DELETE FROM outbox_content WHERE item IN "
        "(SELECT id FROM outbox WHERE finished_at < :before)",
        before=content,
    )
    tx.execute(
        "UPDATE outbox SET idempotency_key = NULL WHERE finished_at < :before "
        "AND idempotency_key IS NOT NULL",
        before=content,
    )
    for statement in (
        "DELETE FROM sent_copies WHERE id IN (SELECT id FROM outbox WHERE finished_at < :before)",
        "DELETE FROM outbox_recipients WHERE item IN "
        "(SELECT id FROM outbox WHERE finished_at < :before)",
        "DELETE FROM outbox_attempts WHERE item IN "
        "(SELECT id FROM outbox WHERE finished_at < :before)",
        "DELETE FROM outbox WHERE finished_at < :before",
    ):
        tx.execute(statement, before=rows)
