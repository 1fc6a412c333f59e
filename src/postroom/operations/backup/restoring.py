"""Restoring a backup: a new room in an empty place, which sends nothing before somebody has looked."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import NamedTuple

from postroom.access.restored import let_nobody_in
from postroom.audit import Mac, Recorder
from postroom.clock import timestamp
from postroom.db import Tx, check_place, drop_claims, seated
from postroom.db.snapshot import open_copy
from postroom.db.upgrading import upgrade
from postroom.errors import Locked, Refused
from postroom.jobs import restored as jobs
from postroom.operations.backup.checking import Unlock, absolute, taken
from postroom.operations.backup.epoch import begin_epoch
from postroom.operations.backup.making import Tell, cannot
from postroom.operations.backup.manifest import DATABASE_NAME, Manifest
from postroom.operations.backup.staging import is_ours, publish, staging
from postroom.operations.upgrading import noted
from postroom.services import restored as outbox
from postroom.sources import restored as sources

__all__ = ["Restored", "restore"]

_NOTHING = frozenset({"lost+found"})
"""What is there in a disk that has nothing on it."""


class Restored(NamedTuple):
    """A room that was restored: where, out of what, its epoch, what waits for somebody to look.

    ``held`` and ``ambiguous`` are outbox items, ``again`` messages to be read again, ``jobs`` those
    that are held until somebody releases them, ``tokens`` those that are revoked, ``users`` those who may
    come in; ``alive`` names the processes that still work on the room that the backup is of, where that
    can be seen.
    """

    path: Path
    manifest: Manifest
    epoch: int
    held: int
    ambiguous: int
    again: int
    jobs: int
    tokens: int
    users: int
    alive: list[str]


async def restore(
    file: Path | str, room: Path, unlock: Unlock, *, actor: str, tell: Tell | None = None
) -> Restored:
    """Make the room of a backup at ``room``, a place with nothing in it or none at all.

    Raises Refused for a place with something in it and for a damaged backup, Locked when the key
    that the room wants is not there, RoomError; then nothing is left at that place.
    """
    path = absolute(file)
    made = _made(room)
    try:
        with staging(room) as unfinished:
            copy = unfinished / "room"  # the lock of its directory is for whoever upgrades it
            copy.mkdir(mode=0o700)
            database = copy / DATABASE_NAME
            async with taken(path, copy, unlock, tell=tell) as found:
                mac, manifest = found.keys.audit, found.manifest
            if mac is None:
                raise _wants(found.keys.locked)
            # of an earlier release: here nobody else has it open, and the backup is the copy
            await upgrade(database, noted(mac, actor, backup=path.name))
            db = open_copy(database)
            try:
                begun = await db.write(lambda tx: _begin(tx, mac, actor, path, manifest))
            finally:
                await db.close()
            _settled(database)
            publish(database, room / DATABASE_NAME)
    except FileExistsError:
        raise _occupied(room) from None
    except BaseException as error:
        if made:
            _unmade(room)
        if isinstance(error, OSError):
            raise cannot("The room", room, error) from error
        raise
    return Restored(room, manifest, **begun, alive=_alive(manifest, room))


def _made(room: Path) -> bool:
    """Make the directory of the new room, unless it is there and empty; whether it was made."""
    try:
        entries = [one for one in room.iterdir() if one.name not in _NOTHING and not is_ours(one)]
        made = False
    except FileNotFoundError:
        entries, made = [], True
    except OSError as error:
        raise cannot("The room", room, error) from error
    if entries:
        raise _occupied(room)
    check_place(room)
    try:
        room.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise cannot("The room", room, error) from error
    return made


def _unmade(room: Path) -> None:
    with contextlib.suppress(OSError):
        room.rmdir()


def _occupied(room: Path) -> Refused:
    what = "There is a room" if (room / DATABASE_NAME).exists() else "There is something"
    return Refused(
        f"{what} at {room} already; a backup is restored to an empty place, and nothing was changed.",
        code="in_use",
        hint="Choose another place with --room, or move away what is there.",
    )


def _wants(locked: Locked | None) -> Locked:
    locked = locked or Locked("The key of this room is not here.")
    return Locked(
        f"{locked.sentence} Nothing was restored.",
        code=locked.code,
        hint="Put that key there, or name it: --kek file:PATH, or POSTROOM_KEK. A recovery kit is "
        "such a file.",
        **locked.facts,
    )


def _begin(tx: Tx, mac: Mac, actor: str, path: Path, manifest: Manifest) -> dict[str, int]:
    """Everything that makes it another room than the one that was backed up, and the word of it."""
    now = timestamp()
    epoch = begin_epoch(tx)
    drop_claims(tx)
    kept = outbox.keep_back(tx, now=now)
    again = sources.begin_again(tx, now=now)
    tokens, users = let_nobody_in(tx)
    begun = {
        "epoch": epoch,
        "held": kept.held,
        "ambiguous": kept.ambiguous,
        "again": again,
        "jobs": jobs.hold_all(tx),
        "tokens": tokens,
        "users": users,
    }
    recorder = Recorder(mac)
    detail = {"sha256": manifest.sha256, "created_at": manifest.created_at, **begun}
    recorder.record(tx, actor=actor, action="restore", noun="backup", name=path.name, detail=detail)
    recorder.close(tx)
    return begun


def _settled(database: Path) -> None:
    """Durable, and whole without a file beside it: closing it wrote the log back."""
    log = database.with_name(f"{database.name}-wal")
    if log.exists() and log.stat().st_size:
        raise Refused("The restored database could not be finished; nothing was restored.")
    file = os.open(database, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _alive(manifest: Manifest, room: Path) -> list[str]:
    """Who works on the room that the backup is of, if that is on this machine."""
    origin = Path(manifest.path)
    if manifest.host != socket.gethostname() or origin == room:
        return []
    return seated(origin)
