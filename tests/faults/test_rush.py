"""Very much is due in the moment in which a worker begins."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room, open_room
from postroom.connections.turns import OPENING
from postroom.mail import Draft
from postroom.secret import Secret
from tests.faults.children import Victim
from tests.faults.dose import dose, minutes
from tests.faults.gatekeeper import Gatekeeper, Postkeeper
from tests.faults.sharing import multiply
from tests.faults.stage import Stage
from tests.journeys.incoming import soon

pytestmark = pytest.mark.timeout(minutes(4, 20, 30))

COUNT = dose(300, 2000, 10_000)
MANY = dose(3_000, 10_000, 50_000)
GROWTH = dose(8, 16, 32) << 20
"""Bytes that a worker may need more for a backlog, however long, than for its beginning."""


async def test_sources_that_are_all_due_are_begun_at_a_pace(stage: Stage, tmp_path: Path) -> None:
    """F23: each is collected once, and no more connections are being opened at any time than one
    server is meant to see."""
    async with Gatekeeper() as door:
        room = await open_room(stage.settings, make=True)
        await _connect(room, incoming={"protocol": "imap", "port": str(door.port)})
        await room.sources.add(
            {
                "name": "one",
                "connection": "acme",
                "schedule": {"every": "1h"},
                "sink": {"type": "directory", "path": str(tmp_path / "sink")},
            }
        )
        await room.close()
        multiply(stage, "sources", COUNT, due=True)
        with _worker(stage) as worker, contextlib.closing(stage.sql()) as sql:
            done = "SELECT count(*) FROM sources WHERE successes > 0"
            seconds = 60 + COUNT / 5
            await soon(lambda: sql.execute(done).fetchone()[0] == COUNT, seconds=seconds)
            again = "SELECT count(*) FROM sources WHERE successes > 1"
            assert sql.execute(again).fetchone()[0] == 0, "somebody was asked twice"
            assert worker.status is None
    assert door.signed_in == COUNT
    assert 1 < door.most <= OPENING


async def test_messages_of_very_many_services_are_sent_at_a_pace(stage: Stage) -> None:
    """F23: each service has a connection of its own and a message that is due: each message is sent
    once, and no more connections are being opened at any time than one server is meant to see."""
    async with Postkeeper() as door:
        room = await open_room(stage.settings, make=True)
        await _connect(room, outgoing={"protocol": "smtp", "port": str(door.port)})
        await room.services.add({"name": "one", "connection": "acme", "from": FROM})
        await room.close()
        multiply(stage, "connections", COUNT)
        multiply(stage, "services", COUNT, connection="s{}")
        names = [f"s{number}" for number in range(COUNT)]
        await _store(stage, ((name, f"{name}@there.example") for name in names))
        with _worker(stage) as worker:
            await _all_sent(stage)
            assert worker.status is None
    assert door.came == {f"{name}@there.example": 1 for name in names}
    assert 1 < door.most <= OPENING


async def test_a_very_long_backlog_needs_no_more_of_anything(stage: Stage) -> None:
    """F23: very many messages of one service that are due go over two connections, each once, and
    the worker needs no more memory for the last than for the first."""
    async with Postkeeper() as door:
        room = await open_room(stage.settings, make=True)
        await _connect(room, outgoing={"protocol": "smtp", "port": str(door.port)})
        await room.services.add(
            {"name": "one", "connection": "acme", "from": FROM, "queue_size": MANY}
        )
        await room.close()
        few = await _memory_for(stage, door, "few", 300)
        assert await _memory_for(stage, door, "many", MANY) - few < GROWTH
    assert door.most_open <= 2


FROM = "ada@here.example"


async def _connect(room: Room, **sides: dict[str, Any]) -> None:
    await room.credentials.create(
        "login", "password", details={"user_name": "ada", "password": Secret("secret of ada")}
    )
    there = {
        "host": "127.0.0.1",
        "security": "none",
        "auth": {"type": "secret", "credential": "login"},
    }
    await room.connections.add(
        {"name": "acme", "allowed_senders": [FROM]}
        | {place: there | side for place, side in sides.items()}
    )


async def _store(stage: Stage, letters: Iterable[tuple[str, str]]) -> None:
    """Put a message of some kilobytes into the outbox for each service and address."""
    room = await open_room(stage.settings)
    text = "All of this was ordered.\n" * 150
    waiting: set[asyncio.Task[str]] = set()
    for service, to in letters:
        draft = Draft(from_=None, to=to, subject="Order", text=text)
        waiting.add(asyncio.create_task(room.email.store(f"service:{service}", draft)))
        if len(waiting) == 500:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    await room.close()


async def _all_sent(stage: Stage) -> None:
    with contextlib.closing(stage.sql()) as sql:
        left = "SELECT count(*) FROM outbox WHERE state <> 'sent'"
        count = sql.execute(left).fetchone()[0]
        await soon(lambda: sql.execute(left).fetchone()[0] == 0, seconds=60 + count / 5)


async def _memory_for(stage: Stage, door: Postkeeper, name: str, count: int) -> int:
    """Let a worker send so many messages of the service; gives the most memory that it needed."""
    to = [f"{name}{number}@there.example" for number in range(count)]
    await _store(stage, (("one", address) for address in to))
    door.came.clear()
    with _worker(stage) as worker:
        await _all_sent(stage)
        assert worker.status is None
        assert door.came == dict.fromkeys(to, 1)
        return _most_memory(worker.pid)


def _worker(stage: Stage) -> Victim:
    return Victim("postroom", "worker", "--room", stage.where[0], "--kek", stage.where[1])


def _most_memory(pid: int) -> int:
    """The most bytes of memory that a process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10
