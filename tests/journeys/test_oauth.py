"""Connections that sign in by OAuth: every flow, over real servers, until a token opens a mailbox."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from postroom.app import Room
from postroom.clock import timestamp
from postroom.credentials.types.pem import generate_pair
from postroom.errors import PostroomError
from postroom.mail import Draft
from tests.ground import Ground, User
from tests.journeys.oauth import approving, browsing, connect, expire, register


async def _opens(room: Room, name: str = "acme") -> str:
    """Both sides open; gives the user who signed in to the incoming one."""
    store = await room.desk.opener.open_store(name)
    await store.open("INBOX", read_only=True)
    await store.close()
    transport = await room.desk.opener.open_transport(name)
    await transport.close()
    return (await room.desk.opener.prepare(name, "incoming")).sign_in.user


async def test_an_application_signs_in_with_its_secret(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = ground.oauth.client(mailbox=fresh_user.address)
    await register(room, ground, client)
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    assert await _opens(room) == fresh_user.address
    # one request for both directions: a token is kept, sealed, and used while it is good
    assert ground.oauth.counts(client)["token:client_credentials"] == 1
    [row] = await room.signins.list()
    assert (row["state"], row["connections"]) == ("signed in", ["acme"])


async def test_an_application_signs_in_with_its_certificate(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    key, certificate = generate_pair("postroom tests")
    registered = x509.load_pem_x509_certificate(certificate.encode())
    client = ground.oauth.client(mailbox=fresh_user.address, certificates=[registered])
    await register(
        room, ground, client, client_secrets=None, private_key=key, certificate=certificate
    )
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    assert await _opens(room) == fresh_user.address
    [seen] = [one for one in ground.oauth.seen(client) if one["kind"] == "token:client_credentials"]
    assert seen["how"] == "private_key_jwt"


async def test_a_person_signs_in_with_a_code_on_another_device(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    with pytest.raises(PostroomError) as caught:
        await _opens(room)
    assert caught.value.code == "sign_in_required"
    assert "postroom connection signin" in caught.value.hint
    [done] = await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert (done.identity, done.connections) == (fresh_user.address, ("acme",))
    assert await _opens(room) == fresh_user.address
    assert ground.oauth.counts(client).get("token:refresh_token", 0) == 0


async def test_what_waits_for_a_person_goes_on_when_they_have_signed_in(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path
) -> None:
    """A source and mail: not at the end of the quarter of an hour that a refusal costs."""
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    sink = {"type": "directory", "path": str(tmp_path / "orders")}
    await room.sources.add({"name": "orders-in", "connection": "acme", "sink": sink})
    await room.services.add({"name": "orders-out", "connection": "acme"})
    with pytest.raises(PostroomError):
        await room.collecting.run("orders-in")
    sent = await room.email.send("orders-out", Draft(from_=None, to=[fresh_user.address], text="x"))
    assert sent.state == "deferred"

    def due() -> list[bool]:
        tables = ("sources", "outbox")
        rows = [room.desk.db.read_now(lambda tx: tx.value(f"SELECT due_at FROM {table}"))  # noqa: B023
                for table in tables]  # fmt: skip
        return [row <= timestamp() for row in rows]

    assert due() == [False, False]
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert due() == [True, True]


async def test_a_person_signs_in_with_a_browser(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = ground.oauth.client(public=True, redirect_uris=["http://localhost"])
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_authorization_code")
    visits: list[asyncio.Task[Any]] = []
    [done] = await room.signins.sign_in("acme", browsing(ground.oauth, fresh_user.address, visits))
    await asyncio.gather(*visits)
    assert done.identity == fresh_user.address
    assert await _opens(room) == fresh_user.address


async def test_two_directions_and_five_connections_sign_in_once(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """DESIGN 4.2: with the same client, authority and account, whichever of them asks."""
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    names = ("acme", "two", "three", "four", "five")
    for name in names:
        await connect(room, ground, fresh_user, "oauth_device_flow", name=name)
    [done] = await room.signins.sign_in("three", approving(ground.oauth, fresh_user.address))
    assert set(done.connections) == set(names)
    for name in names:
        store = await room.desk.opener.open_store(name)
        await store.close()
        transport = await room.desk.opener.open_transport(name)
        await transport.close()
    [row] = await room.signins.list()
    assert row["connections"] == sorted(names)
    asked = ground.oauth.counts(client)
    assert (asked["device"], asked.get("token:refresh_token", 0)) == (1, 0)


async def test_the_flow_is_that_of_the_connection_that_is_named(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """Another one of the same sign-in may name another: here a code on another device."""
    client = ground.oauth.client(public=True, redirect_uris=["http://localhost"])
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    await connect(room, ground, fresh_user, "oauth_authorization_code", name="other")
    visits: list[asyncio.Task[Any]] = []
    [done] = await room.signins.sign_in("other", browsing(ground.oauth, fresh_user.address, visits))
    await asyncio.gather(*visits)
    assert set(done.connections) == {"acme", "other"}
    assert ground.oauth.counts(client).get("device", 0) == 0
    assert await _opens(room) == fresh_user.address


@pytest.mark.parametrize("rotation", ["strict", "lenient", "none"])
async def test_a_sign_in_survives_expiry_and_rotation(
    room: Room, ground: Ground, fresh_user: User, rotation: str
) -> None:
    client = ground.oauth.client(public=True, rotation=rotation)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    for _ in range(3):
        await expire(room)
        store = await room.desk.opener.open_store("acme")
        await store.close()
    assert ground.oauth.counts(client)["token:refresh_token"] == 3


async def test_a_refused_token_is_replaced_once(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """Somebody's tokens were revoked; the sign-in itself was not."""
    client = ground.oauth.client(mailbox=fresh_user.address, format="opaque")
    await register(room, ground, client)
    await connect(room, ground, fresh_user, "oauth_client_credentials", scopes=["mail/.default"])
    await _opens(room)
    ground.oauth.sign_out(fresh_user.address, client)
    assert await _opens(room) == fresh_user.address


