"""From the sign-in of a connection to a grant: who the client is, where its secrets and tokens go."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from postroom.connections.granting import CLIENT_TYPES
from postroom.connections.signins import sign_ins
from postroom.credentials.record import find_of_types
from postroom.credentials.tokens import Grant
from postroom.db import Tx
from postroom.errors import Refused, WrongUse
from tests.unit.connections.rooms import SmallRoom, open_small_room

TENANT = "11111111-2222-4333-8444-555555555555"
APP = {
    "tenant_id": TENANT,
    "client_id": "app-1",
    "client_secrets": {"a": {"value": "of-the-app-1"}},
}
ENTRA = f"https://login.microsoftonline.com/{TENANT}"


@pytest.fixture
async def room(tmp_path: Path) -> Any:
    async with open_small_room(tmp_path) as opened:
        yield opened


def _imap(**auth: Any) -> dict[str, Any]:
    return {
        "protocol": "imap",
        "host": "outlook.office365.com",
        "user": "a@example.com",
        "auth": auth,
    }


async def _grant(room: SmallRoom, name: str = "acme", place: str = "incoming") -> Grant:
    effective = await room.effective(name)
    side = effective.incoming if place == "incoming" else effective.outgoing
    assert side is not None
    assert side.grant is not None
    return side.grant


async def test_the_record_says_who_the_client_is(room: SmallRoom) -> None:
    await room.credential("app", "msgraph", APP)
    await room.connect("acme", incoming=_imap(type="oauth_client_credentials", credential="app"))
    grant = await _grant(room)
    assert (grant.authority, grant.client_id, grant.credential) == (ENTRA, "app-1", "app")
    assert grant.scopes == ("https://outlook.office365.com/.default",)
    assert not grant.personal


async def test_the_one_record_that_fits_is_found_without_its_name(room: SmallRoom) -> None:
    await room.credential("app", "msgraph", APP)
    auth = {"type": "oauth_client_credentials", "authority": f"{ENTRA}/", "client_id": "APP-1"}
    await room.connect("acme", incoming=_imap(**auth))
    assert (await _grant(room)).credential == "app"
    await room.credential("twin", "msgraph", APP)
    with pytest.raises(WrongUse, match="app and twin have the same authority and client id"):
        await room.effective("acme")


async def test_the_records_are_read_once_for_all_connections_that_name_none(
    room: SmallRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.credential("app", "msgraph", APP)
    auth = {"type": "oauth_client_credentials", "authority": ENTRA, "client_id": "app-1"}
    for number in range(5):
        await room.connect(f"acme-{number}", incoming=_imap(**auth))
    looks: list[Collection[str]] = []

    def counted(tx: Tx, types: Collection[str]) -> Any:
        looks.append(types)
        return find_of_types(tx, types)

    monkeypatch.setattr("postroom.connections.granting.find_of_types", counted)
    found = await room.db.read(lambda tx: sign_ins(room.resolver(tx).all_sides()))
    assert [len(use.connections) for use in found.values()] == [5]
    assert looks == [CLIENT_TYPES], "once"


async def test_what_contradicts_the_record_is_an_error(room: SmallRoom) -> None:
    await room.credential("app", "msgraph", APP)
    auth = {"type": "oauth_device_flow", "credential": "app", "client_id": "another"}
    await room.connect("acme", incoming=_imap(**auth))
    with pytest.raises(
        WrongUse, match=r"incoming\.auth\.client_id: says another, and credential app"
    ):
        await room.effective("acme")


@pytest.mark.parametrize(
    "user", ["boss@example.com", "a@sub.example.com", "a@example.com.evil.test"]
)
async def test_an_application_keeps_to_the_mailboxes_of_its_record(
    room: SmallRoom, user: str
) -> None:
    """Entra's own grant is the whole tenant; on the wires of Exchange too the record is the fence."""
    await room.credential("app", "msgraph", APP | {"mailboxes": ["A@example.com", "*@orders.test"]})
    auth = {"type": "oauth_client_credentials", "credential": "app"}
    for known in ("a@example.com", "B@orders.test"):
        await room.connect(known[0], incoming=_imap(**auth) | {"user": known})
        assert not (await _grant(room, known[0])).personal
    await room.connect("acme", incoming=_imap(**auth) | {"user": user})
    with pytest.raises(WrongUse, match=rf"incoming\.user: credential app is not for {user}:"):
        await room.effective("acme")
    # a person opens what that person may
    person = {"type": "oauth_device_flow", "credential": "app"}
    await room.connect("person", incoming=_imap(**person) | {"user": user})
    assert (await _grant(room, "person")).personal


