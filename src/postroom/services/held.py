"""Held messages in numbers: after a restore, or when the other side of a whole service is well again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from postroom.clock import timestamp
from postroom.db import Tx, is_living
from postroom.services import outbox, parking
from postroom.services.finding import lines
from postroom.services.ofrun import HELD_UNDER
from postroom.services.restored import RESTORED

__all__ = ["AT_ONCE", "hurry", "shift_held"]

AT_ONCE: Final = 500
"""Items of one transaction: nobody else waits for long."""


def hurry(tx: Tx, service: str) -> int:
    """Try at once what waits of a service, copies too: what stood in the way may be gone.

    Gives how many messages there were.
    """
    now = timestamp()
    parking.leave(tx, service)
    tx.execute(
        "UPDATE sent_copies SET due_at = :now WHERE service = :service COLLATE NOCASE "
        "AND state = 'waiting' AND due_at > :now",
        service=service,
        now=now,
    )
    return tx.execute(
        "UPDATE outbox SET due_at = :now WHERE service = :service COLLATE NOCASE "
        "AND state IN ('queued', 'deferred') AND finished_at IS NULL AND due_at > :now",
        service=service,
        now=now,
    )


def shift_held(
    tx: Tx,
    state: str,
    *,
    reason: str,
    service: str | None,
    restored: bool,
    waiting: bool = False,
    hidden: Sequence[str] = (),
) -> list[str]:
    """Let the next held messages of a service (None: of every one) go, or end them; gives their ids.

    ``restored``: only those that a restore holds, not what somebody held before.  ``waiting``: also
    what waits under services that are held themselves, and what a worker that is gone had claimed.
    What runs hold that are not over may be ended, and is not let go.  Of ``hidden`` services nothing is
    touched.
    """
    now = timestamp()
    owners = tx.all("SELECT DISTINCT owner FROM outbox WHERE owner IS NOT NULL")
    gone = [row["owner"] for row in owners if not is_living(tx, row["owner"], now=now)]
    rows = tx.all(
        _NEXT,
        state=state,
        service=service,
        hidden=lines(hidden),
        waiting=int(waiting and not restored),
        gone=f",{','.join(gone)},",
        why=RESTORED if restored else None,
        most=AT_ONCE,
    )
    return [outbox.shift(tx, row["id"], state, reason=reason).id for row in rows]


_NEXT: Final = (
    "SELECT id FROM outbox WHERE finished_at IS NULL AND (state = 'held' OR (:waiting "
    "AND (state IN ('queued', 'deferred') "
    "OR (state = 'claimed' AND instr(:gone, ',' || owner || ',') > 0)) "
    "AND service IN (SELECT name FROM services WHERE held = 1))) "
    "AND (:service IS NULL OR service = :service COLLATE NOCASE) "
    "AND instr(:hidden, char(10) || service || char(10)) = 0 "
    f"AND NOT (:state = 'queued' AND {HELD_UNDER}) "
    "AND (:why IS NULL OR reason = :why) ORDER BY id LIMIT :most"
)