async def test_somebody_else_is_refused_and_nothing_is_stored(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T87: another account: the tokens are thrown away, and the sign-in of before stays."""
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    other = ground.user()
    with pytest.raises(PostroomError) as caught:
        await room.signins.sign_in("acme", approving(ground.oauth, other.address))
    assert f"{other.address} signed in, but {fresh_user.address} was expected" in str(caught.value)
    assert await room.signins.list() == []
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    with pytest.raises(PostroomError):
        await room.signins.sign_in("acme", approving(ground.oauth, other.address))
    assert await _opens(room) == fresh_user.address


async def test_whoever_says_no_or_is_too_late_is_told_so(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    with pytest.raises(PostroomError) as denied:
        await room.signins.sign_in("acme", approving(ground.oauth, "nobody"))
    ground.oauth.change(client, device_ttl=2)
    with pytest.raises(PostroomError) as late:
        await room.signins.sign_in("acme", lambda _step: None)
    assert (denied.value.code, late.value.code) == ("sign_in_failed", "sign_in_failed")
    assert "in time" in late.value.sentence
    assert await room.signins.list() == []


async def test_too_few_scopes_store_nothing(room: Room, ground: Ground, fresh_user: User) -> None:
    """T90."""
    client = ground.oauth.client(public=True, withhold=["SMTP.Send"])
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    with pytest.raises(PostroomError) as caught:
        await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert "SMTP.Send" in caught.value.sentence
    assert await room.signins.list() == []


async def test_a_revoked_sign_in_asks_for_a_person_and_deletes_nothing(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T89: only a definite refusal does."""
    client = ground.oauth.client(public=True, access_ttl=1)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    await expire(room)
    ground.oauth.fault("token:refresh_token", client=client, status=503, headers={}, body="busy")
    with pytest.raises(PostroomError) as busy:
        await room.desk.opener.open_store("acme")
    assert (busy.value.code, busy.value.temporary) == ("deferred", True)
    [row] = await room.signins.list()
    assert row["state"] == "signed in"
    ground.oauth.sign_out(fresh_user.address, client)
    await room.connections.restart("acme")
    with pytest.raises(PostroomError) as ended:
        await room.desk.opener.open_store("acme")
    assert ended.value.code == "sign_in_required"
    [row] = await room.signins.list()
    assert row["state"] == "sign-in required"
    tokens = await room.desk.db.read(
        lambda tx: tx.value("SELECT count(*) FROM sealed WHERE kind = 'refresh-token'")
    )
    assert tokens == 1
    ground.oauth.change(client, access_ttl=600)
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert await _opens(room) == fresh_user.address


async def test_signing_out_revokes_at_the_server_and_forgets(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert await room.signins.sign_out("acme")
    assert ground.oauth.counts(client)["revoke"] == 1
    assert await room.signins.list() == []
    sealed = await room.desk.db.read(
        lambda tx: tx.value("SELECT count(*) FROM sealed WHERE kind LIKE '%token'")
    )
    assert sealed == 0


async def test_twenty_at_once_make_one_request(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T88, in one process: a rotating token, and everybody waits for the one who asks."""
    client = ground.oauth.client(public=True, rotation="strict", access_ttl=2)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, fresh_user, "oauth_device_flow")
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    await asyncio.sleep(2.0)
    ground.oauth.change(client, access_ttl=600)
    opened = await asyncio.gather(
        *(room.desk.opener.prepare("acme", "incoming") for _ in range(20))
    )
    assert {one.sign_in.user for one in opened} == {fresh_user.address}
    assert ground.oauth.counts(client)["token:refresh_token"] == 1


async def test_the_server_that_echoes_the_secret_is_scrubbed(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T34, T91: neither the error nor the audit record holds the client's secret."""
    client = ground.oauth.client(mailbox=fresh_user.address)
    await register(room, ground, client)
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    ground.oauth.fault("token:client_credentials", client=client, echo=True)
    with pytest.raises(PostroomError) as caught:
        await room.desk.opener.open_store("acme")
    audit = await room.audit.list()
    log = await room.connections.log("acme")
    [row] = await room.signins.list()
    told = json.dumps([caught.value.as_json(), str(caught.value), row, log], default=str) + str(
        audit
    )
    assert client.secret not in told
