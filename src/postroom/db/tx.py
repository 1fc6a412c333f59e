"""Tx: what a body of ``db.write`` or ``db.read`` is given: SQL as text with named parameters."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol

from postroom.db.place import is_full, lock_holder
from postroom.errors import RoomError

__all__ = ["UNSYNCED", "Conflict", "Row", "Sight", "Tx", "translate"]

_AT_ONCE = 1024 * 1024  # bytes

Row = sqlite3.Row
"""One row: read by column name, ``row["name"]``."""


class Conflict(Exception):
    """A row with that key is there already.  The noun that owns the table says what it means."""


class Sight(Protocol):
    """What is not there for whoever asks."""

    def hides(self, tx: Tx, noun: str, row: Row) -> bool:
        """Whether a row, with all the columns of its noun's table, is not there for them."""
        ...


class Tx:
    """One transaction.  Ordinary synchronous calls; no awaiting, no network inside a body.

    ``known`` is what one body may leave to the next in the same transaction, while nobody else can
    write: the end of a chain, say.  ``kept`` is what it may leave to later transactions as well, as
    long as no other process has written in between.  Both are emptied when a body is rolled back.
    ``sight`` is of whoever asks, for what finds rows by name; None: everything is there.
    """

    dialect: ClassVar = "sqlite"
    """Which text of a statement is meant, where a statement has one for each dialect."""

    __slots__ = ("_connection", "kept", "known", "path", "sight")

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        kept: dict[tuple[str, str], Any] | None = None,
    ) -> None:
        """``path`` is the database's file: where the disk is asked when something goes wrong."""
        self._connection = connection
        self.path = path
        self.known: dict[tuple[str, str], Any] = {}
        self.kept: dict[tuple[str, str], Any] = {} if kept is None else kept
        self.sight: Sight | None = None

    def hides(self, noun: str, row: Row) -> bool:
        """Whether a row is not there for whoever asks."""
        return self.sight is not None and self.sight.hides(self, noun, row)

    @contextlib.contextmanager
    def seen_by(self, sight: Sight | None) -> Iterator[None]:
        """Somebody asks for a while; with None nobody does, and everything is there."""
        before, self.sight = self.sight, sight
        try:
            yield
        finally:
            self.sight = before

    def execute(self, sql: str, **values: Any) -> int:
        """Run one statement; gives the number of rows it changed."""
        return self._run(sql, values).rowcount

    def insert(self, sql: str, **values: Any) -> int:
        """Run one INSERT into a table with an IDENTITY column; gives the new id."""
        return self._run(sql, values).lastrowid or 0

    def many(self, sql: str, rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> None:
        """Run one statement once for each mapping of values.

        A row that is written for each message gives a sequence, for ``?`` in their order: finding
        a dozen values by name costs as much as the rest of an insert.
        """
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def all(self, sql: str, **values: Any) -> list[Row]:
        """Every row of a query."""
        try:
            return self._run(sql, values).fetchall()
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def one(self, sql: str, **values: Any) -> Row | None:
        """The first row of a query, or None."""
        try:  # what gives a row looks for the next one already
            row: Row | None = self._run(sql, values).fetchone()
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        return row

    def value(self, sql: str, **values: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, **values)
        return None if row is None else row[0]

    def piece(self, table: str, column: str, rowid: int, *, start: int, size: int) -> bytes:
        """Some bytes of one value, the rest of which stays where it is.

        A query would read the whole value; what lies before ``start`` is still walked over.
        """
        try:
            with self._connection.blobopen(table, column, rowid, readonly=True) as blob:
                blob.seek(start)
                return blob.read(size)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def fill(self, table: str, column: str, rowid: int, data: IO[bytes]) -> None:
        """Write the bytes of one value for which there is room already, some at a time."""
        try:
            with self._connection.blobopen(table, column, rowid) as blob:
                while piece := data.read(_AT_ONCE):
                    blob.write(piece)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def _run(self, sql: str, values: Mapping[str, Any]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error


def translate(error: sqlite3.Error, path: Path) -> Exception:
    """The one place where SQLite's exceptions become ours; ``path`` is the database's file."""
    number = getattr(error, "sqlite_errorcode", 0)
    primary = number & 0xFF
    if number in _TAKEN:
        return Conflict(str(error))
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RoomError(
            f"Another process has been writing to this room for 10 seconds{lock_holder(path)}.",
            code="room_busy",
            temporary=True,
            hint="Try again, or end that process if it hangs.",
        )
    if primary == sqlite3.SQLITE_FULL or (primary in _DISK and is_full(path.parent)):
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
    if primary == sqlite3.SQLITE_ERROR and str(error).startswith(
        ("no such table", "no such column")
    ):
        return RoomError(
            f"The room's tables are not as this release made them ({error}).",
            hint="Somebody changed them. Restore the room from a backup.",
        )
    if number in UNSYNCED:
        return RoomError(
            f"The disk that holds the room did not keep what was written ({error}); nothing was saved.",
            hint="Look at the disk and at the system's log; this process writes no more to the room.",
        )
    if primary in _DISK:
        return RoomError(
            f"The room's database could not be read or written ({error}).",
            hint="Check the disk and the permissions of the room's directory.",
        )
    return error


_TAKEN = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
UNSYNCED = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
"""A sync that failed: the kernel may have dropped those pages and call the next sync a success."""
# Where there is no byte left SQLite fails before it writes a page: it cannot make the -shm file
# (IOERR_SHMSIZE), nor, without inodes, the -wal (CANTOPEN); over a user's quota a write is IOERR.
_DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
