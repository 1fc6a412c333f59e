"""Tokens under attack and in company: edited rows, a fleet that wants one token, a killed refresher."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.credentials.tokens import Use
from postroom.db import Row, Tx
from postroom.errors import PostroomError
from tests.child import Child
from tests.ground import Client, Ground, User
from tests.journeys.oauth import approving, browsing, connect, expire, register

# Opens the room and asks for the token of a connection so many times at once; says how it went.
_WANTS = """
import asyncio, json, sys
from postroom.app import open_room
from postroom.settings import Settings

async def main(path, kek, go, times):
    room = await open_room(Settings(path, kek))
    print("ready", flush=True)
    while not go.exists():
        await asyncio.sleep(0.01)
    found = await asyncio.gather(
        *(room.desk.opener.prepare("acme", "incoming") for _ in range(times)),
        return_exceptions=True,
    )
    await room.close()
    print(json.dumps([one.access.version if hasattr(one, "access") else repr(one) for one in found]))

from pathlib import Path
asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
"""


async def _signed_in(
    room: Room, ground: Ground, user: User, *, ttl: int = 600, **settings: Any
) -> Client:
    client = ground.oauth.client(
        public=True, redirect_uris=["http://localhost"], access_ttl=ttl, **settings
    )
    await register(room, ground, client, client_secrets=None)
    await connect(room, ground, user, "oauth_authorization_code")  # quicker: nothing is polled
    visits: list[asyncio.Task[Any]] = []
    await room.signins.sign_in("acme", browsing(ground.oauth, user.address, visits))
    await asyncio.gather(*visits)
    return client


async def _edit(room: Room, sql: str, **values: Any) -> None:
    def body(tx: Tx) -> None:
        assert tx.execute(sql, **values)

    await room.desk.db.write(body)


async def _sealed(room: Room, kind: str) -> list[Row]:
    return await room.desk.db.read(
        lambda tx: tx.all(
            "SELECT record, data_key, blob FROM sealed WHERE kind = :kind ORDER BY record",
            kind=kind,
        )
    )


async def test_a_host_edited_in_the_database_gets_no_token(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T4 for tokens: the connection is repointed by SQL; neither token may go there."""
    client = await _signed_in(room, ground, fresh_user)
    row = await room.desk.db.read(lambda tx: tx.value("SELECT body FROM connections"))
    evil = json.dumps(
        json.loads(row) | {"incoming": json.loads(row)["incoming"] | {"host": "evil.test"}}
    )
    await _edit(room, "UPDATE connections SET body = :body", body=evil)
    with pytest.raises(PostroomError) as caught:
        await room.desk.opener.prepare("acme", "incoming")
    assert caught.value.code == "destination_not_bound"
    line = caught.value.facts["line"]
    # and who edits the list of places too opens nothing with it
    places = await room.desk.db.read(lambda tx: tx.value("SELECT destinations FROM sign_ins"))
    edited = json.dumps(sorted([*json.loads(places), line]))
    await _edit(room, "UPDATE sign_ins SET destinations = :lines", lines=edited)
    await _edit(room, "UPDATE access_tokens SET destinations = :lines", lines=edited)
    with pytest.raises(PostroomError) as caught:
        await room.desk.opener.prepare("acme", "incoming")
    assert caught.value.code == "unreadable"
    await _edit(room, "DELETE FROM access_tokens")
    with pytest.raises(PostroomError) as caught:
        await room.desk.opener.prepare("acme", "incoming")
    assert caught.value.code == "unreadable"
    assert ground.oauth.counts(client).get("token:refresh_token", 0) == 0