async def test_both_directions_and_every_connection_share_one_sign_in(room: SmallRoom) -> None:
    await room.credential("app", "msgraph", APP)
    auth = {"type": "oauth_device_flow", "credential": "app"}
    smtp = {"protocol": "smtp", "host": "smtp.office365.com", "user": "A@example.com", "auth": auth}
    await room.connect("acme", incoming=_imap(**auth), outgoing=smtp)
    await room.connect("other", incoming=_imap(**auth))
    incoming, outgoing = await _grant(room), await _grant(room, place="outgoing")
    assert incoming.sign_in == outgoing.sign_in == (await _grant(room, "other")).sign_in
    assert "https://outlook.office.com/SMTP.Send" in incoming.scopes
    uses = await room.db.read(lambda tx: sign_ins(room.resolver(tx).all_sides()))
    assert uses[incoming.sign_in].connections == {
        "acme": ["incoming", "outgoing"],
        "other": ["incoming"],
    }
    assert len(uses) == 1


async def test_secrets_and_tokens_have_their_own_destinations(room: SmallRoom) -> None:
    """The client's secret goes to the authorization server, its tokens to the mail server."""
    await room.credential("app", "msgraph", APP)
    await room.connect("acme", incoming=_imap(type="oauth_client_credentials", credential="app"))
    found = await room.db.read(lambda tx: room.resolver(tx).destinations("app").lines)
    assert found == {
        "https://login.microsoftonline.com:443;trust=system;proxy=none",
        "bearer+imap://outlook.office365.com:993;security=tls;trust=system;name=checked;proxy=none",
    }


async def test_another_host_wants_the_clients_secret_again(room: SmallRoom) -> None:
    """T26: a token is as good as the secret it comes from."""
    await room.credential("app", "msgraph", APP)
    await room.connect("acme", incoming=_imap(type="oauth_client_credentials", credential="app"))
    record = await room.db.read(lambda tx: room.credentials.get(tx, "app"))
    await room.db.write(lambda tx: room.credentials.presented(tx, "app", record.version, 1.0))
    evil = _imap(type="oauth_client_credentials", credential="app") | {"host": "evil.example.com"}
    await room.connect("evil", incoming=evil, bind=False)
    lines = await room.db.read(lambda tx: room.resolver(tx).destinations("app").lines)
    with pytest.raises(Refused) as caught:
        await room.db.write(
            lambda tx: room.credentials.bind(tx, "app", lines, actor="local:other", rebind=False)
        )
    assert caught.value.code == "secret_reentry_required"
    assert any("bearer+imap://evil.example.com:993" in line for line in caught.value.facts["lines"])


REFUSED = [
    ({"type": "oauth_client_credentials", "authority": ENTRA, "client_id": "public"},
     "auth.credential: is needed"),
    ({"type": "oauth_device_flow", "credential": "login"}, "OAuth needs one of oauth_client or msgraph"),
    ({"type": "oauth_device_flow", "credential": "nobody"}, "no credential called 'nobody'"),
    ({"type": "oauth_device_flow", "authority": "http://login.example.com", "client_id": "x"},
     "auth.authority: write it as an https:// URL"),
]  # fmt: skip


@pytest.mark.parametrize(("auth", "sentence"), REFUSED)
async def test_refused_with_a_sentence(
    room: SmallRoom, auth: dict[str, Any], sentence: str
) -> None:
    await room.password("login", "u", "a-password-of-tests")
    await room.connect("acme", incoming=_imap(**auth))
    with pytest.raises(WrongUse) as caught:
        await room.effective("acme")
    assert sentence in str(caught.value)
