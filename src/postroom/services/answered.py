"""Whom a machine has answered: one answer to one sender within some days, whatever comes (RFC 3834, 2)."""

from __future__ import annotations

import hashlib
from typing import Final

from postroom.clock import format_duration, rfc3339
from postroom.db import Tx
from postroom.errors import Refused

__all__ = ["PURGE_ROWS", "check", "erase", "mark", "purge"]

PURGE_ROWS: Final = 500


def check(tx: Tx, mailbox: str, sender: str, *, once_in: float, now: float) -> None:
    """Raise Refused (``once_in`` among its facts) where that mailbox has answered that sender within
    ``once_in`` seconds.

    An answer that waits under a run counts; one that was cancelled with its run does not.
    """
    at = tx.value(
        "SELECT at FROM answered WHERE mailbox = :mailbox AND sender = :sender AND at > :since "
        "AND NOT EXISTS (SELECT 1 FROM outbox WHERE id = item AND state = 'cancelled')",
        mailbox=mailbox.casefold(),
        sender=_hash(mailbox, sender),
        since=now - once_in,
    )
    if at is not None:
        raise Refused(
            f"{sender} was answered at {rfc3339(at)}; once in {format_duration(once_in)} is enough.",
            once_in=once_in,
        )


def mark(tx: Tx, mailbox: str, sender: str, *, item: str, once_in: float, now: float) -> None:
    """Remember an answer, in the transaction that stores it; who it went to as a hash only."""
    tx.execute(
        "INSERT INTO answered (mailbox, sender, item, at, forget_at) "
        "VALUES (:mailbox, :sender, :item, :now, :forget) ON CONFLICT (mailbox, sender) "
        "DO UPDATE SET item = :item, at = :now, forget_at = :forget",
        mailbox=mailbox.casefold(),
        sender=_hash(mailbox, sender),
        item=item,
        now=now,
        forget=now + once_in,
    )


def purge(tx: Tx, *, now: float) -> int:
    """Forget those who may be answered again, some at a time; gives how many."""
    return tx.execute(
        "DELETE FROM answered WHERE rowid IN "
        "(SELECT rowid FROM answered WHERE forget_at < :now LIMIT :most)",
        now=now,
        most=PURGE_ROWS,
    )


def erase(tx: Tx, address: str) -> int:
    """Forget that an address was answered; gives how often that stood there."""
    mailboxes = tx.all("SELECT DISTINCT mailbox FROM answered")
    return sum(
        tx.execute(
            "DELETE FROM answered WHERE mailbox = :mailbox AND sender = :sender",
            mailbox=row["mailbox"],
            sender=_hash(row["mailbox"], address),
        )
        for row in mailboxes
    )


def _hash(mailbox: str, sender: str) -> bytes:
    """Of an address, other for each mailbox: two of them do not show that they know the same person."""
    return hashlib.sha256(f"{mailbox.casefold()}\0{sender.casefold()}".encode()).digest()
