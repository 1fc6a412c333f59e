"""Checking a backup: its bytes, its manifest and, with the room's key, who made it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from postroom.audit import Mac
from postroom.clock import rfc3339
from postroom.db import Database, check_place
from postroom.db.snapshot import faults, open_copy
from postroom.errors import InvalidValue, Locked, RoomError
from postroom.operations.backup.archive import Archive
from postroom.operations.backup.making import Tell, cannot, in_thread
from postroom.operations.backup.manifest import DATABASE_NAME, Manifest, Proof, damaged, proven
from postroom.operations.backup.staging import staging

__all__ = ["Keys", "Taken", "Unlock", "Verified", "absolute", "taken", "verify"]


class Keys(NamedTuple):
    """What the vault of a copy gave: the code of its audit record, or why not."""

    locked: Locked | None
    audit: Mac | None


Unlock = Callable[[Database], Awaitable[Keys]]
"""Opens the vault of a copy with the key that was named; it changes nothing."""


class Taken(NamedTuple):
    """A backup taken apart and checked: its database, open, what it says of itself, its keys."""

    db: Database
    manifest: Manifest
    keys: Keys
    proof: Proof


class Verified(NamedTuple):
    """A backup that is whole.  ``locked`` is why its key was not asked, where the proof is ``hash``."""

    manifest: Manifest
    proof: Proof
    locked: Locked | None


async def verify(file: Path | str, unlock: Unlock, *, tell: Tell | None = None) -> Verified:
    """Check a backup: every byte of it, and with its key that nobody else made or changed it.

    Raises Refused (``backup_damaged``), InvalidValue when the file cannot be read, RoomError.
    """
    path = absolute(file)
    with _beside(path) as unfinished:
        async with taken(path, unfinished, unlock, tell=tell) as found:
            return Verified(found.manifest, found.proof, found.keys.locked)


@contextlib.asynccontextmanager
async def taken(
    path: Path, into: Path, unlock: Unlock, *, tell: Tell | None = None
) -> AsyncIterator[Taken]:
    """Take a backup's database out into a directory and check it as :func:`verify` says."""
    database = into / DATABASE_NAME

    def work(heard: Tell) -> tuple[Manifest, bytes, bytes]:
        with _opened(path) as archive:
            proven(archive.manifest, archive.check, None)
            manifest = Manifest.parse(archive.manifest)
            if rfc3339(archive.at) != manifest.created_at:
                raise damaged("it is not of the time that its manifest says")
            try:
                sha256 = archive.database(database, tell=heard)
            except OSError as error:
                raise cannot("What is in the backup", database, error) from error
            if (archive.size, sha256) != (manifest.size, manifest.sha256):
                raise damaged("the database in it is not the one that its manifest describes")
            return manifest, archive.manifest, archive.check

    manifest, text, check = await in_thread(work, tell)
    db = open_copy(database)
    try:
        keys = await unlock(db)
        proof = proven(text, check, keys.audit)
        if found := db.read_now(faults):
            raise damaged(f"the database in it is damaged ({'; '.join(found)})")
        yield Taken(db, manifest, keys, proof)
    finally:
        await db.close()


def absolute(file: Path | str) -> Path:
    """Where a file that was named is."""
    return Path(file).expanduser().absolute()


def _opened(path: Path) -> Archive:
    try:
        return Archive(path)
    except OSError as error:
        raise InvalidValue("file", f"{path} cannot be read ({error.strerror})") from error


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A private directory where the backup is, which has space for it; else where programs have
    their temporary files: a backup may well lie where nobody can write."""
    with contextlib.ExitStack() as stack:
        try:
            check_place(path.parent)  # SQLite is not safe everywhere where backups are kept
            place = stack.enter_context(staging(path.parent))
        except (OSError, RoomError):
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postroom-")))
        yield place
