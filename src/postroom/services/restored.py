"""The outbox of a room that comes out of a backup: nothing of it leaves before somebody has looked.

The room that the backup is of may have sent, since then, whatever was still waiting in it.  So what was
not final is held; what was on the wire is in doubt, as after a takeover; and what was in doubt is not
tried again by itself.  Copies for Sent folders go on: whoever makes one looks first.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from postroom.db import Tx

__all__ = ["RESTORED", "Kept", "keep_back"]

RESTORED: Final = "restored from a backup"
"""Why an item is held."""
_DOUBT: Final = "It was being sent when the backup was made, and whether it arrived is not known."


class Kept(NamedTuple):
    """How many items are held now because of the restore, and how many are in doubt."""

    held: int
    ambiguous: int


def keep_back(tx: Tx, *, now: float) -> Kept:
    """Hold what was waiting, end what was in doubt, and let every claim fall."""
    tx.execute(
        "UPDATE outbox_recipients SET state = 'ambiguous', code = 0, enhanced = '', reply = :said "
        "WHERE state IN ('queued', 'deferred') "
        "AND item IN (SELECT id FROM outbox WHERE state = 'submitting')",
        said=_DOUBT,
    )
    tx.execute(
        "INSERT INTO outbox_attempts (item, attempt, at, outcome, said) "
        "SELECT id, attempts + 1, :now, 'ambiguous', :said FROM outbox WHERE state = 'submitting'",
        now=now,
        said=_DOUBT,
    )
    ambiguous = tx.execute(
        "UPDATE outbox SET reason = CASE state WHEN 'submitting' THEN :said ELSE reason END, "
        "attempts = attempts + CASE state WHEN 'submitting' THEN 1 ELSE 0 END, "
        "state = 'ambiguous', finished_at = :now, updated_at = :now "
        "WHERE state IN ('submitting', 'ambiguous') AND finished_at IS NULL",
        now=now,
        said=_DOUBT,
    )
    held = tx.execute(
        "UPDATE outbox SET state = 'held', reason = :why, updated_at = :now "
        "WHERE finished_at IS NULL AND state <> 'held'",
        why=RESTORED,
        now=now,
    )
    # a worker of the room that was backed up has a lower epoch and a name that owns nothing here
    tx.execute("UPDATE outbox SET owner = NULL, epoch = epoch + 1")
    tx.execute("UPDATE sent_copies SET owner = NULL, epoch = epoch + 1")
    return Kept(held, ambiguous)
