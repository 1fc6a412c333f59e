"""Room: opened once, wires the rooms of the house together; a handful of attributes, no logic."""

from __future__ import annotations

import dataclasses
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path

from postroom.audit import Mac, Recorder
from postroom.connections.open import Opener
from postroom.credentials.history import History
from postroom.credentials.store import CredentialStore
from postroom.db import Database, open_database
from postroom.errors import Locked, RoomError, Unreadable
from postroom.net.dial import Policy
from postroom.operations import backup
from postroom.operations.audit import Audit
from postroom.operations.backup import Backup, Restored, Verified
from postroom.operations.backup import Keys as CopyKeys
from postroom.operations.collecting import Collecting
from postroom.operations.connections import Connections
from postroom.operations.credentials import Credentials
from postroom.operations.desk import Desk
from postroom.operations.email import Email
from postroom.operations.keys import Keys
from postroom.operations.ledger import Ledger
from postroom.operations.roomfile import RoomFile
from postroom.operations.services import Outbox, Services
from postroom.operations.sources import Sources
from postroom.operations.variables import Variables
from postroom.operations.versions import Versions
from postroom.secret import Secret
from postroom.settings import Settings
from postroom.vault import Start, open_vault

__all__ = ["DATABASE", "Room", "open_room", "restore_backup", "verify_backup"]

DATABASE = "room.db"
Ask = Callable[[str], Secret]
Tell = Callable[[int, int], None]
"""Hears how many bytes of how many are done."""


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """An opened room: one attribute a noun, each with the operations of that noun."""

    settings: Settings
    desk: Desk
    audit: Audit
    backup: Backup
    collecting: Collecting
    connections: Connections
    credentials: Credentials
    email: Email
    keys: Keys
    ledger: Ledger
    outbox: Outbox
    roomfile: RoomFile
    services: Services
    sources: Sources
    variables: Variables
    versions: Versions
    warning: str

    async def close(self) -> None:
        """Finish what runs, give claims back, close the database."""
        await self.desk.leave()
        await self.desk.db.close()


async def open_room(
    settings: Settings,
    *,
    make: bool = False,
    ask: Ask | None = None,
    actor: str | None = None,
) -> Room:
    """Open the room of the settings; ``make`` makes it, and its key, when there is none.

    A room whose key cannot be used opens locked.  Raises RoomError when there is no room.
    """
    if make:
        _make_directory(settings.room)
    db = open_database(settings.room / DATABASE, create=make)
    try:
        start = await open_vault(db, settings.kek, make=make, ask=ask)
    except BaseException:
        await db.close()
        raise
    return _wired(settings, db, start, actor or f"local:{getpass.getuser()}")


async def verify_backup(
    file: Path | str, settings: Settings, *, ask: Ask | None = None, tell: Tell | None = None
) -> Verified:
    """Check a backup; no room is needed.  With the key of its room it is proven who made it.

    Raises Refused (``backup_damaged``), and Locked where the settings name a key that does not fit.
    """
    found = await backup.verify(file, _unlocking(settings, ask), tell=tell)
    if settings.kek is not None and found.locked is not None:
        raise found.locked
    return found


async def restore_backup(
    file: Path | str,
    settings: Settings,
    *,
    ask: Ask | None = None,
    actor: str | None = None,
    tell: Tell | None = None,
) -> Restored:
    """Make the room of a backup where the settings say; there must be nothing at that place yet.

    Raises Refused, Locked and RoomError; then nothing is left there.
    """
    return await backup.restore(
        file,
        settings.room,
        _unlocking(settings, ask),
        actor=actor or f"local:{getpass.getuser()}",
        tell=tell,
    )


def _unlocking(settings: Settings, ask: Ask | None) -> Callable[[Database], Awaitable[CopyKeys]]:
    async def unlock(db: Database) -> CopyKeys:
        start, mac = _audit_key(db, await open_vault(db, settings.kek, ask=ask))
        if start.keyring is None:
            return CopyKeys(start.locked, None, None)
        return CopyKeys(None, mac, db.read_now(start.keyring.manifest_key))

    return unlock


def _wired(settings: Settings, db: Database, start: Start, actor: str) -> Room:
    start, mac = _audit_key(db, start)
    keyring = start.keyring
    recorder = None if mac is None else Recorder(mac)
    store = CredentialStore(keyring, recorder, locked=start.locked)
    policy = Policy(public_only=settings.public_only)
    opener = Opener(db, store, actor=actor, policy=policy)
    desk = Desk(
        db,
        settings.room,
        store,
        recorder,
        opener,
        actor,
        locked=start.locked,
        kek="" if keyring is None else keyring.kek_id,
    )
    return Room(
        settings=settings,
        desk=desk,
        audit=Audit(desk, mac),
        backup=Backup(desk, None if keyring is None else keyring.manifest_key),
        collecting=Collecting(desk),
        connections=Connections(desk),
        credentials=Credentials(desk),
        email=Email(desk),
        keys=Keys(desk, start),
        ledger=Ledger(desk),
        outbox=Outbox(desk),
        roomfile=RoomFile(desk),
        services=Services(desk),
        sources=Sources(desk),
        variables=Variables(desk),
        versions=Versions(desk, History(keyring, recorder, store)),
        warning=start.warning,
    )


def _audit_key(db: Database, start: Start) -> tuple[Start, Mac | None]:
    """The code of the audit record; a room whose own does not open is locked: nothing is unrecorded."""
    if start.keyring is None:
        return start, None
    try:
        return start, db.read_now(start.keyring.audit_key)
    except Unreadable as error:
        locked = Locked(
            f"The audit record's key does not open: {error.sentence}",
            code="key_wrong",
            hint="Restore the room from a backup; until then it can only be looked at.",
        )
        return start._replace(keyring=None, locked=locked), None


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RoomError(
            f"{path} cannot be made: {error.strerror}.", hint="Choose another place with --room."
        ) from error
