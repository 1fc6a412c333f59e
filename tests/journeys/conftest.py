"""Fixtures for journeys: a room of its own, wired to an account on the ground's real servers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postroom.app import Room
from postroom.cli import main
from postroom.secret import Secret
from postroom.settings import Settings

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
    """A new room, by command line."""
    made = Cli(settings, capsys)
    assert made("init").status == 0
    return made


@pytest.fixture
def wired(cli: Cli, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """A fresh user with the connection ``acme``, the source ``orders-in``, the service ``orders-out``."""
    user = ground.user()
    monkeypatch.setenv("ACME_PASSWORD", user.password)
    steps = (
        ("credential", "add", "ground-ca", "--type", "trusted_certificate",
         "--certificate-from-file", str(ground.pki.ca)),
        ("credential", "add", "acme-login", "--type", "password", "--user-name", user.address,
         "--password-from-env", "ACME_PASSWORD"),
        ("connection", "add", "acme",
         "--set", "incoming.protocol=imap", "--set", "incoming.host=127.0.0.1",
         "--set", f"incoming.port={ground.dovecot.imaps}", "--set", "incoming.trust=ground-ca",
         "--set", "incoming.security=tls",
         "--set", "incoming.auth={type: secret, credential: acme-login}",
         "--set", "outgoing.protocol=smtp", "--set", "outgoing.host=127.0.0.1",
         "--set", f"outgoing.port={ground.postfix.submission}",
         "--set", "outgoing.security=starttls", "--set", "outgoing.trust=ground-ca",
         "--set", "outgoing.auth={type: secret, credential: acme-login}"),
        ("source", "add", "orders-in", "--connection", "acme", "--set", "sink.type=directory",
         "--set", f"sink.path={tmp_path / 'orders'}"),
        ("service", "add", "orders-out", "--connection", "acme"),
    )  # fmt: skip
    for step in steps:
        answer = cli(*step)
        assert answer.status == 0, answer.err
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
