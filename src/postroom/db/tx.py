"""Tx: what a body of ``db.write`` or ``db.read`` is given: SQL as text with named parameters."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from postroom.errors import RoomError

__all__ = ["Conflict", "Row", "Tx", "translate"]

Row = sqlite3.Row
"""One row: read by column name, ``row["name"]``."""


class Conflict(Exception):
    """A row with that key is there already.  The noun that owns the table says what it means."""


class Tx:
    """One transaction.  Ordinary synchronous calls; no awaiting, no network inside a body."""

    __slots__ = ("_connection",)
    dialect: ClassVar = "sqlite"
    """Which text of a statement is meant, where a statement has one for each dialect."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, **values: Any) -> int:
        """Run one statement; gives the number of rows it changed."""
        return self._run(sql, values).rowcount

    def insert(self, sql: str, **values: Any) -> int:
        """Run one INSERT into a table with an IDENTITY column; gives the new id."""
        return self._run(sql, values).lastrowid or 0

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement once for each mapping of values."""
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise translate(error) from error

    def all(self, sql: str, **values: Any) -> list[Row]:
        """Every row of a query."""
        try:
            return self._run(sql, values).fetchall()
        except sqlite3.Error as error:
            raise translate(error) from error

    def one(self, sql: str, **values: Any) -> Row | None:
        """The first row of a query, or None."""
        row: Row | None = self._run(sql, values).fetchone()
        return row

    def value(self, sql: str, **values: Any) -> Any:
        """The first column of the first row, or None."""
        row = self._run(sql, values).fetchone()
        return None if row is None else row[0]

    def _run(self, sql: str, values: Mapping[str, Any]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise translate(error) from error


def translate(error: sqlite3.Error, *, holder: str = "") -> Exception:
    """The one place where SQLite's exceptions become ours.

    ``holder`` names the process that holds the write lock, when somebody found out.
    """
    number = getattr(error, "sqlite_errorcode", 0)
    primary = number & 0xFF
    if number in _TAKEN:
        return Conflict(str(error))
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RoomError(
            f"Another process has been writing to this room for 10 seconds{holder}.",
            code="room_busy",
            temporary=True,
            hint="Try again, or end that process if it hangs.",
        )
    # the second: no space for the shared memory of the WAL, the first thing an opened room needs
    if primary == sqlite3.SQLITE_FULL or number == sqlite3.SQLITE_IOERR_SHMSIZE:
        return RoomError(
            "The disk that holds the room is full; nothing was saved.",
            code="room_full",
            temporary=True,
            hint="Free some space and try again.",
        )
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return RoomError(
            "The room's database file is damaged or is not a Postroom database.",
            hint="Restore it from a backup; this command changed nothing.",
        )
    if primary == sqlite3.SQLITE_READONLY:
        return RoomError(
            "The room's database file cannot be written.", hint="Check its owner and permissions."
        )
    if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return RoomError(
            f"The room's database could not be read or written ({error}).",
            hint="Check the disk and the permissions of the room's directory.",
        )
    return error


_TAKEN = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
