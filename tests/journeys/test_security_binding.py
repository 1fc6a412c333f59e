"""Attacks on destination binding: what is bound already is never presented elsewhere unasked."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postroom.app import Room
from postroom.clock import timestamp
from postroom.credentials.types.pem import generate_pair
from postroom.errors import PostroomError
from postroom.operations.roomfile import RoomFile
from postroom.secret import Secret
from tests.journeys.conftest import Cli

if TYPE_CHECKING:
    from tests.ground import Pki

EVIL = "evil.example.net"


@pytest.fixture
async def mailer(room: Room, pki: Pki) -> Room:
    """An smtp credential ``mailer`` that trusts ``corp-ca``, and ``login`` used by ``acme``; both
    have been presented, so nobody may correct their destinations any more.
    """
    await room.credentials.create(
        "corp-ca", "trusted_certificate", details={"certificate": pki.ca.read_text()}
    )
    await room.credentials.create(
        "mailer",
        "smtp",
        details={
            "host": "smtp.example.com", "port": "587", "tls": True, "trust": "corp-ca",
            "user_name": "u", "password": Secret("canary-mailer-0001"),
        },
    )  # fmt: skip
    for name in ("login", "other"):
        await room.credentials.create(
            name, "password", details={"user_name": "u", "password": Secret(f"canary-{name}-01")}
        )
    await room.connections.add(
        {
            "name": "acme",
            "incoming": _side("imap", "imap.example.com", "login"),
            "outgoing": _side("smtp", "smtp.example.com", "other"),
        }
    )
    used(room.settings.room)
    return room


def _side(protocol: str, host: str, credential: str) -> dict[str, Any]:
    auth = {"type": "secret", "credential": credential}
    return {"protocol": protocol, "host": host, "auth": auth}


def used(room: Path) -> None:
    """Everything sealed has been accepted by its server once."""
    with sqlite3.connect(room / "room.db") as db:
        db.execute("UPDATE credential_versions SET presented_at = typed_at")


async def lines(room: Room, name: str) -> str:
    """Where a credential may go."""
    return " ".join((await room.credentials.show(name))["destinations"])


async def refused(call: Any) -> PostroomError:
    """The call ends with ``secret_reentry_required``."""
    with pytest.raises(PostroomError) as caught:
        await call
    assert caught.value.code == "secret_reentry_required", caught.value
    return caught.value


@pytest.mark.parametrize(
    "fields",
    [
        "user_name: {from_env: PLAIN}, host: evil.example.net",
        "password: {from_env: EMPTY}, host: evil.example.net",
        "password: {from_env: EMPTY}, proxy: 'evil.example.net:3128'",
    ],
)
async def test_a_reference_that_types_no_secret_moves_none(
    mailer: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: str
) -> None:
    """T26: a reference beside the secret, or an empty one, is not the secret typed again."""
    monkeypatch.setenv("PLAIN", "u")
    monkeypatch.setenv("EMPTY", "")
    file = tmp_path / "room.yaml"
    file.write_text(f"postroom: 1\ncredentials:\n  - {{name: mailer, fields: {{{fields}}}}}\n")
    await refused(mailer.roomfile.apply([file]))
    assert EVIL not in await lines(mailer, "mailer")


async def test_another_certificate_by_room_file_moves_no_secret_that_trusts_it(
    mailer: Room, tmp_path: Path
) -> None:
    """T26: the certificate is typed, the passwords that would be shown to its owner are not."""
    (tmp_path / "evil.pem").write_text(generate_pair("evil")[1])
    file = tmp_path / "room.yaml"
    file.write_text(
        "postroom: 1\ncredentials:\n"
        "  - {name: corp-ca, fields: {certificate: {from_file: evil.pem}}}\n"
    )
    before = await lines(mailer, "mailer")
    await refused(mailer.roomfile.apply([file]))
    assert await lines(mailer, "mailer") == before


async def test_a_room_file_that_types_one_of_two_secrets_moves_neither(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T26: a typed passphrase does not move the private key beside it."""
    key, certificate = generate_pair("client")
    await room.credentials.create(
        "client",
        "certificate",
        details={"certificate": certificate, "private_key": key},
    )
    side = {**_side("imap", "imap.example.com", ""), "auth": {"type": "none"}}
    await room.connections.add(
        {"name": "acme", "incoming": {**side, "client_certificate": "client"}}
    )
    used(room.settings.room)
    monkeypatch.setenv("ANY", certificate)
    file = tmp_path / "room.yaml"
    file.write_text(
        "postroom: 1\ncredentials:\n"
        "  - {name: client, fields: {certificate: {from_env: ANY}}}\n"
        f"connections:\n  - {{name: acme, incoming: {{host: {EVIL}}}}}\n"
    )
    await refused(room.roomfile.apply([file]))
    assert EVIL not in await lines(room, "client")


