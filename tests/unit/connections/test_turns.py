"""Turns at the door of a server: how many are opened at once, and who is in whose way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from postroom.connections.open import Opener
from postroom.connections.turns import OPENING, SPARE, Waiting, patiently
from postroom.errors import WireError
from postroom.protocols.base import Limits
from postroom.sources.deadline import Deadline
from tests.unit.connections.rooms import ACTOR, SmallRoom

LINE = OPENING - SPARE


class Mute:
    """A server that takes connections and says nothing until it is told to greet."""

    def __init__(self) -> None:
        self.port = 0
        self.came = 0
        self.greeting = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        with contextlib.suppress(ConnectionError):
            await self.greeting.wait()
            writer.write(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
            while line := await reader.readline():
                writer.write(line.split()[0] + b" OK done\r\n")
        writer.close()

    async def has_seen(self, count: int) -> bool:
        """Whether so many came, and not one more."""
        async with asyncio.timeout(10):
            while self.came < count:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        return self.came == count


@asynccontextmanager
async def mute(room: SmallRoom, name: str) -> AsyncIterator[Mute]:
    """Such a server, and a connection to it."""
    there = Mute()
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0, backlog=100)
    there.port = server.sockets[0].getsockname()[1]
    side = {"protocol": "imap", "host": "127.0.0.1", "port": str(there.port), "security": "none"}
    await room.connect(name, incoming=side)
    async with server:
        try:
            yield there
        finally:
            there.greeting.set()


@asynccontextmanager
async def opening(
    opener: Opener, name: str, count: int, patient: Waiting | None = patiently
) -> AsyncIterator[list[asyncio.Task[object]]]:
    """So many that open one connection beside each other."""
    tasks = [
        asyncio.create_task(_open(opener, name, patient), name=f"opens {name}")
        for _ in range(count)
    ]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _open(opener: Opener, name: str, patient: Waiting | None) -> object:
    store = await opener.open_store(name, patient=patient)
    store.abandon()
    return store


async def test_a_long_line_leaves_a_turn_to_whoever_sits_and_waits(room: SmallRoom) -> None:
    """And however many those are, the server never sees more than it is meant to."""
    async with mute(room, "acme") as there, opening(room.opener, "acme", 40):
        assert await there.has_seen(LINE)
        async with opening(room.opener, "acme", 1, None):
            assert await there.has_seen(LINE + 1)
        async with opening(room.opener, "acme", 40, None):
            assert await there.has_seen(OPENING + 1), "the one that left made room"


async def test_what_is_open_counts_no_more(room: SmallRoom) -> None:
    """The next has its turn as soon as one is signed in, has failed or was cancelled."""
    async with mute(room, "acme") as there, opening(room.opener, "acme", 40) as tasks:
        assert await there.has_seen(LINE)
        tasks[0].cancel()
        assert await there.has_seen(LINE + 1)
        there.greeting.set()
        done, _ = await asyncio.wait(tasks, timeout=20)
        assert sum(not task.cancelled() and task.exception() is None for task in done) == 39


async def test_a_server_that_does_not_answer_is_in_nobody_elses_way(room: SmallRoom) -> None:
    """Not even in that of another server of the same host."""
    async with mute(room, "acme") as dead, mute(room, "other") as living:
        living.greeting.set()
        async with opening(room.opener, "acme", 40):
            assert await dead.has_seen(LINE)
            async with asyncio.timeout(10), opening(room.opener, "other", 40) as tasks:
                assert len(await asyncio.gather(*tasks)) == 40


async def test_the_wait_for_a_turn_is_not_the_servers_silence(room: SmallRoom) -> None:
    """A poll whose time-out is shorter than its wait goes on; it ends when the server is silent."""
    limits = Limits(connect_timeout=30, reply_timeout=30)
    opener = Opener(room.db, room.credentials, room.tokens, actor=ACTOR, environ={}, limits=limits)
    waited: list[str] = []

    async with mute(room, "acme") as there, opening(opener, "acme", LINE) as first:
        assert await there.has_seen(LINE)

        async def poll() -> None:
            async with Deadline(0.3) as deadline:

                @contextlib.contextmanager
                def waiting() -> Iterator[None]:
                    with deadline.paused():
                        yield
                    waited.append("had its turn")

                await _open(opener, "acme", waiting)

        polling = asyncio.create_task(poll())
        await asyncio.sleep(1.0)
        assert not polling.done(), "it was cut while it waited"
        assert waited == []
        first[0].cancel()
        with pytest.raises(WireError, match="no progress for 300ms"):
            await polling
        assert waited
