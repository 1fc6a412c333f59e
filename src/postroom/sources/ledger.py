"""The ledger: what a source remembers of every message, so that none is lost and none comes twice.

    pending    listed; to be read and handed to the sink
    held       kept back, with a reason: clearance, too large, third failure
    acquired   being read and handed over; the attempt was counted before a byte of it arrived
    delivered  durable in the sink; its after-action on the server is still to do
    done       delivered, and the after-action is finished
    ignored    a filter said so
    failed     the sink refused this message for good
    vanished   gone from the server before it was read

The cursor moves in the transaction that records what was listed; a row leaves ``acquired`` in a
transaction that carries the claim's fence.  So a crash at any point replays from here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Final

from postroom.db import Row, Tx
from postroom.protocols.base import Since
from postroom.sinks import Delivery

__all__ = [
    "MOST_ATTEMPTS",
    "Read",
    "Seen",
    "acquire",
    "cursor_of",
    "cursors",
    "delivered",
    "give_back",
    "known",
    "later",
    "left",
    "record",
    "recover",
    "settle_after",
    "strike",
    "to_settle",
    "waits",
]

MOST_ATTEMPTS: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """A listed message and what was decided: a row to be."""

    message: str
    state: str
    reason: str
    size: int
    received: float | None
    subject: str = ""
    sender: str = ""
    message_id: str = ""
    after_due: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """What reading a message told, and where it lies now."""

    delivery: Delivery
    sha256: bytes
    subject: str
    sender: str
    message_id: str
    again_at: float | None = None  # refused by the sink, and to be tried again then


def cursor_of(tx: Tx, source: str, store: str, folder: str) -> Row | None:
    """The cursor row (``cursor``, ``uidvalidity``) of a folder, or None before the first time."""
    return tx.one(
        "SELECT * FROM cursors WHERE source = :source AND store = :store AND folder = :folder",
        source=source,
        store=store,
        folder=folder,
    )


def cursors(tx: Tx, source: str, store: str) -> dict[str, Since]:
    """How far each folder of a mailbox is known, by its name."""
    rows = tx.all(
        "SELECT folder, uidvalidity, cursor FROM cursors WHERE source = :source AND store = :store",
        source=source,
        store=store,
    )
    return {row["folder"]: Since(row["uidvalidity"], row["cursor"]) for row in rows}


def record(
    tx: Tx,
    source: str,
    store: str,
    folder: str,
    seen: Iterable[Seen],
    *,
    cursor: str,
    uidvalidity: int,
    now: float,
    stable_time: float = 0.0,
) -> None:
    """Record what was listed and move the cursor behind it.  What is known already stays as it is.

    What is new is due for reading ``stable_time`` seconds from now.  A new ``uidvalidity`` makes
    the sweep due: the rows of the old one are no longer in the folder.
    """
    tx.many(
        "INSERT INTO ledger (source, store, folder, message, state, reason, attempts, size, "
        "received_at, subject, sender, message_id, delivered_to, after_due, due_at, retries, "
        "first_seen_at, updated_at) VALUES (:source, :store, :folder, :message, :state, :reason, "
        "0, :size, :received, :subject, :sender, :message_id, '', :after_due, :due, 0, :now, :now) "
        "ON CONFLICT (source, store, folder, message) DO NOTHING",
        [
            {
                "source": source,
                "store": store,
                "folder": folder,
                "now": now,
                "due": now + stable_time,
                "message": one.message,
                "state": one.state,
                "reason": one.reason,
                "size": one.size,
                "received": one.received,
                "subject": one.subject,
                "sender": one.sender,
                "message_id": one.message_id,
                "after_due": one.after_due,
            }
            for one in seen
        ],
    )
    tx.execute(
        "INSERT INTO cursors (source, store, folder, uidvalidity, cursor, updated_at, swept_at, "
        "swept_to) VALUES (:source, :store, :folder, :uidvalidity, :cursor, :now, :now, 0) "
        "ON CONFLICT (source, store, folder) DO UPDATE "
        "SET swept_at = CASE WHEN cursors.uidvalidity = :uidvalidity THEN cursors.swept_at ELSE 0 END, "
        "uidvalidity = :uidvalidity, cursor = :cursor, updated_at = :now",
        source=source,
        store=store,
        folder=folder,
        uidvalidity=uidvalidity,
        cursor=cursor,
        now=now,
    )


def known(tx: Tx, source: str, store: str, folder: str) -> dict[str, Row]:
    """Every message recorded for a folder by its key: for wires that list everything each time."""
    return {
        row["message"]: row
        for row in tx.all(
            "SELECT id, message, state, size, gone_at FROM ledger WHERE source = :source AND store = :store "
            "AND folder = :folder",
            source=source,
            store=store,
            folder=folder,
        )
    }


def left(tx: Tx, ids: Iterable[int], *, now: float) -> None:
    """They are no longer in the folder."""
    tx.many(
        "UPDATE ledger SET gone_at = :now WHERE id = :id AND gone_at IS NULL",
        [{"id": one, "now": now} for one in ids],
    )


# ------------------------------------------------------------------ reading and handing over


def recover(tx: Tx, source: str, now: float) -> None:
    """After a claim: what a dead worker had acquired is pending again, its attempts counted.

    What has been tried three times is held, so that one bad message cannot stop the rest.
    """
    tx.execute(
        "UPDATE ledger SET state = 'pending', updated_at = :now "
        "WHERE source = :source AND state = 'acquired'",
        source=source,
        now=now,
    )
    tx.execute(
        "UPDATE ledger SET state = 'held', reason = 'third failure', updated_at = :now "
        "WHERE source = :source AND state = 'pending' AND attempts >= :most",
        source=source,
        now=now,
        most=MOST_ATTEMPTS,
    )


_FRESH: Final = (  # the index gives them in this order; the one below has to sort
    "SELECT * FROM ledger "
    "WHERE source = :source AND state = 'pending' AND folder = :folder AND attempts = 0 "
    "AND due_at <= :now ORDER BY id LIMIT :most"
)
_FRESH_IN_ORDER: Final = (
    "SELECT * FROM ledger "
    "WHERE source = :source AND state = 'pending' AND folder = :folder AND attempts = 0 "
    "AND due_at <= :now ORDER BY "
    "CASE :order WHEN 'oldest' THEN coalesce(received_at, first_seen_at) "
    "WHEN 'newest' THEN -coalesce(received_at, first_seen_at) END, "
    "CASE :order WHEN 'subject' THEN lower(subject) END, "
    "CASE :order WHEN '-subject' THEN lower(subject) END DESC, "
    "CASE WHEN :order IN ('newest', '-subject') THEN -id ELSE id END LIMIT :most"
)


def acquire(
    tx: Tx,
    source: str,
    folder: str,
    *,
    most: int,
    most_bytes: int,
    now: float,
    order: str = "server",
    fresh: bool = False,
) -> list[Row]:
    """Take the next due messages of a folder to read, in the source's order; count the attempt.

    Fresh messages come in batches; one that has failed before comes alone, after them, unless only
    ``fresh`` ones are wanted.
    """
    text = _FRESH if order == "server" else _FRESH_IN_ORDER
    rows = tx.all(text, source=source, folder=folder, now=now, most=most, order=order)
    if not rows and not fresh:
        rows = tx.all(
            "SELECT * FROM ledger "
            "WHERE source = :source AND state = 'pending' AND folder = :folder "
            "AND due_at <= :now ORDER BY attempts, id LIMIT 1",
            source=source,
            folder=folder,
            now=now,
        )
    taken: list[Row] = []
    total = 0
    for row in rows:
        total += row["size"]
        if taken and total > most_bytes:
            break
        taken.append(row)
    if order != "server":
        tx.many(
            "UPDATE ledger SET state = 'acquired', attempts = attempts + 1, updated_at = :now "
            "WHERE id = :id",
            [{"id": row["id"], "now": now} for row in taken],
        )
    elif taken:  # one statement for all of them: those are what lies between the first and the last
        tx.execute(
            "UPDATE ledger SET state = 'acquired', attempts = attempts + 1, updated_at = :now "
            "WHERE source = :source AND state = 'pending' AND folder = :folder "
            "AND attempts = :attempts AND due_at <= :now AND id BETWEEN :first AND :last",
            now=now,
            source=source,
            folder=folder,
            attempts=taken[0]["attempts"],
            first=taken[0]["id"],
            last=taken[-1]["id"],
        )
    return taken


def waits(tx: Tx, source: str, folder: str, *, now: float) -> bool:
    """Whether a message of that folder is due to be read."""
    return bool(
        tx.value(
            "SELECT 1 FROM ledger WHERE source = :source AND state = 'pending' "
            "AND folder = :folder AND due_at <= :now LIMIT 1",
            source=source,
            folder=folder,
            now=now,
        )
    )


def later(tx: Tx, source: str, folder: str, *, now: float) -> tuple[int, float | None]:
    """How many messages of a folder wait for their time, and when the first of them is due."""
    row = tx.one(
        "SELECT count(*) AS n, min(due_at) AS first FROM ledger WHERE source = :source "
        "AND state = 'pending' AND folder = :folder AND due_at > :now",
        source=source,
        folder=folder,
        now=now,
    )
    return (row["n"], row["first"]) if row else (0, None)


def give_back(tx: Tx, ids: Sequence[int], *, blamed: int | None, now: float) -> None:
    """What was not read goes back; only the ``blamed`` message (its id) keeps the attempt.

    A blamed message that has now failed three times is held.
    """
    tx.many(
        "UPDATE ledger SET state = 'pending', attempts = attempts - :forgive, "
        "updated_at = :now WHERE id = :id AND state = 'acquired'",
        [{"id": one, "now": now, "forgive": int(one != blamed)} for one in ids],
    )
    if blamed is not None:
        tx.execute(
            "UPDATE ledger SET state = 'held', reason = 'third failure' "
            "WHERE id = :id AND attempts >= :most",
            id=blamed,
            most=MOST_ATTEMPTS,
        )


def strike(tx: Tx, ids: Sequence[int], *, now: float) -> None:
    """Handling them broke our own code: the attempt stays counted, and the third holds a message."""
    tx.many(
        "UPDATE ledger SET state = CASE WHEN attempts >= :most THEN 'held' ELSE 'pending' END, "
        "reason = CASE WHEN attempts >= :most THEN 'third failure' ELSE reason END, "
        "updated_at = :now WHERE id = :id AND state = 'acquired'",
        [{"id": one, "now": now, "most": MOST_ATTEMPTS} for one in ids],
    )


def delivered(
    tx: Tx,
    reads: Iterable[Read],
    vanished: Iterable[int],
    *,
    done_due: bool,
    error_due: bool,
    now: float,
) -> None:
    """The sink has them durably: say so; ``..._due`` tells whether an after-action is to follow."""
    tx.many(
        "UPDATE ledger SET state = :state, reason = :reason, delivered_to = :place, "
        "sha256 = :sha256, subject = :subject, sender = :sender, message_id = :message_id, "
        "after_due = :due, attempts = CASE WHEN :again IS NULL THEN attempts ELSE 0 END, "
        "retries = retries + :retries, due_at = coalesce(:again, due_at), updated_at = :now "
        "WHERE id = :id",
        [_delivered_values(one, done_due, error_due, now) for one in reads],
    )
    tx.many(
        "UPDATE ledger SET state = 'vanished', reason = 'gone before it was read', "
        "gone_at = :now, updated_at = :now WHERE id = :id",
        [{"id": one, "now": now} for one in vanished],
    )


def _delivered_values(one: Read, done_due: bool, error_due: bool, now: float) -> dict[str, Any]:
    failed = bool(one.delivery.error)
    again = one.again_at if failed else None
    state = "pending" if again else "failed" if failed else "delivered" if done_due else "done"
    due = "error" if error_due and failed and not again else ""
    if done_due and not failed:
        due = "done"
    return {
        "id": one.delivery.ledger,
        "state": state,
        "reason": one.delivery.error,
        "due": due,
        "again": again,
        "retries": int(again is not None),
        "place": one.delivery.where,
        "sha256": one.sha256,
        "subject": one.subject,
        "sender": one.sender,
        "message_id": one.message_id,
        "now": now,
    }


def to_settle(
    tx: Tx, source: str, folder: str, outcome: str, *, after: int, limit: int
) -> list[Row]:
    """Messages of a folder, by id from ``after`` on, whose after-action ``outcome`` is still to do."""
    return tx.all(
        # in the words of ledger_after: without them every row of the source is looked at
        "SELECT id, message FROM ledger WHERE source = :source AND after_due = :outcome "
        "AND after_due <> '' AND folder = :folder AND +id > :after ORDER BY +id LIMIT :limit",
        source=source,
        folder=folder,
        outcome=outcome,
        after=after,
        limit=limit,
    )


def settle_after(tx: Tx, ids: Iterable[int], *, gone: bool, now: float) -> None:
    """Their after-action is finished; ``gone``: it took them out of the folder."""
    tx.many(
        "UPDATE ledger SET after_due = '', updated_at = :now, gone_at = coalesce(:gone, gone_at), "
        "state = CASE state WHEN 'delivered' THEN 'done' ELSE state END WHERE id = :id",
        [{"id": one, "now": now, "gone": now if gone else None} for one in ids],
    )
