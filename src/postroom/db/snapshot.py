"""A snapshot: the whole database of a living room in a file of its own, as one moment saw it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from postroom.db.engine import Database
from postroom.db.migrate import check_schema
from postroom.db.tx import Tx, translate
from postroom.errors import RoomError

__all__ = ["count_rows", "faults", "open_copy", "schema_number", "take_snapshot"]

T = TypeVar("T")
Tell = Callable[[int, int], None]
"""Hears how many pages of how many are copied; whatever it raises ends the copying."""

_PAGES: Final = 2048
"""Pages copied between two calls of ``tell``: 8 MiB."""
_FAULTS: Final = 5
"""So many faults of a damaged database are enough to say that it is one."""


def take_snapshot(path: Path, to: Path, look: Callable[[Tx], T], *, tell: Tell | None = None) -> T:
    """Copy the database at ``path`` to the new file ``to``; gives what ``look`` finds in the copy.

    Others go on writing: one read transaction (WAL) holds the moment that is copied, and no lock
    that a writer waits for.  The copy needs no file beside it.  Raises RoomError: ``room_full`` when
    the disk of the copy is, or when the database is damaged.
    """
    to.touch(0o600)  # SQLite would let everybody read the file that it makes
    progress = None if tell is None else lambda _, left, total: tell(total - left, total)
    try:
        with (
            contextlib.closing(_connected(path)) as source,
            contextlib.closing(_connected(to)) as copy,
        ):
            copy.execute("PRAGMA journal_mode=OFF")
            copy.execute("PRAGMA synchronous=OFF")  # whoever keeps the copy syncs it
            # without a transaction of its own, the backup would begin anew with each foreign commit
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM room").fetchone()
            source.backup(copy, pages=_PAGES, progress=progress, sleep=0.01)
            source.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE")  # it came as WAL, which wants two more files
            found = faults(Tx(copy, to))
            if found:
                raise RoomError(
                    f"The room's database is damaged ({'; '.join(found)}); nothing was copied.",
                    hint="Keep the backups you have, and restore the newest that is whole.",
                )
            return look(Tx(copy, to))
    except sqlite3.Error as error:
        if _is_full(error, path, to):
            raise RoomError(
                f"The disk is full: there is no space for a copy of the room in {to.parent}.",
                code="room_full",
                temporary=True,
                hint="Free some space, or choose another disk.",
            ) from error
        raise translate(error, path) from error


def _is_full(error: sqlite3.Error, path: Path, to: Path) -> bool:
    """SQLite makes the file as long as it will be, and calls a disk that is too small for that
    an I/O error."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_IOERR:
        return shutil.disk_usage(to.parent).free < path.stat().st_size
    return code == sqlite3.SQLITE_FULL


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10.0, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def faults(tx: Tx) -> list[str]:
    """What SQLite finds wrong with a whole database, the first few; empty when it is sound."""
    rows = tx.all("PRAGMA integrity_check(5)")
    return [row[0] for row in rows if row[0] != "ok"][:_FAULTS]


def schema_number(tx: Tx) -> int:
    """The schema number of the database."""
    number: int = tx.value("PRAGMA user_version")
    return number


def count_rows(tx: Tx) -> dict[str, int]:
    """How many rows each table has, by name."""
    names = tx.all(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
        "ORDER BY name"
    )
    return {row["name"]: tx.value(_count(row["name"])) for row in names}


def _count(table: str) -> str:
    quoted = table.replace('"', '""')
    return f'SELECT count(*) FROM "{quoted}"'  # a name out of the schema, quoted


def open_copy(path: Path) -> Database:
    """Open a copy that is not in use as a room yet, of this schema or an earlier one.

    Raises RoomError: ``room_too_new`` for one of a later release.
    """
    try:
        with contextlib.closing(_connected(path)) as connection:
            check_schema(connection, older=True)
    except sqlite3.Error as error:
        raise translate(error, path) from error
    return Database(path)
