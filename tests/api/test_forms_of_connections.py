"""What is done with a connection by its page: trusted, sent through, copied, signed out of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.api.reader import Reader
from tests.ground import maildir
from tests.journeys.conftest import connect
from tests.journeys.oauth import approving, register
from tests.journeys.oauth import connect as connect_app

if TYPE_CHECKING:
    from postroom.app import Room
    from tests.ground import Ground

AGREED = "Save, and let it go there"
TRUST = "It is right: Trust this certificate here"


async def test_a_certificate_is_trusted_a_message_sent_and_the_connection_copied_and_deleted(
    reader: Reader, room: Room, ground: Ground
) -> None:
    user, other = ground.user(), ground.user()
    await connect(room, ground, user)
    untrusted = {"incoming": {"trust": ""}}
    await room.connections.set("acme", untrusted, rebind=True)
    await reader.go("/connections/acme")
    await reader.press("Test")
    await reader.watched()
    assert "Incoming failed" in reader.text
    await reader.press(TRUST)
    if AGREED in reader.labels():
        await reader.press(AGREED)
    assert "The certificate of the incoming server is trusted for acme." in reader.text
    await reader.watched()
    assert "Everything works" in reader.text
    assert "nothing was sent" in reader.text

    await reader.go("/connections/acme")
    await reader.press("Send a test message", To=other.address)
    await reader.watched()
    assert "one message was sent" in reader.text
    for _ in range(200):
        if maildir.read(other.maildir):
            break
        await asyncio.sleep(0.05)
    (raw,) = maildir.read(other.maildir)
    assert user.address.encode() in raw
    assert list(await room.outbox.list()) == []

    await reader.go("/connections/acme")
    await reader.press("Copy", Name_of_the_copy="second")
    assert "second is a copy of acme." in reader.text
    await reader.press("Test")
    await reader.watched()
    assert "Everything works" in reader.text

    await room.services.add({"name": "out", "connection": "second"})
    await reader.go("/connections/second")
    await reader.press("Delete…")
    assert "service out" in reader.text
    await reader.press("Delete it")
    assert reader.status == 422
    assert "service out" in reader.text
    await reader.press("Delete it", force=True)
    assert "second is deleted." in reader.text
    assert [one["name"] for one in await room.connections.list()] == ["acme"]
    (row,) = await room.audit.list(noun="connection", name="second", action="delete")
    assert row["actor"] == "user:root"


async def test_somebody_is_signed_out_at_the_server_too(
    reader: Reader, room: Room, ground: Ground
) -> None:
    """Its tokens are revoked there, and the page says that nobody is signed in."""
    user = ground.user()
    client = ground.oauth.client()
    await register(room, ground, client)
    await connect_app(room, ground, user, "oauth_device_flow")
    await room.signins.sign_in("acme", tell=approving(ground.oauth, user.address))
    await reader.go("/connections/acme")
    assert user.address in reader.text
    await reader.press("Sign this account out", at="/connections/acme")
    await reader.watched()
    assert "Signed out of acme." in reader.text
    await reader.press("Back to acme")
    assert "Nobody has signed in yet" in reader.text
    await reader.press("Test")
    await reader.watched()
    assert "failed" in reader.text
    assert [one for one in await room.signins.list() if one["signed_in_at"]] == []


async def test_what_is_under_way_is_stopped_by_whoever_began_it(
    reader: Reader, room: Room, ground: Ground
) -> None:
    """A sign-in that nobody ends waits for a quarter of an hour, and ten of them are all one may have."""
    await register(room, ground, ground.oauth.client())
    await connect_app(room, ground, ground.user(), "oauth_device_flow")
    await reader.go("/connections/acme")
    await reader.press("Sign in now")
    await reader.press("Begin")
    assert reader.path.startswith("/works/")
    work = reader.path
    await reader.press("Stop it")
    assert "It was ended." in reader.text
    assert reader.path == "/connections/acme"
    await reader.go(work)
    assert "It was ended before it was done." in reader.text
    assert "Stop it" not in reader.labels()


async def test_a_certificate_of_another_host_is_not_there_to_be_trusted(
    reader: Reader, room: Room, ground: Ground
) -> None:
    """Trusting it would not help: no button, and no word of one."""
    port = str(ground.dovecot.wronghost.imaps)
    await connect(room, ground, ground.user(), port=port, trust="")
    await reader.go("/connections/acme")
    await reader.press("Test")
    await reader.watched()
    assert "and not for 127.0.0.1" in reader.text
    assert TRUST not in reader.labels()
    assert "with the button" not in reader.text
