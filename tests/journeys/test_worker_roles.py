"""``worker_roles`` of connections, services and sources: who may work for what."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from postroom.app import Room
from postroom.db import Seat
from postroom.settings import Settings
from tests.child import Child
from tests.ground import Ground, User
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter, soon
from tests.journeys.outgoing import Outgoing, message_ids

PATIENCE = 20.0
BATCH = {"worker_roles": ["night", "batch"]}


class Post(NamedTuple):
    """One user's mailbox behind two connections, and somebody who receives.

    ``acme`` is for everybody; ``asked`` is what a test puts its roles on, with a source and a
    service of the same name.
    """

    room: Room
    mailbox: Incoming
    out: Outgoing

    async def define(self, where: str, name: str, **fields: Any) -> None:
        """A source and a service of that name, each with its own sink."""
        sink = {"type": "directory", "path": str(self.mailbox.sink / name)}
        of = {noun: fields if where == noun else {} for noun in ("source", "service")}
        await self.room.sources.add(
            {"name": name, "connection": name, "sink": sink, **of["source"]}
        )
        await self.room.services.add({"name": name, "connection": name, **of["service"]})

    async def store(self, via: str) -> str:
        """Send and forget."""
        return await self.room.email.store(f"service:{via}", self.out.draft(subject=via))

    def collected(self, name: str) -> int:
        """How many messages lie in a sink."""
        return len(self.mailbox.files(self.mailbox.sink / name))

    def source(self, name: str) -> Any:
        """A source's row."""
        return self.room.desk.db.read_now(
            lambda tx: tx.one("SELECT * FROM sources WHERE name_key = :n", n=name)
        )


@pytest.fixture
async def post(room: Room, ground: Ground, tmp_path: Path) -> Post:
    user: User = ground.user()
    await connect(room, ground, user)
    mailbox = Incoming(room, ground, user, tmp_path / "sink")
    mailbox.fill(letter("one"), letter("two"))
    return Post(room, mailbox, Outgoing(room, ground, user, ground.user()))


def worker(settings: Settings, *roles: str) -> Child:
    """``postroom worker --role ...`` in a process of its own."""
    words = [word for role in roles for word in ("--role", role)]
    where = ("--room", str(settings.room), "--kek", str(settings.kek))
    return Child("-m", "postroom", "worker", *words, *where)


@pytest.mark.parametrize(
    ("where", "roles"),
    [("connection", ()), ("connection", ("day",)), ("parent", ("day",)), ("source", ("day",)),
     ("service", ())],
)  # fmt: skip
async def test_only_a_worker_with_the_role_takes_the_work(
    post: Post, settings: Settings, where: str, roles: tuple[str, ...]
) -> None:
    """Without it source and outbox row stay as they are; what asks for nothing goes on beside."""
    await post.room.connections.add(
        {"name": "asked", "extends": "acme", **(BATCH if where == "connection" else {})}
    )
    if where == "parent":
        # what a connection says of roles is inherited, and an empty list lifts it
        await post.room.connections.set("acme", BATCH)
        await post.room.connections.add({"name": "free", "extends": "acme", "worker_roles": []})
    else:
        await post.room.connections.add({"name": "free", "extends": "acme"})
    await post.define("", "free")
    await post.define(where, "asked", **BATCH)
    collects, sends = where == "service", where == "source"  # of what asks for a role elsewhere

    item = await post.store("asked")
    await post.store("free")
    with worker(settings, *roles) as child:
        await soon(lambda: post.out.states().get("sent", 0) == 1 + sends, seconds=PATIENCE)
        await soon(lambda: post.mailbox.counts("free") == {"done": 2}, seconds=PATIENCE)
        if collects:
            await soon(lambda: post.mailbox.counts("asked") == {"done": 2}, seconds=PATIENCE)
            await soon(lambda: post.source("asked")["successes"] > 0, seconds=PATIENCE)
        child.stop()
    found = await post.out.show(item)
    assert (found.state, found.attempts) == (("sent", 1) if sends else ("queued", 0))
    assert post.mailbox.counts("asked") == ({"done": 2} if collects else {})
    assert (post.source("asked")["successes"] > 0) == collects
    assert post.collected("asked") == (2 if collects else 0)

    with worker(settings, "day", "batch"):
        await soon(lambda: set(post.out.states()) == {"sent"}, seconds=PATIENCE)
        await soon(lambda: post.mailbox.counts("asked") == {"done": 2}, seconds=PATIENCE)
    assert post.collected("asked") == 2
    await soon(lambda: len(message_ids(post.out.other)) == 2, seconds=PATIENCE)


async def test_only_workers_count_as_workers(post: Post) -> None:
    """Whoever sends or collects once has a seat too: it takes nobody's share and serves nobody."""
    for number in range(4):
        name = f"free{number}"
        await post.room.connections.add({"name": name, "extends": "acme"})
        await post.define("", name)
    async with Seat(post.room.desk.db), Seat(post.room.desk.db):
        (await post.room.desk.seat()).work(())
        found = await post.room.sources.list()
        assert [one.note for one in found] == [""] * 4, "a worker is there and will take them"
        assert len(await post.room.collecting.take((), 10)) == 4


async def test_a_process_that_collects_once_is_no_worker(post: Post) -> None:
    """What is due says so while nothing but such a process runs."""
    await post.room.connections.add({"name": "free", "extends": "acme"})
    await post.define("", "free")
    await post.room.desk.seat()
    [found] = await post.room.sources.list()
    assert found.note.startswith("No worker runs")
