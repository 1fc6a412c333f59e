"""Room: opened once, wires the rooms of the house together; a handful of attributes, no logic."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from postroom.access import Person, local
from postroom.audit import Checkpoints, Mac, Outside, Recorder, active_term
from postroom.credentials.history import History
from postroom.credentials.store import CredentialStore
from postroom.db import SCHEMA, Database, open_database
from postroom.errors import InvalidValue, Locked, RoomError, Unreadable
from postroom.operations.desk import Desk, Wires, acting
from postroom.operations.gate import Gate
from postroom.secret import Secret
from postroom.settings import Settings
from postroom.vault import Start, audit_code, heads_file, open_vault

if TYPE_CHECKING:
    from postroom.db.upgrading import Upgraded
    from postroom.operations.accounts import Accounts
    from postroom.operations.answers import Answers
    from postroom.operations.audit import Audit
    from postroom.operations.backup import Backup, Restored, Verified
    from postroom.operations.backup import Keys as CopyKeys
    from postroom.operations.client_secrets import ClientSecrets
    from postroom.operations.collecting import Collecting
    from postroom.operations.commands import Commands
    from postroom.operations.connections import Connections
    from postroom.operations.converting import Converting
    from postroom.operations.credentials import Credentials
    from postroom.operations.email import Email
    from postroom.operations.erasing import Erasing
    from postroom.operations.grants import Grants
    from postroom.operations.guiding import Guides
    from postroom.operations.health import Health
    from postroom.operations.jobs import Jobs
    from postroom.operations.keys import Keys
    from postroom.operations.ledger import Ledger
    from postroom.operations.notify import Notify
    from postroom.operations.outbox import Outbox
    from postroom.operations.people import People
    from postroom.operations.roomfile import RoomFile
    from postroom.operations.running import Running
    from postroom.operations.runs import Runs
    from postroom.operations.services import Services
    from postroom.operations.signins import SignIns
    from postroom.operations.sources import Sources
    from postroom.operations.telling import Telling
    from postroom.operations.tokens import Tokens
    from postroom.operations.users import Users
    from postroom.operations.variables import Variables
    from postroom.operations.versions import Versions

__all__ = [
    "DATABASE",
    "NOUNS",
    "Room",
    "open_room",
    "restore_backup",
    "upgrade_room",
    "verify_backup",
]

DATABASE = "room.db"
Ask = Callable[[str], Secret]
Tell = Callable[[int, int], None]
"""Hears how many bytes of how many are done."""


NOUNS: Final = {
    "accounts": ("accounts", "Accounts"),
    "answers": ("answers", "Answers"),
    "audit": ("audit", "Audit"),
    "backup": ("backup", "Backup"),
    "client_secrets": ("client_secrets", "ClientSecrets"),
    "collecting": ("collecting", "Collecting"),
    "commands": ("commands", "Commands"),
    "connections": ("connections", "Connections"),
    "converting": ("converting", "Converting"),
    "credentials": ("credentials", "Credentials"),
    "email": ("email", "Email"),
    "erasing": ("erasing", "Erasing"),
    "grants": ("grants", "Grants"),
    "guides": ("guiding", "Guides"),
    "health": ("health", "Health"),
    "jobs": ("jobs", "Jobs"),
    "keys": ("keys", "Keys"),
    "ledger": ("ledger", "Ledger"),
    "notify": ("notify", "Notify"),
    "outbox": ("outbox", "Outbox"),
    "people": ("people", "People"),
    "roomfile": ("roomfile", "RoomFile"),
    "running": ("running", "Running"),
    "runs": ("runs", "Runs"),
    "services": ("services", "Services"),
    "signins": ("signins", "SignIns"),
    "sources": ("sources", "Sources"),
    "tokens": ("tokens", "Tokens"),
    "users": ("users", "Users"),
    "telling": ("telling", "Telling"),
    "variables": ("variables", "Variables"),
    "versions": ("versions", "Versions"),
}
"""Attribute of a room: the module of ``operations`` that has its operations, and their class."""


class Room:
    """An opened room: one attribute a noun, each with the operations of that noun.

    The operations of a noun are loaded when they are first asked for: one command wants one or two.
    """

    settings: Settings
    desk: Desk
    warning: str

    accounts: Accounts
    answers: Answers
    audit: Audit
    backup: Backup
    client_secrets: ClientSecrets
    collecting: Collecting
    commands: Commands
    connections: Connections
    converting: Converting
    credentials: Credentials
    email: Email
    erasing: Erasing
    grants: Grants
    guides: Guides
    health: Health
    jobs: Jobs
    keys: Keys
    ledger: Ledger
    notify: Notify
    outbox: Outbox
    people: People
    roomfile: RoomFile
    running: Running
    runs: Runs
    services: Services
    signins: SignIns
    sources: Sources
    tokens: Tokens
    users: Users
    telling: Telling
    variables: Variables
    versions: Versions

    def __init__(
        self, settings: Settings, desk: Desk, warning: str, beside: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """``beside`` is what the operations of a noun are given besides the desk, by its attribute."""
        self.settings = settings
        self.desk = desk
        self.warning = warning
        self._beside = beside

    if not TYPE_CHECKING:  # or every misspelled attribute would pass

        def __getattr__(self, name: str) -> Any:
            if name not in NOUNS:
                raise AttributeError(f"a room has no attribute {name!r}")
            module, kind = NOUNS[name]
            made = getattr(import_module(f"postroom.operations.{module}"), kind)
            operations = made(self.desk, **self._beside.get(name, {}))
            if self.desk.root is not None:
                operations = Gate(name, operations, self.desk)
            setattr(self, name, operations)
            return operations

    def acting(self, person: Person) -> Room:
        """The room as somebody sees it whom this process serves: gated, under their name.

        It is cheap, and never closed; made anew for every request.
        """
        return Room(self.settings, acting(self.desk, person), self.warning, self._beside)

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
    except BaseException as error:
        await db.close()
        if isinstance(error, InvalidValue):  # not of what was asked, but of where the room's key is
            raise RoomError(
                f"The source of the room's key is not understood: {error.sentence.removeprefix('kek: ')}.",
                hint="It comes from --kek or from POSTROOM_KEK.",
            ) from error
        raise
    return _wired(settings, db, start, actor or f"local:{getpass.getuser()}")


async def upgrade_room(
    settings: Settings, *, ask: Ask | None = None, actor: str | None = None
) -> Upgraded | None:
    """Bring the room of the settings to this release's schema; None when it has it.

    Its key must open it first: what cannot be recorded is not done, and a room that would be locked
    afterwards is better left to the release that made it.  Raises RoomError.
    """
    from postroom.db.upgrading import upgrade  # only few commands want it

    path = settings.room / DATABASE
    db = open_database(path, read_only=True, older=True)
    try:
        if db.read_now(lambda tx: tx.value("PRAGMA user_version")) == SCHEMA:
            return None
        start, mac = _audit_key(db, await open_vault(db, settings.kek, ask=ask))
    finally:
        await db.close()
    if mac is None:
        raise start.locked or Locked("The room is locked.")
    from postroom.operations.upgrading import noted

    return await upgrade(path, noted(mac, actor or f"local:{getpass.getuser()}"))


async def verify_backup(
    file: Path | str, settings: Settings, *, ask: Ask | None = None, tell: Tell | None = None
) -> Verified:
    """Check a backup; no room is needed.  With the key of its room it is proven who made it.

    Raises Refused (``backup_damaged``), and Locked where the settings name a key that does not fit.
    """
    from postroom.operations import backup

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
    from postroom.operations import backup

    ask = None if ask is None else cache(ask)  # for the copy, and for the room that it becomes
    done = await backup.restore(
        file,
        settings.room,
        _unlocking(settings, ask),
        actor=actor or f"local:{getpass.getuser()}",
        tell=tell,
    )
    with contextlib.suppress(RoomError):  # the room is made; what is kept outside `verify` tells of
        room = await open_room(settings, ask=ask, actor=actor)
        try:
            await room.audit.begin_kept(f"restored from {Path(file).name}")
        finally:
            await room.close()
    return done


def _unlocking(settings: Settings, ask: Ask | None) -> Callable[[Database], Awaitable[CopyKeys]]:
    from postroom.operations.backup import Keys as CopyKeys

    async def unlock(db: Database) -> CopyKeys:
        start, mac = _audit_key(db, await open_vault(db, settings.kek, ask=ask))
        return CopyKeys(start.locked, mac)

    return unlock


def _wired(settings: Settings, db: Database, start: Start, actor: str) -> Room:
    start, mac = _with_its_term(db, *_audit_key(db, start))
    keyring = start.keyring
    recorder = None if mac is None else Recorder(mac)
    checkpoints = None
    if mac is not None and recorder is not None:
        file = heads_file(start.source, start.room_id)
        checkpoints = Checkpoints(db, recorder, Outside(file, settings.room, mac))
        if keyring is not None:
            keyring.terms.kept = checkpoints.outside.term
    store = CredentialStore(keyring, recorder, locked=start.locked)

    def wire(desk: Desk) -> Wires:
        from postroom.connections.open import Opener  # only what dials wants it
        from postroom.credentials.tokens import Keeper, Kept, VeiledKeeper
        from postroom.net.dial import Policy

        policy, veiled = Policy(public_only=settings.public_only), desk.veiled
        tokens = (
            Keeper(db, Kept(store, keyring, recorder), desk.seat, policy=policy)
            if desk.root is None
            else desk.root.tokens
        )
        if veiled:
            tokens = VeiledKeeper(db, tokens, veiled)
        opener = Opener(
            desk.db, desk.credentials, tokens, actor=desk.actor, policy=policy, veiled=veiled,
            turns=None if desk.root is None else desk.root.opener.turns,
        )  # fmt: skip
        return Wires(opener, tokens)

    desk = Desk(
        db,
        settings.room,
        store,
        recorder,
        local(actor),
        wire,
        locked=start.locked,
        kek="" if keyring is None else keyring.kek_id,
        checkpoints=checkpoints,
    )
    beside: dict[str, dict[str, Any]] = {
        "audit": {"mac": mac, "keep": settings.audit_keep},
        "backup": {"mac": mac},
        "keys": {"start": start},
        "notify": {"public_only": settings.public_only},
        "telling": {"public_only": settings.public_only, "mac": mac},
        "converting": {"device_flow": settings.device_flow},
        "people": {"oidc": settings.oidc, "public_only": settings.public_only},
        "signins": {"device_flow": settings.device_flow},
        "accounts": {"device_flow": settings.device_flow},
        "versions": {"history": History(keyring, recorder, store)},
    }
    return Room(settings, desk, start.warning, beside)


def _audit_key(db: Database, start: Start) -> tuple[Start, Mac | None]:
    """The code of the audit record; a room whose own does not open is locked: nothing is unrecorded."""
    if start.keyring is None:
        return start, None
    try:
        return start, db.read_now(partial(audit_code, start.keyring))
    except Unreadable as error:
        locked = Locked(
            f"The audit record's key does not open: {error.sentence}",
            code="key_wrong",
            hint="Restore the room from a backup; until then it can only be looked at.",
        )
        return start._replace(keyring=None, locked=locked), None


def _with_its_term(db: Database, start: Start, mac: Mac | None) -> tuple[Start, Mac | None]:
    """A room whose active vault key is not the one of the last rotation is locked."""
    if start.keyring is None or mac is None:
        return start, mac
    start.keyring.terms.told = partial(active_term, mac=mac)
    try:
        db.read_now(start.keyring.terms.active)
    except Locked as old:
        return start._replace(keyring=None, locked=old), None
    except RoomError as error:
        if error.code != "room_error":  # busy or full: nothing was compared
            raise
        # tables that somebody changed: lists still work, and whoever seals or records is told
    return start, mac


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RoomError(
            f"{path} cannot be made: {error.strerror}.", hint="Choose another place with --room."
        ) from error
