"""A room on a temporary directory, with its key outside the data: what these tests work on."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from postroom.audit import Mac, Recorder
from postroom.credentials import CredentialStore, Opened, Saved
from postroom.db import Database, open_database
from postroom.vault import Keyring, Start, audit_code, open_vault

__all__ = ["ALICE", "BOB", "LINE", "OTHER", "Room", "make_room"]

ALICE, BOB = "local:alice", "local:bob"
LINE = "imap://imap.example.com:993;security=tls;trust=system;name=checked;proxy=none"
OTHER = "imap://127.0.0.2:993;security=tls;trust=system;name=checked;proxy=none"


@dataclasses.dataclass
class Room:
    """An open room.  ``sql`` is what an attacker with the database file can do."""

    db: Database
    start: Start
    key_file: Path
    keyring: Keyring
    mac: Mac
    recorder: Recorder
    store: CredentialStore

    async def sql(self, text: str, **values: Any) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.db.path, isolation_level=None)) as other:
            other.row_factory = sqlite3.Row
            return other.execute(text, values).fetchall()

    async def save(self, name: str, values: dict[str, Any], **options: Any) -> Saved:
        """Save details, making the record (type ``password``) when there is none."""
        kind, actor = options.pop("type", "password"), options.pop("actor", ALICE)

        def body(tx: Any) -> Saved:
            if not self.store.exists(tx, name):
                self.store.create(
                    tx, actor=actor, name=name, type=kind, description=f"{name} of the tests"
                )
            return self.store.set_details(tx, name, values, actor=actor, **options)

        return await self.db.write(body)

    async def login(self, name: str, password: str, lines: tuple[str, ...] = (LINE,)) -> Saved:
        """Save a complete ``password`` record that is used at ``lines``."""
        values = {"user_name": f"{name}@example.com", "password": password}
        return await self.save(name, values, used_lines=lines)

    async def open(self, name: str, line: str | None = LINE) -> Opened:
        return await self.db.write(
            lambda tx: self.store.open(tx, name, line=line, actor=ALICE, purpose="sign-in")
        )

    async def password(self, name: str, line: str | None = LINE) -> str:
        opened: Any = (await self.open(name, line)).fields
        return str(opened.password.reveal())

    def id(self, name: str) -> str:
        return self.db.read_now(lambda tx: self.store.get(tx, name).id)

    async def restarted(self) -> Room:
        """The same room as another process opens it."""
        await self.db.close()
        return await make_room(self.db.path.parent.parent)


async def make_room(directory: Path) -> Room:
    """Make a room under ``directory``, or open the one that is there."""
    data = directory / "data"
    data.mkdir(parents=True, exist_ok=True)
    db = open_database(data / "room.db", create=True)
    key_file = directory / "keys" / "room.key"
    start = await open_vault(db, f"file:{key_file}", make=True)
    assert start.keyring is not None, start.locked
    mac = db.read_now(partial(audit_code, start.keyring))
    recorder = Recorder(mac)
    store = CredentialStore(start.keyring, recorder)
    return Room(db, start, key_file, start.keyring, mac, recorder, store)
