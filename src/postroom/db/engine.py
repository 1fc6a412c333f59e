"""Database on SQLite: one writer thread, many bodies in one durable commit, reads in place."""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from postroom.db.migrate import check_schema, make_schema, schema_of
from postroom.db.place import check_place, is_full
from postroom.db.tx import UNSYNCED, Tx, translate
from postroom.errors import RoomError

__all__ = ["Database", "moved_away", "open_database"]

T = TypeVar("T")
BUSY_SECONDS = 10.0
ALONE_SECONDS = 1.0
"""How long a look at a room on a full disk waits for another one: nobody else is there."""
MOST_BODIES = 512
"""Bodies in one commit at the most, so that the first does not wait for the last of a flood."""

_Job = tuple[Callable[[Tx], Any], "asyncio.Future[Any]"]


def open_database(
    path: Path, *, create: bool = False, read_only: bool = False, older: bool = False
) -> Database:
    """Open the database file of a room.

    ``create`` makes it when missing (mode 0600); ``older`` opens a room of an earlier release as
    it is, to read in it what has not changed since.  Raises RoomError: ``room_missing``,
    ``room_too_new``, ``room_too_old``, or a sentence about the disk.
    """
    if not path.exists():
        if not create:
            raise RoomError(
                f"There is no room at {path.parent}.",
                code="room_missing",
                hint="Make one with: postroom init",
            )
        check_place(path.parent)
        _make_file(path)
    else:
        check_place(path.parent)
        _make_private(path)
    try:
        with_schema = _connect(path) if create else _connect_to_read(path)
        try:
            if create and schema_of(with_schema) == 0:
                make_schema(with_schema)
            check_schema(with_schema, older=older)
            _check_foreign(with_schema)
        finally:
            with_schema.close()
    except sqlite3.Error as error:
        raise translate(error, path) from error
    return Database(path, read_only=read_only)


def _make_private(path: Path) -> None:
    """A room that was copied or unpacked too openly holds mail all the same: close it to others."""
    facts = path.stat()
    if facts.st_mode & 0o077 and facts.st_uid == os.geteuid():
        path.chmod(0o600)


