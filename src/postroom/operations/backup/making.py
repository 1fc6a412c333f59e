"""Making a backup of an open room, while everybody goes on working."""

from __future__ import annotations

import asyncio
import errno
import importlib.metadata
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from postroom.audit import Mac, heads
from postroom.clock import now, rfc3339
from postroom.db import Tx
from postroom.db.snapshot import count_rows, schema_number, take_snapshot
from postroom.errors import InvalidValue, Locked, PostroomError, Refused, RoomError
from postroom.operations.backup.archive import write_archive
from postroom.operations.backup.epoch import epoch_of
from postroom.operations.backup.manifest import Manifest, check_lines
from postroom.operations.backup.staging import publish, staging
from postroom.operations.desk import Desk

__all__ = ["Backup", "Facts", "Made", "Tell", "cannot", "facts_of", "in_thread"]

T = TypeVar("T")
Tell = Callable[[int, int], None]
"""Hears how much of how much is done."""


class Made(NamedTuple):
    """A backup that was made: where, what it says of itself, and whether only its owner can read it."""

    path: Path
    manifest: Manifest
    private: bool


class Backup:
    """What a person may ask of the backups of a room that is open."""

    def __init__(self, desk: Desk, mac: Mac | None) -> None:
        """``mac`` is that of the audit record; None where the room is locked."""
        self._desk = desk
        self._mac = mac

    async def create(self, to: Path | str | None = None, *, tell: Tell | None = None) -> Made:
        """Make a backup while everybody goes on working; the key is not in it.

        ``to`` is a new file, or a directory that is there (None: the current one), where the name is
        made of room and time.  Raises InvalidValue for a name that is taken, a directory that is not
        there or a place in the room's own; RoomError when it cannot be written; Locked.
        """
        if self._mac is None:
            raise self._desk.locked or Locked("The room is locked.")
        mac = self._mac
        path = self._place(to)
        try:
            with staging(path.parent) as unfinished:
                file = unfinished / "backup"
                manifest = await in_thread(lambda heard: self._write(file, mac, heard), tell)
                # written down first, so that there is none that nobody is said to have made
                await self._desk.write(lambda tx: self._record(tx, path, manifest))
                private = file.stat().st_mode & 0o077 == 0
                publish(file, path)
        except FileExistsError:
            raise _taken(path) from None
        except OSError as error:
            raise cannot("The backup", path, error) from error
        return Made(path, manifest, private)

    def _place(self, to: Path | str | None) -> Path:
        path = Path(to or ".").expanduser().absolute()
        if path.is_dir():
            room = self._desk.db.read_now(_room_id)
            path /= f"postroom-{room[:8]}-{now():%Y%m%dT%H%M%SZ}.tar"
        if not path.parent.is_dir():
            raise InvalidValue("to", f"there is no directory {path.parent}; nothing was written")
        if path.exists() or path.is_symlink():
            raise _taken(path)
        if path.parent.resolve().is_relative_to(self._desk.data_dir.resolve()):
            raise InvalidValue(
                "to", f"{path} is in the room's directory: what takes the room takes it too"
            )
        return path

    def _write(self, file: Path, mac: Mac, tell: Tell) -> Manifest:
        """Snapshot, then archive; in a thread of its own."""
        at = now()
        snapshot = file.with_name("snapshot")
        facts = take_snapshot(self._desk.db.path, snapshot, facts_of, tell=tell)
        made: list[Manifest] = []

        def describe(size: int, sha256: str) -> tuple[bytes, bytes]:
            manifest = Manifest(
                **facts._asdict(),
                release=importlib.metadata.version("postroom"),
                created_at=rfc3339(at),
                host=socket.gethostname(),
                path=str(self._desk.data_dir),
                size=size,
                sha256=sha256,
            )
            made.append(manifest)
            text = manifest.to_bytes()
            return text, check_lines(text, mac)

        write_archive(file, snapshot, describe, at=int(at.timestamp()), tell=lambda *_: tell(1, 1))
        return made[0]

    def _record(self, tx: Tx, path: Path, manifest: Manifest) -> None:
        self._desk.record(tx, "create", "backup", path.name, path=str(path), sha256=manifest.sha256)


class Facts(NamedTuple):
    """What the manifest says of the database, read from the copy itself."""

    room: str
    epoch: int
    schema: int
    keks: list[str]
    vault_keys: list[str]
    tables: dict[str, int]
    heads: dict[str, tuple[int, str]]


def facts_of(tx: Tx) -> Facts:
    """What there is to say of a database."""
    return Facts(
        room=_room_id(tx),
        epoch=epoch_of(tx),
        schema=schema_number(tx),
        keks=[
            row["kek"] for row in tx.all("SELECT DISTINCT kek FROM vault_key_wraps ORDER BY kek")
        ],
        vault_keys=[row["id"] for row in tx.all("SELECT id FROM vault_keys ORDER BY term")],
        tables=count_rows(tx),
        heads=heads(tx),
    )


def _room_id(tx: Tx) -> str:
    found: str = tx.value("SELECT value FROM room WHERE key = 'id'")
    return found


async def in_thread(work: Callable[[Tell], T], tell: Tell | None) -> T:
    """Run ``work`` off the event loop, with what it is to tell; a cancellation ends it at its next word."""
    stop = threading.Event()

    def heard(done: int, total: int) -> None:
        if stop.is_set():
            raise Refused("Stopped.")
        if tell is not None:
            tell(done, total)

    working = asyncio.ensure_future(asyncio.to_thread(work, heard))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(working, return_exceptions=True)
        raise


def cannot(what: str, path: Path, error: OSError) -> PostroomError:
    """What an operating system error means to whoever waits for a file."""
    reason = error.strerror or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return RoomError(
            f"{what} {path} cannot be written: {reason}.",
            code="room_full",
            temporary=True,
            hint="Free some space, or choose another disk; nothing was left there.",
        )
    return RoomError(f"{what} {path} cannot be written: {reason}.", hint="Choose another place.")


def _taken(path: Path) -> InvalidValue:
    return InvalidValue("to", f"{path} is there already; nothing was written")
