"""Writing the database's file anew, so that what was erased is in none of its gaps, nor in its log.

``secure_delete`` zeroes the place of what is deleted, and not the copies that SQLite left in the
unused middle of pages when it split and joined them; there they stay until something is written over
them.  ``VACUUM`` builds every page anew (sqlite.org/lang_vacuum.html).
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from postroom.db.tx import translate
from postroom.errors import RoomError

__all__ = ["BESIDE_OTHERS", "rewrite"]

BESIDE_OTHERS: Final = 64 * 1024 * 1024
"""Bytes of a database that is written anew within a second or two, so that others can wait for it:
a worker whose heartbeat waits longer than its lease would lose what it has claimed."""


def rewrite(path: Path, *, alone: bool, seconds: float = 10.0) -> str:
    """Write the database at ``path`` anew and cut its log to nothing.

    Gives why it was not done, as the rest of a sentence, empty when it was.  ``alone``: nobody else
    works on the room.  Raises RoomError for what is no such reason, such as damage.
    """
    if not alone and path.stat().st_size > BESIDE_OTHERS:
        return "it is large, and workers that run would have to wait too long"
    try:
        with contextlib.closing(
            sqlite3.connect(path, timeout=seconds, isolation_level=None)
        ) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("VACUUM")
            # sqlite.org/pragma.html#pragma_wal_checkpoint: the first column is 1 if it was kept from it
            kept: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as error:
        failure = translate(error, path)
        if isinstance(failure, RoomError) and failure.code == "room_busy":
            kept = 1
        elif isinstance(failure, RoomError) and failure.code == "room_full":
            return "the disk has no space for a second copy of it"
        else:
            raise failure from error
    return "others read or write in it all the time" if kept else ""
