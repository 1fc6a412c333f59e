"""What a source is doing, over real servers: signing in, waiting for a person, and how far it is behind."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.clock import timestamp
from postroom.errors import PostroomError
from postroom.sources.standing import Status
from tests.ground import Ground, User
from tests.ground.faults import Rule, Stall
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.incoming import NAME, Incoming, letter, soon
from tests.journeys.oauth import approving, register
from tests.journeys.oauth import connect as connect_by_oauth
from tests.journeys.ports import somebody


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    return Incoming(room, ground, user, tmp_path / "orders")


async def status(box: Incoming) -> Status:
    [found] = await box.room.sources.list()
    return found


@pytest.mark.parametrize("role", ["", "operator"])
async def test_a_sign_in_that_takes_its_time_is_seen(box: Incoming, role: str) -> None:
    """A server that thinks about a password, or asks somebody else: it is not the connection.  Also
    where whoever runs it is no administrator."""
    who = await somebody(box.room, role) if role else box.room
    slow = Rule("to_client", Stall(1.5), before=b"Logged in")
    async with FaultProxy(box.ground.dovecot.imap, rules=[slow]) as proxy:
        side = {"port": str(proxy.port), "security": "none", "trust": ""}
        await box.room.connections.set("acme", {"incoming": side}, rebind=True)
        await box.source()
        began = timestamp()
        asked = who.collecting.run(NAME) if role else who.collecting.watch(NAME)
        task: asyncio.Task[Any] = asyncio.create_task(asked)
        try:
            await soon(lambda: box.state() == "signing in")
            found = await status(box)
            assert found.owner is not None
            assert began <= found.since <= timestamp()
            await soon(lambda: box.state() == ("idle" if role else "listening"))
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_a_quick_sign_in_costs_no_more_than_before(box: Incoming) -> None:
    """Nobody could read a state of some milliseconds; ten thousand sources would write it."""
    seen: list[str] = []
    await box.source()
    task = asyncio.create_task(box.run())
    while not task.done():
        seen.append(box.state())
        await asyncio.sleep(0)
    await task
    assert "signing in" not in seen


async def test_a_source_that_waits_for_a_person_says_so_and_goes_on(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path
) -> None:
    """Since when, for what, and what to do; once they have signed in it collects by itself."""
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    await connect_by_oauth(room, ground, fresh_user, "oauth_device_flow")
    box = Incoming(room, ground, fresh_user, tmp_path / "orders")
    await box.source()
    task = asyncio.create_task(room.collecting.watch(NAME))
    try:
        await soon(lambda: box.state() == "waiting for sign-in")
        found = await status(box)
        assert "postroom connection signin acme" in found.note
        assert found.next_wake is not None
        before = found.since
        await room.desk.db.write(
            lambda tx: tx.execute("UPDATE sources SET state_since = state_since - 1000")
        )
        assert (await status(box)).lag > 999
        assert (await status(box)).since == before - 1000
        await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
        await soon(lambda: box.state() == "listening")
        box.fill(letter("one"))
        await soon(lambda: box.counts() == {"done": 1})
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_one_pass_that_waits_for_a_person_leaves_it_so(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path
) -> None:
    client = ground.oauth.client(public=True)
    await register(room, ground, client, client_secrets=None)
    await connect_by_oauth(room, ground, fresh_user, "oauth_device_flow")
    box = Incoming(room, ground, fresh_user, tmp_path / "orders")
    await box.source()
    with pytest.raises(PostroomError) as told:
        await box.run()
    assert told.value.code == "sign_in_required"
    assert box.state() == "waiting for sign-in"


async def test_how_far_a_source_is_behind(box: Incoming) -> None:
    """The oldest message that waits: of what is held or done nothing waits; of a failure all may."""
    box.fill(*(letter(f"m{n}") for n in range(3)))
    await box.source(throttle={"max": 1, "per": "hour"})
    await box.run()
    assert box.counts() == {"done": 1, "pending": 2}

    async def earlier(**columns: float) -> None:
        def body(tx: Any) -> None:
            for name, seconds in columns.items():
                table = "ledger" if name == "received_at" else "sources"
                tx.execute(f"UPDATE {table} SET {name} = {name} - {seconds}")

        await box.room.desk.db.write(body)

    await earlier(received_at=3000.0, created_at=2000.0)
    assert 2000.0 <= (await status(box)).lag < 2100.0
    await earlier(created_at=2000.0)
    assert 3000.0 <= (await status(box)).lag < 3100.0
    await box.room.desk.db.write(
        lambda tx: tx.execute("UPDATE ledger SET state = 'held' WHERE state = 'pending'")
    )
    assert (await status(box)).lag < 100.0
    shown = (await box.room.sources.show(NAME))["status"]
    assert isinstance(shown["lag"], float)
