"""The epoch of a room: 1 when it is made, one more with every restore, so that copies differ."""

from __future__ import annotations

from postroom.db import Tx

__all__ = ["begin_epoch", "epoch_of"]


def epoch_of(tx: Tx) -> int:
    """Which life of the room this is."""
    return int(tx.value("SELECT value FROM room WHERE key = 'epoch'") or 1)


def begin_epoch(tx: Tx) -> int:
    """Begin the next one; gives its number."""
    epoch = epoch_of(tx) + 1
    tx.execute(
        "INSERT INTO room (key, value) VALUES ('epoch', :epoch) "
        "ON CONFLICT (key) DO UPDATE SET value = :epoch",
        epoch=str(epoch),
    )
    return epoch