def _make_file(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if path.is_symlink():  # SQLite would make the file it leads to, readable by others
            raise RoomError(
                f"{path} is a link that leads nowhere.",
                hint="Remove it, or choose another place with --room.",
            ) from None
        return  # another process was faster; the schema is made by whoever locks the file first
    except OSError as error:
        raise RoomError(
            f"{path} cannot be made: {error.strerror}.", hint="Choose another place with --room."
        ) from error


def _check_foreign(connection: sqlite3.Connection) -> None:
    """A room has no triggers and no views: one could swallow an audit row, or answer for a table."""
    found = connection.execute(
        "SELECT type, name FROM sqlite_schema WHERE type IN ('trigger', 'view') LIMIT 1"
    ).fetchone()
    if found is not None:
        raise RoomError(
            f"Somebody put a {found['type']} named {found['name']!r} into the room's database; a room "
            "has none.",
            hint="Find out who did. Restore the room from a backup, or drop it with sqlite3.",
        )


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection for one short look; also on a disk without room for the shared -shm file.

    There SQLite keeps that index in its own memory, if nobody else has the room open; so close it
    soon.  Raises sqlite3.Error, that of the full disk if others have the room open.
    """
    try:
        return _connect(path)
    except sqlite3.Error as error:
        if not is_full(path.parent):
            raise
        try:
            return _connect(path, alone=True)
        except sqlite3.Error:
            raise error from None


def _connect(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """``alone`` keeps everybody else out of the database until it is closed."""
    connection = sqlite3.connect(
        path,
        timeout=ALONE_SECONDS if alone else BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.row_factory = sqlite3.Row
    try:
        # before the journal: it says where the index of the log is kept
        # (sqlite.org/wal.html, "Use of WAL Without Shared-Memory")
        if alone:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


# FULL makes every commit durable in WAL mode; NORMAL would lose the last ones on power loss
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
    "fullfsync=1",
    "temp_store=MEMORY",
    "cache_size=-8000",
)
# each thread that reads has a cache of its own; behind it the kernel has the file
_READING = "PRAGMA query_only=ON; PRAGMA cache_size=-1000"


class Database:
    """The one way to the database: ``await db.write(body)`` and ``await db.read(body)``.

    ``body(tx)`` is an ordinary function.  What it returns comes back after the commit is durable;
    what it raises comes back after its own changes are rolled back, and nobody else's.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._file = _identity(path)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._readers = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._writer: threading.Thread | None = None
        self._closed = False
        self._starting = threading.Lock()
        self._version: int | None = None  # of the database, when others were last looked for
        self.failed: Exception | None = None  # a sync that failed: it is not tried again here
        self._schema: int | None = None  # the schema in which nothing foreign was found
        self._kept: dict[tuple[str, str], Any] = {}

    async def write(self, body: Callable[[Tx], T]) -> T:
        """Run ``body`` in a write transaction and commit it durably.

        Bodies that wait at the same time share one commit, each under its own savepoint.
        Raises what the body raises, or RoomError (busy, full, damaged).
        """
        if self._closed:
            raise RoomError("The room is closed.")
        if self.read_only:
            raise RoomError("The room is open for reading only.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._writer is None:
            self._start()
        self._jobs.put((body, future))
        return await future

    async def read(self, body: Callable[[Tx], T]) -> T:
        """Run ``body`` on one consistent snapshot.  Short reads only: it runs in place."""
        return self.read_now(body)

    def read_now(self, body: Callable[[Tx], T]) -> T:
        """As :meth:`read`, for code that is not asynchronous."""
        try:
            connection = self._reader()
        except RoomError as error:
            if error.code != "room_full":
                raise
            return self._read_alone(body)
        return self._snapshot(connection, body)

    def _read_alone(self, body: Callable[[Tx], T]) -> T:
        try:
            connection = _connect_to_read(self.path)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        try:
            connection.execute("PRAGMA query_only=ON")
            return self._snapshot(connection, body)
        finally:
            connection.close()

    def _snapshot(self, connection: sqlite3.Connection, body: Callable[[Tx], T]) -> T:
        try:
            connection.execute("BEGIN")
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        try:
            return body(Tx(connection, self.path))
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def data_version(self) -> int:
        """A number that changes when another connection has committed: cheap to ask, often.

        Raises RoomError.
        """
        try:
            number: int = self._reader().execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        return number

    def in_place(self) -> bool:
        """Whether the file at the path still is the one that was opened, not moved or replaced."""
        return _identity(self.path) == self._file

    async def close(self) -> None:
        """Finish what is queued, then close.  Calling it twice is fine."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._writer.join)
        for connection in self._opened:
            connection.close()

    def _reader(self) -> sqlite3.Connection:
        if self._closed:
            raise RoomError("The room is closed.")
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            try:
                connection = self._connect()
                connection.executescript(_READING)
            except sqlite3.Error as error:
                raise translate(error, self.path) from error
            self._readers.connection = connection
            self._opened.append(connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        """One more connection, to the same file as the others: another room may be there by now."""
        if not self.in_place():
            raise moved_away(self.path)
        return _connect(self.path)

    def _start(self) -> None:
        with self._starting:
            if self._writer is None:
                # a daemon, so that a program that forgets to close can still end; every answer it
                # has had was given after the commit, so nothing it believes saved can be lost
                self._writer = threading.Thread(target=self._write, name="postroom-db", daemon=True)
                self._writer.start()

    def _write(self) -> None:
        """The writer thread: take what waits, run it, commit once, answer."""
        connection: sqlite3.Connection | None = None
        ending = False
        while not ending:
            job = self._jobs.get()
            batch: list[_Job] = []
            while True:
                if job is None:
                    ending = True
                    break
                batch.append(job)
                if len(batch) >= MOST_BODIES or self._jobs.empty():
                    break
                job = self._jobs.get()
            if not batch:
                continue
            try:
                connection = connection or self._connect()
                answers = self._commit(connection, batch)
            except sqlite3.Error as error:
                failure = translate(error, self.path)
                answers = [(future, None, failure) for _, future in batch]
            except RoomError as moved:
                answers = [(future, None, moved) for _, future in batch]
            _answer(answers)
        if connection is not None:
            connection.close()

    def _look_around(self, connection: sqlite3.Connection) -> None:
        """Where somebody else has written since the last commit here: forget what was kept, and look
        for triggers again if the schema was changed.
        """
        version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return
        self._kept.clear()
        schema: int = connection.execute("PRAGMA schema_version").fetchone()[0]
        if schema != self._schema:
            _check_foreign(connection)
            self._schema = schema
        self._version = version

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job]) -> list[_Answer]:
        if self.failed is not None:
            return [(future, None, self.failed) for _, future in batch]
        answers: list[_Answer] = []
        tx = Tx(connection, self.path, self._kept)
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._look_around(connection)
            for body, future in batch:
                connection.execute("SAVEPOINT body")
                try:
                    answers.append((future, body(tx), None))
                    connection.execute("RELEASE body")
                except BaseException as error:
                    if not connection.in_transaction:
                        raise  # SQLite itself gave up on the whole transaction (full disk, I/O)
                    tx.known.clear()
                    tx.kept.clear()
                    connection.execute("ROLLBACK TO body")
                    connection.execute("RELEASE body")
                    answers.append((future, None, error))
            connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001  # whoever waits must get an answer
            self._kept.clear()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = error
            if isinstance(error, sqlite3.Error):
                failure = translate(error, self.path)
                if getattr(error, "sqlite_errorcode", 0) in UNSYNCED:
                    self.failed = failure
            return [(future, None, failure) for _, future in batch]
        return answers


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def moved_away(path: Path) -> RoomError:
    """What to say when another file is at the place of the room that is open."""
    return RoomError(
        f"The room at {path.parent} was moved or replaced while this process had it open.",
        hint="Start it again: it then works with the room that is there now.",
    )


_Answer = tuple["asyncio.Future[Any]", Any, BaseException | None]


def _answer(answers: list[_Answer]) -> None:
    """Hand the answers back to the loops that asked, one wake-up a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
    for answer in answers:
        by_loop.setdefault(answer[0].get_loop(), []).append(answer)
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, group)
        except RuntimeError:
            continue  # that loop is closed; the commit stands, nobody is there to hear of it


def _settle(group: list[_Answer]) -> None:
    for future, value, error in group:
        if future.cancelled():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
