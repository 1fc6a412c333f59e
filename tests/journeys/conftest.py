"""Fixtures for journeys: a room of its own, wired to an account on the ground's real servers."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postroom.app import Room, open_room
from postroom.secret import Secret
from postroom.settings import Settings

if TYPE_CHECKING:
    from tests.ground import Ground, User

__all__ = ["Account", "account", "room", "settings"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A room directory and a key file outside it."""
    return Settings(tmp_path / "room", f"file:{tmp_path / 'keys' / 'room.key'}")


@pytest.fixture
async def room(settings: Settings) -> AsyncIterator[Room]:
    """A new room, open."""
    opened = await open_room(settings, make=True)
    yield opened
    await opened.close()


@dataclasses.dataclass
class Account:
    """A fresh user of the ground, with the connection ``acme`` to it."""

    user: User
    room: Room
    ground: Ground

    async def source(self, sink: Path, **fields: Any) -> str:
        """Make the source ``orders-in`` into a directory."""
        await self.room.sources.add(
            {
                "name": "orders-in",
                "connection": "acme",
                "sink": {"type": "directory", "path": str(sink)},
                **fields,
            }
        )
        return "orders-in"


@pytest.fixture
async def account(room: Room, ground: Ground) -> Account:
    """Connection ``acme``: IMAP over TLS and submission with STARTTLS, one password for both."""
    user = ground.user()
    await connect(room, ground, user)
    return Account(user, room, ground)


async def connect(room: Room, ground: Ground, user: User, **incoming: Any) -> None:
    """Make credentials and the connection ``acme`` for a user of the ground."""
    await room.credentials.create(
        "ground-ca", "trusted_certificate", details={"certificate": ground.pki.ca.read_text()}
    )
    await room.credentials.create(
        "acme-login",
        "password",
        details={"user_name": user.address, "password": Secret(user.password)},
    )
    auth = {"type": "secret", "credential": "acme-login"}
    await room.connections.add(
        {
            "name": "acme",
            "incoming": {
                "protocol": "imap",
                "host": "127.0.0.1",
                "port": str(ground.dovecot.imaps),
                "security": "tls",
                "trust": "ground-ca",
                "auth": auth,
                **incoming,
            },
            "outgoing": {
                "protocol": "smtp",
                "host": "127.0.0.1",
                "port": str(ground.postfix.submission),
                "security": "starttls",
                "trust": "ground-ca",
                "auth": auth,
            },
        }
    )
