"""Fixtures for journeys: a room of its own, wired to an account on the ground's real servers."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postroom.app import Room, open_room
from postroom.cli import main
from postroom.secret import Secret
from postroom.settings import Settings
from tests.newroom import new_room

if TYPE_CHECKING:
    from tests.ground import Ground, User

__all__ = ["Account", "Answer", "Cli", "account", "cli", "wired"]


@dataclasses.dataclass(frozen=True)
class Answer:
    """How a command ended: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on standard output."""
        return json.loads(self.out)


class Cli:
    """The command line on a room of its own; ``cli("source", "run", "x")`` runs one command."""

    def __init__(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        self.settings = settings
        self._capsys = capsys

    def __call__(self, *words: str) -> Answer:
        self._capsys.readouterr()
        status = main([*words, "--room", str(self.settings.room), "--kek", str(self.settings.kek)])
        shown = self._capsys.readouterr()
        return Answer(status, shown.out, shown.err)


@pytest.fixture
def cli(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line, and a new room for it."""
    new_room(settings)
    return Cli(settings, capsys)


@pytest.fixture
def wired(cli: Cli, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """A fresh user with the connection ``acme``, the source ``orders-in``, the service ``orders-out``."""
    user = ground.user()
    monkeypatch.setenv("ACME_PASSWORD", user.password)

    async def wire() -> None:
        room = await open_room(cli.settings)
        await connect(room, ground, user)
        sink = {"type": "directory", "path": str(tmp_path / "orders")}
        await room.sources.add({"name": "orders-in", "connection": "acme", "sink": sink})
        await room.services.add({"name": "orders-out", "connection": "acme"})
        await room.close()

    asyncio.run(wire())
    return user


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
