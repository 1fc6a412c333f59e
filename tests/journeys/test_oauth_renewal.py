"""Tokens fetched anew: what cannot be written is written later, what is old is kept until it may go."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from postroom import worker
from postroom.app import Room
from postroom.clock import timestamp
from postroom.errors import PostroomError, RoomError, SignInError
from tests.ground import Client, Ground, User
from tests.journeys.oauth import approving, asking, connect, expire, register

DELAY = 5  # seconds until a server answers: time enough for another process to begin writing


async def signed_in(room: Room, ground: Ground, user: User, **settings: Any) -> Client:
    """Somebody has signed in for connection ``acme`` by a code on another device."""
    client = ground.oauth.client(public=True, **settings)
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, user, "oauth_device_flow")
    await room.signins.sign_in("acme", approving(ground.oauth, user.address))
    return client


@contextlib.contextmanager
def busy(room: Room) -> Iterator[None]:
    """Another process is writing into the room, and does not end."""
    other = sqlite3.connect(room.desk.db.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


async def unwritten(room: Room, ground: Ground, client: Client, **fault: Any) -> None:
    """Ask for a token while the room can be written, and get the answer when it cannot."""
    await room.desk.db.write(lambda tx: tx.value("PRAGMA busy_timeout = 100"))
    ground.oauth.fault("token:refresh_token", client=client, delay=DELAY, **fault)
    task = asyncio.create_task(room.desk.opener.prepare("acme", "incoming"))
    await asking(room, task)
    with busy(room), pytest.raises(RoomError, match="writing"):
        await task


async def test_a_rotated_token_that_could_not_be_written_is_written_later(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T88: a strict server ends the sign-in of whoever asks again with the token of before."""
    client = await signed_in(room, ground, fresh_user, rotation="strict")
    await expire(room)
    await unwritten(room, ground, client)
    prepared = await asyncio.wait_for(room.desk.opener.prepare("acme", "incoming"), 30)
    assert prepared.access is not None
    assert prepared.access.version == 2  # the first is that of the sign-in
    assert ground.oauth.counts(client)["token:refresh_token"] == 1
    await expire(room)
    await room.desk.opener.prepare("acme", "incoming")
    [row] = await room.signins.list()
    assert (row["state"], row["note"]) == ("signed in", "")


async def test_a_failure_that_could_not_be_written_blocks_no_sign_in(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await signed_in(room, ground, fresh_user)
    await expire(room)
    await unwritten(room, ground, client, status=503, headers={}, body="")
    with pytest.raises(PostroomError, match="asked again in"):  # after the pause of any failure
        await asyncio.wait_for(room.desk.opener.prepare("acme", "incoming"), 30)
    await room.connections.restart("acme")
    assert (await room.desk.opener.prepare("acme", "incoming")).access is not None


async def test_an_asking_that_is_broken_off_blocks_no_sign_in(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """The claim is given back at once, and nobody has to wait for a failure of the server's."""
    client = await signed_in(room, ground, fresh_user)
    await expire(room)
    ground.oauth.fault("token:refresh_token", client=client, delay=20)
    task = asyncio.create_task(room.desk.opener.prepare("acme", "incoming"))
    await asking(room, task)
    [asked] = [one for one in asyncio.all_tasks() if one.get_name() == "postroom-token"]
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    ground.oauth.mend()
    prepared = await asyncio.wait_for(room.desk.opener.prepare("acme", "incoming"), 10)
    assert prepared.access is not None


async def test_a_sign_out_that_could_not_be_written_is_asked_for_again(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await signed_in(room, ground, fresh_user)
    await room.desk.db.write(lambda tx: tx.value("PRAGMA busy_timeout = 100"))
    ground.oauth.fault("revoke", client=client, delay=DELAY)
    task = asyncio.create_task(room.signins.sign_out("acme"))
    await asking(room, task)
    with busy(room), pytest.raises(RoomError, match="writing"):
        await task
    await asyncio.wait_for(room.signins.sign_out("acme"), 30)
    assert await room.signins.list() == []


# ------------------------------------------------------------------ when, and with which


async def _lying(room: Room) -> None:
    """A day goes by, as far as the room knows, in which nobody used a sign-in."""
    await room.desk.db.write(lambda tx: tx.execute("UPDATE sign_ins SET due_at = 1"))


async def test_a_sign_in_that_nobody_uses_is_refreshed_once_a_day(
    room: Room, ground: Ground, fresh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers end those that lie unused: by the operation, and by a worker."""
    client = await signed_in(room, ground, fresh_user)

    def refreshed() -> int:
        return ground.oauth.counts(client).get("token:refresh_token", 0)

    assert (await room.signins.keep_alive(), refreshed()) == ([], 0)
    await _lying(room)
    assert (await room.signins.keep_alive(), refreshed()) == ([], 1)
    assert (await room.signins.keep_alive(), refreshed()) == ([], 1)
    monkeypatch.setattr(worker, "SIGN_IN_SECONDS", 0.05)
    await _lying(room)
    working = asyncio.create_task(worker.Worker(room).run())
    while refreshed() == 1:
        assert not working.done()
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # several looks later
    assert refreshed() == 2
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


@pytest.mark.parametrize(("left", "renewed"), [(400, False), (200, True)])
async def test_a_token_is_renewed_before_it_ends(
    room: Room, ground: Ground, fresh_user: User, left: int, renewed: bool
) -> None:
    """What is begun with a token is to end before the token does."""
    client = await signed_in(room, ground, fresh_user)
    now = timestamp()
    await room.desk.db.write(
        lambda tx: tx.execute(
            "UPDATE access_tokens SET obtained_at = :from, expires_at = :until",
            **{"from": now - 3600 + left, "until": now + left},
        )
    )
    prepared = await room.desk.opener.prepare("acme", "incoming")
    assert prepared.access is not None
    assert prepared.kept is not renewed
    assert ground.oauth.counts(client).get("token:refresh_token", 0) == int(renewed)


async def test_the_refresh_token_of_before_serves_where_the_newest_is_refused(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """It is kept until the new one has worked; nobody has to sign in for that."""
    client = await signed_in(room, ground, fresh_user, rotation="lenient")
    await expire(room)
    await room.desk.opener.prepare("acme", "incoming")
    await expire(room)
    ground.oauth.fault(
        "token:refresh_token", client=client, aadsts=700082, error="invalid_grant", text="expired"
    )
    prepared = await room.desk.opener.prepare("acme", "incoming")
    assert prepared.access is not None
    assert ground.oauth.counts(client)["token:refresh_token"] == 3
    [row] = await room.signins.list()
    assert (row["state"], row["note"]) == ("signed in", "")


async def test_a_second_sign_in_whose_token_opens_nothing_replaces_nothing(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """The right person, and the mail server does not take what the authorization server gave."""
    client = await signed_in(room, ground, fresh_user)
    before = await room.signins.list()
    ground.oauth.change(client, mailbox_of_person=ground.user().address)
    with pytest.raises(SignInError) as caught:
        await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert "Nothing of this sign-in was stored" in caught.value.hint
    assert await room.signins.list() == before
    ground.oauth.change(client, mailbox_of_person=None)
    store = await room.desk.opener.open_store("acme")  # the token of the first is still there
    await store.close()
    await expire(room)
    store = await room.desk.opener.open_store("acme")  # and what refreshes it
    await store.close()
    assert ground.oauth.counts(client)["token:refresh_token"] == 1
