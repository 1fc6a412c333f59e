"""Seats: how processes on one machine know that another one is dead, at once and for certain.

Every process that claims work holds an exclusive ``flock`` on a file of its own.  The kernel drops
it when the process ends, however it ends; so a lock that can be taken means that its owner is dead,
and its seat is removed, which frees its claims.  Heartbeats are for the frozen.  A worker, which
takes whatever is due, says so in that file, and for which roles; other processes claim what they were
told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import socket
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

from postroom.clock import timestamp
from postroom.db.claims import HEARTBEAT_SECONDS, LEASE_SECONDS
from postroom.db.engine import Database
from postroom.db.tx import Tx
from postroom.errors import Refused, RoomError
from postroom.log import logger

__all__ = [
    "Owe",
    "Seat",
    "drop_claims",
    "is_living",
    "living",
    "seated",
    "workers",
    "write_or_owe",
]

_log: Final = logger("db")

_SEATS: Final = "seats"
_OWNER: Final = re.compile(r"[A-Za-z0-9._-]{0,64}-[0-9]{1,10}-[0-9a-f]{8}")  # HOST-PID-RANDOM
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]")

STRAY_SECONDS = 3600.0

T = TypeVar("T")
Owe = Callable[[Callable[[Tx], object]], None]
"""Takes what is to be written as soon as the room can be written (:meth:`Seat.owe`)."""


class Seat:
    """This process's place among those that claim: ``async with Seat(db) as seat: seat.owner``."""

    def __init__(self, db: Database, *, kek: str = "") -> None:
        """``kek`` is the id of the key this process opened the room with."""
        self._db = db
        self._kek = kek
        host = _ODD.sub("_", socket.gethostname())[:64]
        self.owner = f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
        self._file: int | None = None
        self._heart: asyncio.Task[None] | None = None
        self._owed: deque[Callable[[Tx], object]] = deque()

    async def __aenter__(self) -> Self:
        self._file = _make_file(self._path(self.owner))
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)  # who asks whether we live has it for a moment
            await self._db.write(self._sit)
            await self.remove_dead()
            await self._db.read(self._remove_strays)
        except BaseException:
            self._leave_file()
            raise
        self._heart = asyncio.create_task(self._beat(), name="postroom-heartbeat")
        return self

    async def __aexit__(self, *reason: object) -> None:
        if self._heart is not None:
            self._heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._heart
        try:
            await self._pay()
            await self._db.write(lambda tx: _remove(tx, self.owner))
        finally:
            self._leave_file()

    def work(self, roles: Sequence[str]) -> None:
        """Say that this process works off whatever is due, for these roles."""
        if self._file is not None:
            os.pwrite(self._file, json.dumps({"roles": list(roles)}).encode(), 0)

    async def remove_dead(self) -> int:
        """Remove the seats of processes that are gone; their claims fall at once.

        Gives how many there were.  A row that names no seat of ours is removed too, and no file.
        """
        others = await self._db.read(
            lambda tx: tx.all("SELECT owner FROM workers WHERE owner <> :me", me=self.owner)
        )
        gone = [row["owner"] for row in others if not living(self._db.path.parent, row["owner"])]
        if gone:
            await self._db.write(lambda tx: _remove(tx, *gone))
            for owner in gone:
                if _is_ours(owner):
                    self._path(owner).unlink(missing_ok=True)
        return len(gone)

    def _remove_strays(self, tx: Tx) -> None:
        """Remove files of processes that were killed before they had a seat.

        Not before an hour: who is just sitting down has a file that is not locked yet.
        """
        seated = {row["owner"] for row in tx.all("SELECT owner FROM workers")}
        for path in (self._db.path.parent / _SEATS).glob("*.lock"):
            with contextlib.suppress(FileNotFoundError):
                old = timestamp() - path.stat().st_mtime > STRAY_SECONDS
                if old and path.stem not in seated and not living(self._db.path.parent, path.stem):
                    path.unlink()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            # a room that is busy or full for a moment is no reason to stop the heart, nor is a process
            # that has no file to spare to look at the others' seats
            try:
                await self._db.write(self._sit)
                await self._pay()
                await self.remove_dead()
            except (RoomError, OSError):
                continue
            except Exception:  # noqa: BLE001  # else others take what it works on
                _log.exception("the heartbeat made a mistake, and goes on")

    def owe(self, body: Callable[[Tx], object]) -> None:
        """Write ``body`` as soon as the room can be written: it gives back or settles what could not be.

        Else a claim would be ours as long as this process lives, and nobody would work on it.
        ``claim_lost`` is as good: then somebody else has it.
        """
        self._owed.append(body)

    async def _pay(self) -> None:
        while self._owed:
            try:
                await self._db.write(self._owed[0])
            except Refused:  # another worker has taken it over: nothing is owed
                pass
            except (RoomError, OSError):
                raise
            except Exception:  # noqa: BLE001  # the others are owed all the same
                _log.exception("what was owed to the room cannot be written")
            self._owed.popleft()

    def _sit(self, tx: Tx) -> None:
        tx.execute(
            "INSERT INTO workers (owner, pid, host, kek, started_at, heartbeat_at) "
            "VALUES (:owner, :pid, :host, :kek, :now, :now) "
            "ON CONFLICT (owner) DO UPDATE SET heartbeat_at = :now",
            owner=self.owner,
            pid=os.getpid(),
            host=socket.gethostname(),
            kek=self._kek,
            now=timestamp(),
        )

    def _path(self, owner: str) -> Path:
        return _lock_of(self._db.path.parent, owner)

    def _leave_file(self) -> None:
        if self._file is not None:
            self._path(self.owner).unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