async def test_the_tokens_of_two_sign_ins_cannot_be_swapped(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """T1 for tokens."""
    await _signed_in(room, ground, fresh_user)
    other = ground.user()
    await connect(room, ground, other, "oauth_device_flow", name="other")
    await room.signins.sign_in("other", approving(ground.oauth, other.address))
    for kind in ("refresh-token", "access-token"):
        rows = await _sealed(room, kind)
        for one, two in (rows, rows[::-1]):
            await _edit(
                room,
                "UPDATE sealed SET blob = :blob, data_key = :key WHERE kind = :kind AND record = :record",
                blob=two["blob"], key=two["data_key"], kind=kind, record=one["record"],
            )  # fmt: skip
    for name in ("acme", "other"):
        with pytest.raises(PostroomError) as caught:
            await room.desk.opener.prepare(name, "incoming")
        assert caught.value.code == "unreadable"


async def test_a_connection_that_comes_later_asks_whoever_may_rebind(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """A sign-in serves what it was made for; another host is asked about like a secret's."""
    await _signed_in(room, ground, fresh_user)
    before = await room.desk.db.read(lambda tx: tx.value("SELECT destinations FROM sign_ins"))
    port = str(ground.oauth_postfix.tokens)
    changes = {"outgoing": {"port": port, "security": "starttls"}}
    with pytest.raises(PostroomError) as caught:
        await room.connections.set("acme", changes)
    assert caught.value.code == "secret_reentry_required"
    assert (
        await room.desk.db.read(lambda tx: tx.value("SELECT destinations FROM sign_ins")) == before
    )
    await room.connections.set("acme", changes, rebind=True)
    assert (await room.desk.opener.prepare("acme", "outgoing")).sign_in.user == fresh_user.address
    store = await room.desk.opener.open_store("acme")
    await store.close()


async def test_a_fleet_that_wants_one_rotating_token_asks_once(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path
) -> None:
    """T88: twenty in four processes; a second refresh with the old token would end the sign-in."""
    client = await _signed_in(room, ground, fresh_user, ttl=1, rotation="strict")
    ground.oauth.change(client, access_ttl=600)
    await expire(room)
    ground.oauth.fault("token:refresh_token", client=client, delay=1)
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(_asking(room, tmp_path / "go", 5)) for _ in range(4)]
        for child in children:
            assert await asyncio.to_thread(child.line) == "ready"
        (tmp_path / "go").touch()
        found = [json.loads(await asyncio.to_thread(child.line)) for child in children]
    assert found == [found[0]] * 4, found
    assert len(set(found[0])) == 1
    assert ground.oauth.counts(client)["token:refresh_token"] == 1
    store = await room.desk.opener.open_store("acme")
    await store.close()


async def test_a_killed_refresher_loses_no_token(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path
) -> None:
    """Its claim falls with it; the refresh token that is stored goes on, at once."""
    client = await _signed_in(room, ground, fresh_user, ttl=1)
    await expire(room)
    ground.oauth.fault("token:refresh_token", client=client, delay=10)
    (tmp_path / "go").touch()
    owner = "SELECT owner FROM sign_ins WHERE owner IS NOT NULL"
    with _asking(room, tmp_path / "go", 1) as child:
        while await room.desk.db.read(lambda tx: tx.value(owner)) is None:
            assert child.status is None
            await asyncio.sleep(0.05)
    seat = await room.desk.seat()
    await seat.remove_dead()
    ground.oauth.mend()
    prepared = await room.desk.opener.prepare("acme", "incoming")
    assert prepared.access is not None
    assert prepared.access.version == 2  # the first is that of the sign-in


async def test_an_answer_that_was_lost_is_asked_for_again_with_what_is_kept(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """The server rotated, the answer was lost: with a lenient server the old token still works."""
    client = await _signed_in(room, ground, fresh_user, ttl=1)
    await expire(room)
    ground.oauth.fault("token:refresh_token", client=client, lose=True)
    with pytest.raises(PostroomError) as caught:
        await room.desk.opener.prepare("acme", "incoming")
    assert caught.value.temporary
    with pytest.raises(PostroomError, match="asked again in"):
        await room.desk.opener.prepare("acme", "incoming")
    await room.connections.restart("acme")
    prepared = await room.desk.opener.prepare("acme", "incoming")
    assert prepared.access is not None


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": {"Retry-After": "7"}, "body": ""},
        {"status": 500, "headers": {}, "body": "<html>oops"},
        {"status": 200, "headers": {}, "body": "no json"},
        {"status": 302, "headers": {"Location": "https://evil.test/"}, "body": ""},
        {"cut": True},
    ],
)
async def test_a_fault_of_the_server_asks_nobody_to_sign_in(
    room: Room, ground: Ground, fresh_user: User, fault: dict[str, Any]
) -> None:
    """T89, T58: nothing is deleted, nothing is followed, and it works once the server does."""
    client = await _signed_in(room, ground, fresh_user, ttl=1)
    await expire(room)
    ground.oauth.fault("token:refresh_token", client=client, **fault)
    with pytest.raises(PostroomError) as caught:
        await room.desk.opener.prepare("acme", "incoming")
    assert caught.value.code != "sign_in_required"
    [row] = await room.signins.list()
    assert row["state"] == "signed in"
    assert row["note"]
    await room.connections.restart("acme")
    assert (await room.desk.opener.prepare("acme", "incoming")).access is not None


async def test_a_kept_token_is_given_with_one_audit_row_and_no_request(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await _signed_in(room, ground, fresh_user)
    side = (await room.desk.opener.prepare("acme", "incoming")).side
    assert side.grant is not None
    use = Use("bearer+" + side.line, "local:test", "a test")
    before = len(await room.desk.db.read(lambda tx: tx.all("SELECT 1 FROM audit")))
    access = await room.desk.tokens.access(side.grant, use)
    after = await room.desk.db.read(lambda tx: tx.all("SELECT * FROM audit ORDER BY position"))
    assert len(after) == before + 1
    assert (after[-1]["noun"], after[-1]["action"]) == ("sign-in", "open")
    assert access.identity == fresh_user.address
    assert "token:refresh_token" not in ground.oauth.counts(client)


def _asking(room: Room, go: Path, times: int) -> Child:
    """A process that asks for so many tokens at once when ``go`` is there."""
    settings = room.settings
    return Child("-c", _WANTS, str(settings.room), str(settings.kek), str(go), str(times))


async def test_a_test_by_hand_waits_for_no_pause(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """After a failure nobody hammers the server, but a person who mended it sees at once."""
    client = await _signed_in(room, ground, fresh_user, ttl=1)
    await expire(room)
    ground.oauth.fault("token:refresh_token", client=client, status=503, headers={}, body="")
    with pytest.raises(PostroomError):
        await room.desk.opener.prepare("acme", "incoming")
    before = ground.oauth.counts(client)["token:refresh_token"]
    with pytest.raises(PostroomError, match="asked again in"):
        await room.desk.opener.prepare("acme", "incoming")
    prepared = await room.desk.opener.prepare("acme", "incoming", anew=True)
    assert prepared.access is not None
    again = await room.desk.opener.prepare("acme", "incoming", anew=True)
    assert again.access is not None
    assert again.access.version == prepared.access.version + 1
    assert ground.oauth.counts(client)["token:refresh_token"] == before + 2
