"""A client secret is changed while mail is sent and a source is in IDLE: nobody notices."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from postroom.app import Room
from postroom.mail import Draft
from postroom.secret import Secret
from postroom.worker import Worker
from tests.ground import Ground, User, maildir
from tests.ground.users import service_account
from tests.journeys.incoming import letter
from tests.journeys.oauth import connect, register

ONE, TWO = "value-of-the-first-secret-0001", "value-of-the-second-secret-0002"
RATE = 200  # messages a second
BACKLOG = 500  # messages that wait, always
WRITERS = 8
LINES = 2  # that one service sends over, at most
TTL = 2  # seconds an access token lasts: each opening of the outgoing side soon wants a new one
LONGEST = 100.0


@pytest.mark.timeout(400)
async def test_a_secret_is_changed_under_load_without_an_error_or_a_reconnect(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Added, proven, the old one refused by the server: 200 sends a second are offered, and IDLE goes on."""
    client = ground.oauth.client(secrets=[ONE], mailbox=fresh_user.address, access_ttl=TTL)
    await register(room, ground, client)
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    await room.sources.add({
        "name": "orders-in", "connection": "acme",
        "sink": {"type": "directory", "path": str(tmp_path / "orders")},
    })  # fmt: skip
    # no copies: they would open the incoming side themselves
    # and room for what a busy machine is slower to send than we are to store
    service = {
        "name": "orders-out", "connection": "acme", "sent_copy": "none", "queue_size": 100_000,
    }  # fmt: skip
    await room.services.add({**service, "from": fresh_user.address})
    account = service_account()
    owner = (account.uid, account.gid)
    came = _counting(tmp_path / "orders")
    with caplog.at_level(logging.WARNING):
        async with _sending(room, fresh_user.address) as load:
            await _until(lambda: load.stored > BACKLOG)
            began = time.monotonic()
            async with _working(room):
                arrived = 0

                async def collected() -> None:
                    """One more message comes over the connection that is in IDLE."""
                    nonlocal arrived
                    arrived += 1
                    maildir.fill(fresh_user.maildir, [letter(f"order-{arrived}")], owner=owner)
                    await _until(lambda: came() == arrived)

                await collected()
                ground.oauth.change(client, secrets=[ONE, TWO])
                done = await room.client_secrets.add("app", Secret(TWO), "two")
                assert (done.proven, done.state) == (True, "current"), done
                changed = len(ground.oauth.seen(client))
                ground.oauth.change(client, secrets=[TWO])
                since, own = load.sent, 0
                # more than two tokens' lives on the new secret alone: the lines that send stay open,
                # and others open theirs
                while len(ground.oauth.seen(client)) < changed + 3:
                    transport = await room.desk.opener.open_transport("acme")
                    await transport.close()
                    own += 1
                    await asyncio.sleep(0.2)
                await _until(lambda: load.sent > since + RATE)
                await collected()
                await load.end()
                offered = load.stored / (time.monotonic() - load.began)
                await _until_sent(room, load.stored)
                sent = load.stored / (time.monotonic() - began)
                await collected()
    print(f"{load.stored} messages: {offered:.0f} a second offered, {sent:.0f} a second sent")
    assert load.stored > BACKLOG + RATE
    assert {one["status"] for one in ground.oauth.seen(client)} == {200}
    assert not caplog.records, caplog.text
    events = await room.connections.log("acme")
    assert {one["event"] for one in events} == {"signed in"}
    opened = [one["times"] for one in events if one["side"] == "incoming"]
    assert opened == [1]  # the source has one connection, from the beginning to the end
    outgoing = sum(one["times"] for one in events if one["side"] == "outgoing")
    assert 1 <= outgoing - own <= LINES, "a line that sends was opened anew"
    states = {one["label"]: one["state"] for one in await room.client_secrets.list("app")}
    assert states == {"two": "current", "one": "fallback"}


@contextlib.asynccontextmanager
async def _working(room: Room) -> AsyncIterator[None]:
    """A worker of this process; whatever ends it is raised."""
    task = asyncio.create_task(Worker(room).run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Load:
    """Stores messages: so many a second, and never fewer than a backlog that two lines share, since a
    line that finds nothing to send is closed.

    Several at once store, so that they share commits: one alone would wait for the disk each time.
    """

    def __init__(self, room: Room, sender: str) -> None:
        self._room, self._sender = room, sender
        self.stored = self.sent = 0
        self.began = time.monotonic()
        self._open = True
        self._tasks = [asyncio.create_task(self._store()) for _ in range(WRITERS)]
        self._tasks.append(asyncio.create_task(self._count()))

    async def end(self) -> None:
        """Store no more."""
        self._open = False
        await asyncio.gather(*self._tasks)

    async def _store(self) -> None:
        while self._open:
            early = self.began + self.stored / RATE - time.monotonic()
            if early > 0 and self.stored - self.sent > BACKLOG:
                await asyncio.sleep(min(early, 0.1))
                continue
            self.stored += 1
            draft = Draft(
                from_=self._sender, to="reader@example.com", subject="Order", text="A line."
            )
            await self._room.email.store("orders-out", draft)

    async def _count(self) -> None:
        while self._open:
            self.sent = (await _states(self._room)).get("sent", 0)
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def _sending(room: Room, sender: str) -> AsyncIterator[Load]:
    load = Load(room, sender)
    try:
        yield load
    finally:
        await load.end()


async def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def _until_sent(room: Room, total: int) -> None:
    """Every message that was stored is sent: none failed, none is in doubt, none waits."""
    deadline = time.monotonic() + LONGEST
    counts: dict[str, int] = {}
    while counts != {"sent": total}:
        assert time.monotonic() < deadline, counts
        await asyncio.sleep(0.1)
        counts = await _states(room)


async def _states(room: Room) -> dict[str, int]:
    """How many messages the outbox has of each state."""
    return await room.desk.db.read(
        lambda tx: {
            row["state"]: row["number"]
            for row in tx.all("SELECT state, count(*) AS number FROM outbox GROUP BY state")
        }
    )


def _counting(folder: Path) -> Callable[[], int]:
    return lambda: sum(1 for _ in folder.rglob("*.eml")) if folder.exists() else 0
