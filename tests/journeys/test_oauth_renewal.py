"""Tokens fetched anew: what cannot be written is written later, what is old is kept until it may go."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from postroom.app import Room
from postroom.errors import PostroomError, RoomError
from tests.ground import Client, Ground, User
from tests.journeys.oauth import approving, connect, expire, register


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


async def asking(room: Room, task: asyncio.Task[Any]) -> None:
    """Wait until a token is being asked for."""
    owner = "SELECT owner FROM sign_ins WHERE owner IS NOT NULL"
    while await room.desk.db.read(lambda tx: tx.value(owner)) is None:
        assert not task.done(), task
        await asyncio.sleep(0.02)


async def unwritten(room: Room, ground: Ground, client: Client, **fault: Any) -> None:
    """Ask for a token while the room can be written, and get the answer when it cannot."""
    await room.desk.db.write(lambda tx: tx.value("PRAGMA busy_timeout = 100"))
    ground.oauth.fault("token:refresh_token", client=client, delay=1, **fault)
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
    ground.oauth.fault("revoke", client=client, delay=1)
    task = asyncio.create_task(room.signins.sign_out("acme"))
    await asking(room, task)
    with busy(room), pytest.raises(RoomError, match="writing"):
        await task
    await asyncio.wait_for(room.signins.sign_out("acme"), 30)
    assert await room.signins.list() == []
