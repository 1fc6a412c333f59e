"""Upgrade: a room of an earlier release is copied, then migrated, while nobody else has it open."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final, NamedTuple

from postroom.clock import monotonic, now
from postroom.db.migrate import SCHEMA, check_schema, migrate, schema_of
from postroom.db.place import openers
from postroom.db.seats import living
from postroom.db.tx import Tx, translate
from postroom.errors import RoomError

__all__ = ["Upgraded", "upgrade"]

OTHERS_SECONDS: Final = 10.0
"""How long commands that still have the room open are waited for."""
LOOK_SECONDS: Final = 0.1
_UNFINISHED: Final = "room.upgrade-copy"

Note = Callable[[Tx, int, Path], None]


class Upgraded(NamedTuple):
    """From which schema number to which, and where the room as it was before is kept."""

    before: int
    after: int
    copy: Path


async def upgrade(path: Path, note: Note) -> Upgraded | None:
    """Bring the room whose database is at ``path`` to this release's schema; None: it has it.

    ``note(tx, before, copy)`` writes it down, in the transaction of the last step.  Whoever else
    upgrades the same room meanwhile is waited for.  Raises RoomError: ``room_busy`` with the
    processes that have the room open, ``room_full``, ``room_too_new``.  Nothing is changed then.
    """
    async with _alone_upgrading(path.parent):
        before = _older(path)
        if before is None:
            return None
        _check_seats(path)
        connection = await _alone(path)
        try:
            return await asyncio.to_thread(_upgrade, connection, path, before, note)
        except sqlite3.Error as error:
            raise translate(error, path) from error
        finally:
            connection.close()


def _older(path: Path) -> int | None:
    """The schema number if it is an earlier one."""
    if not path.exists():
        return None  # opening it says what is wrong
    with contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            number = check_schema(connection, older=True)
        except sqlite3.Error as error:
            raise translate(error, path) from error
    return number if number < SCHEMA else None


def _upgrade(connection: sqlite3.Connection, path: Path, before: int, note: Note) -> Upgraded:
    copy = _copy(connection, path, before)
    try:
        migrate(connection, lambda: note(Tx(connection, path), before, copy))
    except BaseException:
        if schema_of(connection) == before:  # the room is as it was, and needs no copy
            copy.unlink(missing_ok=True)
        raise
    return Upgraded(before, SCHEMA, copy)


# ------------------------------------------------------------------ the copy


def _copy(connection: sqlite3.Connection, path: Path, number: int) -> Path:
    """Copy the room (VACUUM INTO) beside itself, durable before it has its name; mode 0600.

    What a killed upgrade left unfinished is removed.
    """
    unfinished = path.parent / _UNFINISHED
    unfinished.unlink(missing_ok=True)
    file = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        # into the empty file: one that SQLite makes can be read by others
        connection.execute("VACUUM INTO ?", (os.fspath(unfinished),))
        os.fsync(file)
        copy = _free_name(path, number)
        unfinished.rename(copy)
    finally:
        unfinished.unlink(missing_ok=True)
        os.close(file)
    _sync_directory(path.parent)
    return copy


def _free_name(path: Path, number: int) -> Path:
    stem = f"room-schema-{number}-{now():%Y%m%dT%H%M%SZ}"
    copy = path.parent / f"{stem}.db"
    counter = 2
    while copy.exists():
        copy = path.parent / f"{stem}-{counter}.db"
        counter += 1
    return copy


def _sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


# ------------------------------------------------------------------ nobody else


@contextlib.asynccontextmanager
async def _alone_upgrading(directory: Path) -> AsyncIterator[None]:
    """Wait until no other process upgrades this room: a lock that the kernel drops with it."""
    file = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(LOOK_SECONDS)
        yield
    finally:
        os.close(file)


def _check_seats(path: Path) -> None:
    """Raise ``room_busy`` while a worker of the earlier release is at work."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT owner, pid FROM workers ORDER BY owner").fetchall()
    pids = [pid for owner, pid in rows if living(path.parent, owner)]
    if pids:
        raise _in_use("are workers or programs of the earlier release", pids)


async def _alone(path: Path) -> sqlite3.Connection:
    """A connection that has the database for itself: nobody reads or writes until it is closed.

    In WAL mode every open connection of another process holds a shared lock on the file, idle or
    not; so an exclusive one is the proof that nobody with other code works here.
    """
    deadline = monotonic() + OTHERS_SECONDS
    while True:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        try:
            # before the first access, or SQLite has the shared index of the WAL open already
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise translate(error, path) from error
            if monotonic() >= deadline:
                raise _in_use("have it open", openers(path)) from error
            await asyncio.sleep(LOOK_SECONDS)
        else:
            for pragma in ("synchronous=FULL", "fullfsync=1", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}")
            return connection


def _in_use(what: str, pids: list[int]) -> RoomError:
    who = ", ".join(f"process {pid}" for pid in pids) or "another process"
    return RoomError(
        f"The room must be upgraded, and it is in use: {who} ({what}). Nothing was changed.",
        code="room_busy",
        temporary=True,
        processes=pids,
        hint="End them; their work is kept. Then try again.",
    )