async def write_or_owe(db: Database, body: Callable[[Tx], T], owe: Owe | None) -> T:
    """Write what gives claims back; where the room cannot be written now, it is owed.

    Raises what ``body`` does, and the RoomError: nothing is given back yet.
    """
    try:
        return await db.write(body)
    except RoomError:
        if owe is not None:
            owe(body)
        raise


def is_living(tx: Tx, owner: str | None, *, now: float) -> bool:
    """Whether the owner of a row has a seat, holds its lock and has sent a heartbeat in the lease."""
    return owner is not None and bool(
        tx.value(
            "SELECT 1 FROM workers WHERE owner = :owner AND heartbeat_at >= :oldest",
            owner=owner,
            oldest=now - LEASE_SECONDS,
        )
        and living(tx.path.parent, owner)
    )


def workers(tx: Tx, *, now: float) -> list[tuple[str, ...]]:
    """The roles of each living worker, as :func:`is_living` has it; (): it has none."""
    rows = tx.all(
        "SELECT owner FROM workers WHERE heartbeat_at >= :oldest", oldest=now - LEASE_SECONDS
    )
    found = [_roles(tx.path.parent, row["owner"]) for row in rows]
    return [roles for roles in found if roles is not None]


def _roles(room: Path, owner: str) -> tuple[str, ...] | None:
    """None: it is gone, or no worker."""
    if not living(room, owner):
        return None
    try:
        said: dict[str, list[str]] = json.loads(_lock_of(room, owner).read_bytes())
        return tuple(map(str, said["roles"]))
    except (OSError, ValueError, TypeError, KeyError):  # it has said nothing: it is no worker
        return None


def living(room: Path, owner: str) -> bool:
    """Whether the process that took this seat lives: it holds the lock on the seat's file."""
    if not _is_ours(owner):
        return False
    try:
        file = os.open(_lock_of(room, owner), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: several may ask at once
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _is_ours(owner: str) -> bool:
    """Whether this has the form of our owners: no other text from the database becomes a path."""
    return _OWNER.fullmatch(owner) is not None


def _make_file(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RoomError(
                "The disk that holds the room is full; nothing was begun.",
                code="room_full",
                temporary=True,
                hint="Free some space and try again.",
            ) from error
        raise RoomError(
            f"{path.parent} cannot be written: {error.strerror}.",
            hint="Check the disk and the permissions of the room's directory.",
        ) from error


def _lock_of(room: Path, owner: str) -> Path:
    return room / _SEATS / f"{owner}.lock"


def _remove(tx: Tx, *owners: str) -> None:
    for owner in owners:
        tx.execute("DELETE FROM workers WHERE owner = :owner", owner=owner)


def seated(room: Path) -> list[str]:
    """Who works on the room in that directory right now, by the names of their seats."""
    try:
        owners = sorted(path.stem for path in (room / _SEATS).glob("*.lock"))
        return [owner for owner in owners if living(room, owner)]
    except OSError:  # of somebody else, or gone a moment ago
        return []


def drop_claims(tx: Tx) -> None:
    """Nobody sits here: of a copy of a room, whose workers are at work elsewhere."""
    tx.execute("DELETE FROM workers")