async def test_a_typed_secret_moves_itself(
    mailer: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 4.1: the value in the same request is what permits a new destination."""
    monkeypatch.setenv("PW", "canary-mailer-0001")
    file = tmp_path / "room.yaml"
    file.write_text(
        "postroom: 1\ncredentials:\n"
        "  - {name: mailer, fields: {password: {from_env: PW}, host: new.example.com}}\n"
    )
    await mailer.roomfile.apply([file])
    assert "new.example.com" in await lines(mailer, "mailer")


@pytest.mark.parametrize(
    "change",
    [
        {"host": EVIL}, {"port": "994"}, {"security": "starttls"}, {"proxy": f"{EVIL}:3128"},
        {"check_server_identity": False}, {"trust": "corp-ca"}, {"protocol": "pop3"},
    ],
)  # fmt: skip
async def test_no_setting_of_a_connection_moves_its_secret(
    mailer: Room, change: dict[str, Any]
) -> None:
    """T26: each part of a destination, at the connection and at a child of it."""
    before = await lines(mailer, "login")
    await refused(mailer.connections.set("acme", {"incoming": change}))
    child = {"name": "child", "extends": "acme", "incoming": change}
    await refused(mailer.connections.add(child))
    assert await lines(mailer, "login") == before


def test_a_yes_permits_the_lines_that_were_shown_and_asks_about_the_next(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T26: a change that moves two secrets is two questions; a yes and a no move none."""
    connection(cli, monkeypatch)
    answers = iter([True, False])
    monkeypatch.setattr("postroom.cli.run.confirm", lambda question: next(answers))
    move = ("--set", f"incoming.host={EVIL}", "--set", "outgoing.host=evil.example.org")
    answer = cli("connection", "set", "acme", *move)
    assert answer.status == 1
    assert EVIL in answer.err
    assert "evil.example.org" in answer.err
    for name in ("login", "other"):
        assert "evil" not in cli("credential", "show", name).out


def connection(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """``acme`` with a credential for each side, both used."""
    steps: list[tuple[str, ...]] = [("credential", "add", name, "--type", "password", "--user-name", "u",
              "--password-from-env", "PW") for name in ("login", "other")]  # fmt: skip
    monkeypatch.setenv("PW", "canary-login-0001")
    steps.append(
        ("connection", "add", "acme",
         "--set", "incoming.protocol=imap", "--set", "incoming.host=imap.example.com",
         "--set", "incoming.auth={type: secret, credential: login}",
         "--set", "outgoing.protocol=smtp", "--set", "outgoing.host=smtp.example.com",
         "--set", "outgoing.auth={type: secret, credential: other}")
    )  # fmt: skip
    for step in steps:
        answer = cli(*step)
        assert answer.status == 0, answer.err
    used(cli.settings.room)


async def test_a_used_certificate_cannot_be_deleted_and_made_again(mailer: Room) -> None:
    """T26: the way round replacing it; and once it is gone the record that trusts it stays usable."""
    with pytest.raises(PostroomError) as caught:
        await mailer.credentials.delete("corp-ca")
    assert caught.value.code == "in_use"
    await mailer.credentials.delete("corp-ca", force=True)
    before = await lines(mailer, "mailer")
    evil = {"certificate": generate_pair("evil")[1]}
    await refused(mailer.credentials.create("corp-ca", "trusted_certificate", details=evil))
    assert await lines(mailer, "mailer") == before


async def test_a_variable_or_an_allowed_variable_of_the_process_moves_nothing(
    mailer: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T40: by ``variable set``, and by another value in the environment."""
    monkeypatch.setenv("MAIL_HOST", "imap.example.com")
    await mailer.variables.set("HOST", "imap.example.com")
    await mailer.variables.allow_environment("MAIL_HOST")
    await mailer.connections.set("acme", {"incoming": {"host": "${HOST}"}})
    await refused(mailer.variables.set("HOST", EVIL))
    await mailer.connections.set("acme", {"incoming": {"host": "${env:MAIL_HOST}"}})
    monkeypatch.setenv("MAIL_HOST", EVIL)
    with pytest.raises(PostroomError) as caught:
        await mailer.commands.run("list-email", {"via": "acme"})
    assert caught.value.code == "destination_not_bound"
    await mailer.connections.set("acme", {"description": "saved with the other value around"})
    assert EVIL not in await lines(mailer, "login")


def test_what_is_applied_is_what_was_planned(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room file that changes between plan and application binds no line that nobody saw."""
    connection(cli, monkeypatch)
    file = tmp_path / "room.yaml"
    text = "postroom: 1\nconnections:\n  - {name: acme, description: new, incoming: {host: HOST}}\n"
    file.write_text(text.replace("HOST", "imap.example.com"))
    applied = RoomFile.apply

    async def swapping(self: RoomFile, *args: Any, **kwargs: Any) -> Any:
        plan = await applied(self, *args, **kwargs)
        file.write_text(text.replace("HOST", EVIL))
        return plan

    monkeypatch.setattr(RoomFile, "apply", swapping)
    assert cli("apply", str(file)).status == 0
    assert EVIL not in cli("credential", "show", "login").out
    assert cli("connection", "show", "acme", "--json").json["description"] == "new"


async def test_the_kindness_of_the_first_day_ends_with_use_and_with_the_day(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one who typed it corrects it for a day; each correction does not begin the day again."""
    await room.credentials.create(
        "login", "password", details={"user_name": "u", "password": Secret("canary-login-0001")}
    )
    await room.connections.add({"name": "acme", "incoming": _side("imap", "a.example", "login")})
    await room.connections.set("acme", {"incoming": {"host": "b.example"}})
    tomorrow = timestamp() + dt.timedelta(days=1).total_seconds()
    monkeypatch.setattr("postroom.credentials.versions.timestamp", lambda: tomorrow)
    await refused(room.connections.set("acme", {"incoming": {"host": "c.example"}}))
