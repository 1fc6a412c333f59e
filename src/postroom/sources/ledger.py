"""The ledger: what a source remembers of every message, so that none is lost and none comes twice.

    pending    listed; to be read and handed to the sink
    held       kept back, with a reason: clearance, too large, third failure
    acquired   being read and handed over; the attempt was counted before that, or the cursor marked
    delivered  durable in the sink; its after-action on the server is still to do
    done       delivered, and the after-action is finished
    ignored    a filter said so
    failed     the sink refused this message for good
    vanished   gone from the server before it was read

The cursor moves in the transaction that records what was listed; a row leaves ``acquired`` in a
transaction that carries the claim's fence.  So a crash at any point replays from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from postroom.db import Row, Tx
from postroom.sinks import Delivery
from postroom.sources import cursors

__all__ = [
    "MOST_ATTEMPTS",
    "Read",
    "Seen",
    "acquire",
    "delivered",
    "give_back",
    "hold_read",
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


class Seen(NamedTuple):
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


class Read(NamedTuple):
    """What reading a message told, and where it lies now."""

    delivery: Delivery
    sha256: bytes
    subject: str
    sender: str
    message_id: str
    again_at: float | None = None  # refused by the sink, and to be tried again then


_TO_READ: Final = (
    "id, store, folder, message, size, received_at, subject, sender, attempts, retries, "
    "first_seen_at"
)
"""What whoever reads a message wants to know of its row."""
_JUST_ACQUIRED: Final = (
    f"SELECT {_TO_READ} FROM ledger WHERE source = :source AND state = 'acquired' "
    "AND id > :before ORDER BY id"
)


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
    reading: bool = False,
) -> list[Row]:
    """Record what was listed and move the cursor behind it.  What is known already stays as it is.

    What is new is due for reading ``stable_time`` seconds from now.  What is recorded as
    ``acquired`` has its attempt counted, and is given back as :func:`acquire` gives it.  The cursor:
    see :func:`cursors.move`.
    """
    before = tx.value("SELECT max(id) FROM ledger") or 0
    due = now + stable_time
    rows = [
        (
            source, store, folder, one.message, one.state, one.reason, int(one.state == "acquired"),
            one.size, one.received, one.subject, one.sender, one.message_id, one.after_due, due,
            now, now,
        )
        for one in seen
    ]  # fmt: skip
    tx.many(
        "INSERT INTO ledger (source, store, folder, message, state, reason, attempts, size, "
        "received_at, subject, sender, message_id, after_due, due_at, first_seen_at, updated_at, "
        "delivered_to, retries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0) "
        "ON CONFLICT (source, store, folder, message) DO NOTHING",
        rows,
    )
    taken = tx.all(_JUST_ACQUIRED, source=source, before=before)
    cursors.move(
        tx, source, store, folder,
        cursor=cursor, uidvalidity=uidvalidity, now=now, reading=reading,
    )  # fmt: skip
    return taken


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


_ANY: Final = (
    f"SELECT {_TO_READ} FROM ledger WHERE source = :source AND state = 'pending' "
    "AND folder = :folder AND due_at <= :now ORDER BY attempts, id LIMIT 1"
)
_FRESH: Final = (  # the index gives them in this order; the one below has to sort
    f"SELECT {_TO_READ} FROM ledger "
    "WHERE source = :source AND state = 'pending' AND folder = :folder AND attempts = 0 "
    "AND due_at <= :now ORDER BY id LIMIT :most"
)
_FRESH_IN_ORDER: Final = (
    f"SELECT {_TO_READ} FROM ledger "
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
        rows = tx.all(_ANY, source=source, folder=folder, now=now)
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


def waits(tx: Tx, source: str, folder: str, *, now: float, fresh: bool = False) -> bool:
    """Whether a message of that folder is due to be read; ``fresh``: one that has not failed."""
    return bool(
        tx.value(
            "SELECT 1 FROM ledger WHERE source = :source AND state = 'pending' "
            "AND folder = :folder AND due_at <= :now AND (attempts = 0 OR NOT :fresh) LIMIT 1",
            source=source,
            folder=folder,
            now=now,
            fresh=fresh,
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


def hold_read(tx: Tx, found: Mapping[int, tuple[int, str]], *, now: float) -> None:
    """Messages that turned out to be held back when they were read: by id the size and the reason.

    Their size is known from now on, so that whoever releases one has it delivered.
    """
    tx.many(
        "UPDATE ledger SET state = 'held', reason = :reason, size = :size, attempts = attempts - 1, "
        "updated_at = :now WHERE id = :id AND state = 'acquired'",
        [
            {"id": one, "size": size, "reason": why, "now": now}
            for one, (size, why) in found.items()
        ],
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
    state, due = ("delivered", "done") if done_due else ("done", "")
    refused = []
    taken = []
    for one in reads:
        here = one.delivery
        if here.error:
            refused.append(_refused(one, error_due, now))
        else:
            told = (one.sha256, one.subject, one.sender, one.message_id)
            taken.append((state, here.where, *told, due, now, here.ledger))
    tx.many(
        "UPDATE ledger SET state = ?, reason = '', delivered_to = ?, sha256 = ?, subject = ?, "
        "sender = ?, message_id = ?, after_due = ?, updated_at = ? WHERE id = ?",
        taken,
    )
    tx.many(
        "UPDATE ledger SET state = :state, reason = :reason, delivered_to = '', "
        "sha256 = :sha256, subject = :subject, sender = :sender, message_id = :message_id, "
        "after_due = :due, attempts = CASE WHEN :again IS NULL THEN attempts ELSE 0 END, "
        "retries = retries + :retries, due_at = coalesce(:again, due_at), updated_at = :now "
        "WHERE id = :id",
        refused,
    )
    tx.many(
        "UPDATE ledger SET state = 'vanished', reason = 'gone before it was read', "
        "gone_at = :now, updated_at = :now WHERE id = :id",
        [{"id": one, "now": now} for one in vanished],
    )


def _refused(one: Read, error_due: bool, now: float) -> dict[str, Any]:
    again = one.again_at
    return {
        "id": one.delivery.ledger,
        "state": "pending" if again else "failed",
        "reason": one.delivery.error,
        "due": "error" if error_due and not again else "",
        "again": again,
        "retries": int(again is not None),
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
