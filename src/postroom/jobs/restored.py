"""The jobs of a room that comes out of a backup: none begins before somebody has looked.

The room that the backup is of may have done, since then, whatever was still to be done in this one, and
answered what its sources hand over once more.  So every job is held: its runs wait, and its schedule
passes by.  What a run had sent is held under it, and cancelled when the run is begun anew.
"""

from __future__ import annotations

from postroom.db import Tx

__all__ = ["hold_all"]


def hold_all(tx: Tx) -> int:
    """Hold every job; gives how many are held now because of that."""
    return tx.execute("UPDATE jobs SET held = 1 WHERE held = 0")
