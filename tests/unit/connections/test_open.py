"""Opening: the secret for exactly the line that is dialled, and not a socket otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from postroom.audit import rows
from postroom.connections import store
from postroom.connections.open import Opener
from postroom.credentials.store import CredentialStore
from postroom.db import Tx
from postroom.errors import InvalidValue, Locked, NotThere, Refused, WireError, WrongUse
from postroom.protocols.base import Limits
from postroom.variables import store as variables
from tests.unit.connections.rooms import ACTOR, SmallRoom

LOGIN = {"type": "secret", "credential": "login"}
PASSWORD = "canary-7f3a-password"


class Listener:
    """A port that counts who comes, and greets nobody."""

    def __init__(self) -> None:
        self.port = 0
        self.came = 0
        self.heard = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        self.heard += await reader.read()
        writer.close()


@asynccontextmanager
async def _listening() -> AsyncIterator[Listener]:
    listener = Listener()
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


def _imap(port: int, **fields: Any) -> dict[str, Any]:
    return {"protocol": "imap", "host": "127.0.0.1", "port": str(port), "security": "none",
            "auth": LOGIN, **fields}  # fmt: skip


def _hurried(room: SmallRoom) -> Opener:
    return Opener(room.db, room.credentials, room.tokens, actor=ACTOR, environ=room.environ,
                  limits=Limits(connect_timeout=0.5, reply_timeout=0.2))  # fmt: skip


async def test_a_changed_host_gets_no_socket(room: SmallRoom) -> None:
    async with _listening() as listener:
        await room.password("login", "u", PASSWORD)
        await room.connect("acme", incoming=_imap(listener.port))
        # as somebody who edits the table, past every check
        await room.connect("acme", bind=False, incoming=_imap(listener.port, host="127.0.0.2"))
        with pytest.raises(Refused) as caught:
            await _hurried(room).open_store("acme")
        assert caught.value.code == "destination_not_bound"
        assert listener.came == 0


@pytest.mark.parametrize("change", ["trust", "name", "security", "port", "proxy", "protocol"])
async def test_every_part_of_the_line_counts(room: SmallRoom, change: str, pki: Any) -> None:
    await room.credential("ca", "trusted_certificate", {"certificate": pki.ca.read_text()})
    await room.password("login", "u", PASSWORD)
    good = {"protocol": "imap", "host": "127.0.0.1", "port": "9", "auth": LOGIN}
    await room.connect("acme", incoming=good)
    changes: dict[str, dict[str, Any]] = {
        "trust": {"trust": "ca"}, "name": {"check_server_identity": False},
        "security": {"security": "none"}, "port": {"port": "10"},
        "proxy": {"proxy": "127.0.0.1:9"}, "protocol": {"protocol": "pop3"},
    }  # fmt: skip
    await room.connect("acme", bind=False, incoming=good | changes[change])
    with pytest.raises(Refused) as caught:
        await _hurried(room).open_store("acme")
    assert caught.value.code == "destination_not_bound"


async def test_a_variable_that_moves_the_host_gets_no_socket(room: SmallRoom) -> None:
    async with _listening() as listener:
        await room.db.write(lambda tx: variables.set_variable(tx, "HOST", "127.0.0.1"))
        await room.password("login", "u", PASSWORD)
        await room.connect("acme", incoming=_imap(listener.port, host="${HOST}"))
        await room.db.write(lambda tx: variables.set_variable(tx, "HOST", "127.0.0.2"))
        with pytest.raises(Refused) as caught:
            await _hurried(room).open_store("acme")
        assert caught.value.code == "destination_not_bound"
        assert listener.came == 0


async def test_opening_is_written_down_before_the_dial(room: SmallRoom) -> None:
    async with _listening() as listener:
        await room.password("login", "u", PASSWORD)
        await room.connect("acme", incoming=_imap(listener.port))
        with pytest.raises(WireError) as caught:
            await _hurried(room).open_store("acme")
        assert caught.value.code == "timed_out"
        assert listener.came == 1
        assert PASSWORD.encode() not in listener.heard
    (row, *_) = await room.db.read(lambda tx: rows(tx, limit=1, noun="credential", name="login"))
    assert row["action"] == "open"
    assert row["actor"] == ACTOR
    assert "open the incoming side of connection acme" in str(dict(row))
    used = await room.db.read(lambda tx: store.last_use(tx, "acme"))
    assert used.at is None, "it was never open"
    credential = await room.db.read(lambda tx: room.credentials.get(tx, "login"))
    assert credential.presented_at is None


async def test_the_user_of_the_side_wins_over_the_credentials(room: SmallRoom) -> None:
    await room.password("login", "from-credential", PASSWORD)
    await room.connect("plain", incoming=_imap(9))
    await room.connect("named", incoming=_imap(9, user="from-side"))
    assert (await room.opener.prepare("plain", "incoming")).sign_in.user == "from-credential"
    prepared = await room.opener.prepare("named", "incoming")
    assert prepared.sign_in.user == "from-side"
    assert prepared.sign_in.method == "password"
    assert prepared.opened == (("login", 2),)
    assert PASSWORD not in repr(prepared)


async def test_a_value_alone_needs_a_user(room: SmallRoom) -> None:
    await room.credential("login", "secret", {"value": PASSWORD})
    await room.connect("acme", incoming=_imap(9))
    with pytest.raises(InvalidValue, match="user: is needed"):
        await room.opener.prepare("acme", "incoming")
    await room.connect("acme", incoming=_imap(9, user="u"))
    assert (await room.opener.prepare("acme", "incoming")).sign_in.user == "u"


async def test_other_types_do_not_sign_in(room: SmallRoom) -> None:
    await room.credential("login", "generic", {"token": PASSWORD})
    await room.connect("acme", incoming=_imap(9))
    with pytest.raises(Refused, match="nothing to sign in with") as caught:
        await room.opener.prepare("acme", "incoming")
    assert caught.value.code == "not_supported"


async def test_incomplete_and_missing(room: SmallRoom) -> None:
    await room.credential("login", "password", {"user_name": "u"})
    await room.connect("acme", incoming=_imap(9))
    with pytest.raises(Refused) as caught:
        await room.opener.prepare("acme", "incoming")
    assert caught.value.code == "incomplete"
    with pytest.raises(Refused, match="no outgoing side"):
        await room.opener.open_transport("acme")
    with pytest.raises(NotThere):
        await room.opener.open_store("acmee")
    with pytest.raises(Refused, match="only one of type smtp"):
        await room.opener.open_store("credential:login")
    with pytest.raises(Refused, match="only one of type smtp"):
        await room.opener.open_transport("credential:login")


async def test_a_client_certificate_is_opened_for_the_same_line(room: SmallRoom, pki: Any) -> None:
    pair = pki.pairs["good"]
    fields = {"certificate": pair.cert.read_text(), "private_key": pair.key.read_text()}
    await room.credential("cert", "certificate", fields)
    side = {"protocol": "smtp", "host": "127.0.0.1", "port": "9", "client_certificate": "cert"}
    await room.connect("acme", bind=False, outgoing=side)
    with pytest.raises(Refused) as caught:
        await room.opener.prepare("acme", "outgoing")
    assert caught.value.code == "destination_not_bound"
    await room.connect("acme", outgoing=side)
    prepared = await room.opener.prepare("acme", "outgoing")
    assert prepared.target.tls.client_certificate is not None
    assert prepared.side.tls.client_certificate is None
    assert prepared.sign_in.method == "none"
    assert [name for name, _ in prepared.opened] == ["cert"]


async def test_a_locked_room_opens_nothing(room: SmallRoom) -> None:
    """Not even what needs no secret: what cannot be written down is not done."""
    await room.password("login", "u", PASSWORD)
    await room.connect("acme", incoming=_imap(9),
                       outgoing={"protocol": "smtp", "host": "127.0.0.1"})  # fmt: skip
    store = CredentialStore(None, None, locked=Locked("The key is missing."))
    opener = Opener(room.db, store, room.tokens, actor=ACTOR, environ={})
    for place in ("incoming", "outgoing"):
        with pytest.raises(Locked):
            await opener.prepare("acme", place)


async def test_an_smtp_credential_is_a_side_of_its_own(room: SmallRoom) -> None:
    await room.credential("mailer", "smtp", {
        "host": "smtp.example.com", "port": 587, "user_name": "u", "password": PASSWORD,
        "tls": True,
    })  # fmt: skip
    prepared = await room.opener.prepare("credential:mailer", "outgoing")
    side = prepared.side
    assert (side.host, side.port, side.security) == ("smtp.example.com", 587, "starttls")
    assert (prepared.noun, prepared.name, prepared.sign_in.user) == ("credential", "mailer", "u")
    credential = await room.db.read(lambda tx: room.credentials.get(tx, "mailer"))
    assert credential.destinations == [side.line]


@pytest.mark.parametrize(
    ("fields", "port", "security"),
    [({}, 25, "none"), ({"tls": True}, 25, "starttls"), ({"tls": True, "port": 465}, 465, "tls")],
)
async def test_an_smtp_credential_without_sign_in(
    room: SmallRoom, fields: dict[str, Any], port: int, security: str
) -> None:
    await room.credential("relay", "smtp", {"host": "relay.example.com", **fields})
    prepared = await room.opener.prepare("credential:relay", "outgoing")
    assert (prepared.side.port, prepared.side.security) == (port, security)
    assert prepared.sign_in.method == "none"
    assert prepared.opened == ()


async def test_cleartext_is_refused_at_use_too(room: SmallRoom) -> None:
    await room.password("login", "u", PASSWORD)
    await room.connect("acme", bind=False, incoming=_imap(143, host="imap.example.com"))

    def bind(tx: Tx) -> None:
        line = ("imap://imap.example.com:143;security=none;trust=system;"
                "name=checked;proxy=none")  # fmt: skip
        room.credentials.bind(tx, "login", {line}, actor=ACTOR, rebind=True)

    await room.db.write(bind)
    with pytest.raises(WrongUse) as caught:
        await room.opener.open_store("acme")
    assert caught.value.code == "cleartext_sign_in"
