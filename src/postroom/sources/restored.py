"""The sources of a room that comes out of a backup: free to be claimed, and nothing counts as read.

What was being handed over is to be read again: at least once.  A message that the room has since moved
or deleted on the server is not found there any more and becomes *vanished*; one that was collected
after the backup and still lies in its folder is behind the cursor and comes once more, to the same file
of a directory sink.
"""

from __future__ import annotations

from postroom.db import Tx

__all__ = ["begin_again"]


def begin_again(tx: Tx, *, now: float) -> int:
    """Let every claim fall and give back what was being handed over; gives how many messages.

    Their attempts are not counted: it was not the messages that failed.
    """
    tx.execute(
        "UPDATE sources SET owner = NULL, epoch = epoch + 1, state = 'idle', state_since = :now",
        now=now,
    )
    return tx.execute(
        "UPDATE ledger SET state = 'pending', attempts = max(attempts - 1, 0), updated_at = :now "
        "WHERE state = 'acquired'",
        now=now,
    )
