"""Messages that a run sends: held under it, and let go or cancelled with the run.

Whoever settles a run calls :func:`let_go` or :func:`cancel` in the same transaction, and whoever begins
one anew :func:`cancel`: what its earlier attempt stored is no message of this one.  Should a run be over
or gone and its messages still be held - nothing that is known leads there - :func:`tidy` ends that.
"""

from __future__ import annotations

from typing import Final

from postroom.db import Row, Tx
from postroom.errors import NotThere, Refused

__all__ = [
    "HELD_UNDER",
    "cancel",
    "check_over",
    "free",
    "holds",
    "let_go",
    "sent_by",
    "tidy",
    "under",
    "waiting",
]

_UNTIL: Final = "until run "
HELD_UNDER: Final = (
    "(state = 'held' AND run IS NOT NULL "  # NULL IN (...) is neither true nor false
    "AND run IN (SELECT id FROM runs WHERE finished_at IS NULL)) "
)
"""Of an outbox row: a run that is not over holds it, and nobody else may let it go."""
_WAITING: Final = (
    "SELECT count(*) FROM outbox WHERE finished_at IS NULL "
    f"AND (:service IS NULL OR service = :service COLLATE NOCASE) AND {HELD_UNDER}"
)
_HELD: Final = "WHERE run = :run AND state = 'held' AND finished_at IS NULL"
_LET_GO: Final = (
    "UPDATE outbox SET state = 'queued', reason = '', due_at = :now, queued_at = :now, "
    f"updated_at = :now, epoch = epoch + 1 {_HELD}"
)
_CANCEL: Final = (
    "UPDATE outbox SET state = 'cancelled', reason = :reason, finished_at = :now, updated_at = :now, "
    f"idempotency_key = NULL, epoch = epoch + 1 {_HELD}"
)
_CANCEL_RECIPIENTS: Final = (
    "UPDATE outbox_recipients SET state = 'cancelled' "
    f"WHERE item IN (SELECT id FROM outbox {_HELD})"
)
_ENDED: Final = "whether it succeeded is not known"


def under(tx: Tx, run: str, *, epoch: int | None = None) -> str:
    """The reason of a message that is held under a run, as people read it.

    ``epoch`` is that of the attempt that sends.  Raises Refused where the run is over, or where another
    attempt has begun: what a worker sends that was thought dead would be sent a second time.
    """
    row = tx.one("SELECT job, epoch, finished_at FROM runs WHERE id = :run", run=run)
    if row is None:
        raise NotThere(f"There is no run {run!r}.", hint="List them: postroom job runs")
    if row["finished_at"] is not None or epoch not in (None, row["epoch"]):
        gone = "is over" if row["finished_at"] is not None else "was begun anew elsewhere"
        raise Refused(
            f"Run {run} of job {row['job']} {gone}; this attempt can send nothing any more.",
            code="claim_lost",
        )
    return f"{_UNTIL}{run} of job {row['job']} is over"


def let_go(tx: Tx, run: str, *, now: float) -> int:
    """Queue what was held under a run, due now: it has succeeded.  Gives how many messages."""
    return tx.execute(_LET_GO, run=run, now=now)


def cancel(tx: Tx, run: str, *, reason: str, now: float) -> int:
    """Cancel what is held under a run: it did not succeed, or it is begun anew.  Gives how many messages.

    Their idempotency keys are free again, for the next attempt; one whose message was let go is not.
    """
    tx.execute(_CANCEL_RECIPIENTS, run=run)
    return tx.execute(_CANCEL, run=run, reason=reason, now=now)


def sent_by(tx: Tx, message_id: str, *, since: str) -> str | None:
    """The run under which the message of that Message-ID was held before it was sent, or None.

    ``since`` is an id of the outbox (:func:`postroom.services.outbox.first_id`): what is older is not
    looked at.  Anybody may write a Message-ID, so that this is told by it and nothing is allowed.
    """
    found: str | None = tx.value(
        "SELECT run FROM outbox WHERE id > :since AND message_id = :wanted AND run IS NOT NULL "
        "ORDER BY id DESC LIMIT 1",
        since=since,
        wanted=message_id,
    )
    return found


def waiting(tx: Tx, service: str | None) -> int:
    """How many messages of a service (None: of all) runs hold that are not over."""
    count: int = tx.value(_WAITING, service=service)
    return count


def holds(tx: Tx, item: str) -> bool:
    """Whether a run that is not over holds that message."""
    return _holder(tx, item) is not None


def free(tx: Tx, item: str, *, now: float) -> None:
    """Queue one message, whatever becomes of its run: somebody else has asked for it as well."""
    tx.execute(
        "UPDATE outbox SET state = 'queued', reason = '', run = NULL, due_at = :now, "
        "queued_at = :now, updated_at = :now, epoch = epoch + 1 WHERE id = :id AND state = 'held'",
        id=item,
        now=now,
    )


def check_over(tx: Tx, item: str) -> None:
    """Raise Refused where a run holds that message, and is not over."""
    row = _holder(tx, item)
    if row is not None:
        raise Refused(
            f"Outbox item {item} is held until run {row['id']} of job {row['job']} is over; "
            "it is sent if that succeeds.",
            run=row["id"],
            hint=f"See the run: postroom job log {row['id']}. Never to send it: postroom outbox "
            f"cancel {item}",
        )


def _holder(tx: Tx, item: str) -> Row | None:
    return tx.one(
        "SELECT id, job FROM runs WHERE finished_at IS NULL "
        "AND id = (SELECT run FROM outbox WHERE id = :item AND state = 'held')",
        item=item,
    )


def tidy(tx: Tx, *, now: float) -> int:
    """End what is held under runs that are over or gone: let go where the run succeeded, else cancelled.

    What an operator or a restore holds of them stays held.  Gives how many messages.
    """
    rows = tx.all(
        "SELECT DISTINCT outbox.run, runs.state FROM outbox LEFT JOIN runs ON runs.id = outbox.run "
        "WHERE outbox.run IS NOT NULL AND outbox.finished_at IS NULL AND outbox.state = 'held' "
        "AND substr(outbox.reason, 1, length(:until)) = :until "
        "AND (runs.id IS NULL OR runs.finished_at IS NOT NULL)",
        until=_UNTIL,
    )
    done = 0
    for row in rows:
        if row["state"] == "succeeded":
            done += let_go(tx, row["run"], now=now)
        else:
            said = f"it is {row['state']}" if row["state"] else _ENDED
            done += cancel(tx, row["run"], reason=f"run {row['run']} is gone; {said}", now=now)
    return done
