"""A small room for tests: database, vault, credentials and an opener, in a directory of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from postroom.audit import Recorder
from postroom.connections import store
from postroom.connections.connection import Connection
from postroom.connections.effective import Effective
from postroom.connections.open import Opener
from postroom.connections.resolver import Resolver, destinations_of
from postroom.connections.scope import expander
from postroom.credentials.store import CredentialStore
from postroom.credentials.tokens import Keeper, Kept
from postroom.credentials.trust import trusted_in
from postroom.db import Database, Seat, Tx, open_database
from postroom.fields import parse
from postroom.settings import Settings
from postroom.vault import audit_code, open_vault
from tests.newroom import new_room

__all__ = ["ACTOR", "SmallRoom", "open_small_room"]

ACTOR = "local:test"


@dataclass
class SmallRoom:
    """What connections need of a room."""

    db: Database
    credentials: CredentialStore
    tokens: Keeper
    opener: Opener
    environ: dict[str, str]

    def resolver(self, tx: Tx) -> Resolver:
        return Resolver(tx, expand=expander(tx, self.environ), trusted=trusted_in(tx))

    async def effective(self, name: str) -> Effective:
        return await self.db.read(lambda tx: self.resolver(tx).effective(name))

    async def connect(self, name: str, *, bind: bool = True, **body: Any) -> None:
        """Save a connection and bind the secrets it names, as the operations do."""
        record = parse(Connection, {"name": name, **body})

        def write(tx: Tx) -> None:
            save = store.replace if store.exists(tx, name) else store.create
            save(tx, record)
            if bind:
                for key, lines in destinations_of(self.resolver(tx).all_sides()).items():
                    self.credentials.bind(tx, key, lines, actor=ACTOR, rebind=True)

        await self.db.write(write)

    async def credential(self, name: str, type: str, fields: Mapping[str, Any]) -> None:
        def write(tx: Tx) -> None:
            if not self.credentials.exists(tx, name):
                self.credentials.create(
                    tx, actor=ACTOR, name=name, type=type, description=f"{name} of the tests"
                )
            lines = self.resolver(tx).destinations(name).lines
            self.credentials.set_details(
                tx, name, fields, actor=ACTOR, used_lines=lines, rebind=True
            )

        await self.db.write(write)

    async def password(self, name: str, user: str, password: str) -> None:
        await self.credential(name, "password", {"user_name": user, "password": password})


@asynccontextmanager
async def open_small_room(folder: Path) -> AsyncIterator[SmallRoom]:
    place = folder / "room"
    new_room(Settings(place, f"file:{folder / 'key'}"))
    db = open_database(place / "room.db")
    try:
        start = await open_vault(db, f"file:{folder / 'key'}")
        assert start.keyring is not None, start.locked
        recorder = Recorder(db.read_now(partial(audit_code, start.keyring)))
        credentials = CredentialStore(start.keyring, recorder)
        environ: dict[str, str] = {}
        seats = contextlib.AsyncExitStack()

        async def seat() -> Seat:
            return await seats.enter_async_context(Seat(db))

        async with seats:
            tokens = Keeper(db, Kept(credentials, start.keyring, recorder), seat)
            opener = Opener(db, credentials, tokens, actor=ACTOR, environ=environ)
            yield SmallRoom(db, credentials, tokens, opener, environ)
            await tokens.close()
    finally:
        await db.close()
