"""The ledger after the server numbered a folder anew, or the source went to another mailbox."""

from __future__ import annotations

from postroom.db import Row, Tx

__all__ = ["old_messages", "retirable", "retire"]


def old_messages(tx: Tx, source: str, store: str, folder: str, uidvalidity: int) -> list[Row]:
    """What was finished or delivered under another UIDVALIDITY, for re-seeding.

    Message-ID, size, state and the after-action that is still due, in the order of arrival.
    """
    return tx.all(
        "SELECT message_id, size, state, after_due FROM ledger WHERE source = :source "
        "AND store = :store AND folder = :folder AND message_id <> '' AND message NOT LIKE :now "
        "AND state IN ('done', 'delivered', 'ignored') ORDER BY id",
        source=source,
        store=store,
        folder=folder,
        now=f"{uidvalidity}-%",
    )


def retirable(tx: Tx, source: str, store: str, folder: str, uidvalidity: int) -> bool:
    """Whether something is left to do of another mailbox or another UIDVALIDITY (0: has none)."""
    return bool(
        tx.value(
            # two halves, each with an index of its own; as one, every row is looked at
            "SELECT 1 FROM ledger WHERE source = :source AND folder = :folder "
            "AND (store <> :store OR (:current <> '' AND message NOT LIKE :current)) "
            "AND state IN ('pending', 'held', 'delivered') "
            "UNION ALL SELECT 1 FROM ledger WHERE source = :source AND folder = :folder "
            "AND (store <> :store OR (:current <> '' AND message NOT LIKE :current)) "
            "AND after_due <> '' LIMIT 1",
            source=source,
            store=store,
            folder=folder,
            current=f"{uidvalidity}-%" if uidvalidity else "",
        )
    )


def retire(tx: Tx, source: str, store: str, folder: str, uidvalidity: int, *, now: float) -> None:
    """Finish what nobody can ask the server for any more: its numbers or its mailbox are gone.

    What is still in the folder has been listed again under its new number.
    """
    tx.execute(
        "UPDATE ledger SET state = CASE WHEN state = 'delivered' THEN 'done' "
        "WHEN state IN ('pending', 'held') THEN 'vanished' ELSE state END, "
        "reason = CASE WHEN state NOT IN ('pending', 'held') THEN reason "
        "WHEN store <> :store THEN 'the source collects from another mailbox now' "
        "ELSE 'the server numbered the folder anew' END, "
        "after_due = '', gone_at = coalesce(gone_at, :now), updated_at = :now "
        "WHERE source = :source AND folder = :folder "
        "AND (store <> :store OR (:current <> '' AND message NOT LIKE :current)) "
        "AND (state IN ('pending', 'held', 'delivered') OR after_due <> '')",
        source=source,
        store=store,
        folder=folder,
        current=f"{uidvalidity}-%" if uidvalidity else "",
        now=now,
    )
