"""The dispatcher when our own side breaks: no row stays in the hands of a process that gave it up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from postroom.db import Database
from postroom.errors import PostroomError, RoomError, WireError
from postroom.protocols.base import Outcome, Recipient, Submission
from postroom.services import outbox
from postroom.services import service as services
from postroom.services.dispatcher import Dispatcher
from tests.unit.services.desk import Desk, parcel, reply, service_of


class Broken:
    """A transport that answers the first, begins the second and then breaks in our own code."""

    max_size = 0

    async def submit(self, submissions: Sequence[Submission]) -> AsyncIterator[Outcome]:
        first, second = submissions[:2]
        for each in (first, second):
            assert each.before_data is not None
            await each.before_data()
        yield Outcome(first.id, "answered", [Recipient("a@x.example", reply(250))])
        raise LookupError("a mistake of ours")

    async def check(self) -> None:
        return

    async def close(self) -> None:
        return

    def abandon(self) -> None:
        return


class Endless(Broken):
    """A transport that needs a moment for each message, and asks before each."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []

    async def submit(self, submissions: Sequence[Submission]) -> AsyncIterator[Outcome]:
        for each in submissions:
            assert each.before_data is not None
            try:
                await each.before_data()
            except PostroomError as error:
                yield Outcome(each.id, "untouched", [], error)
                continue
            self.begun.append(each.id)
            await asyncio.sleep(0.02)
            self.ended.append(each.id)
            yield Outcome(each.id, "answered", [Recipient("a@x.example", reply(250))])


def dispatcher(db: Database, transport: Broken) -> Dispatcher:
    async def open_transport(name: str) -> Broken:
        return transport

    return Dispatcher(db, owner="me", open_transport=open_transport)


async def test_a_mistake_of_ours_leaves_no_row_behind(desk: Desk, db: Database) -> None:
    """What was known is settled, what may be on the wire is in doubt, the rest is free at once."""
    items = [await desk.add("a@x.example") for _ in range(4)]
    with pytest.raises(LookupError):
        await dispatcher(db, Broken()).drain()
    found = [await desk.show(item) for item in items]
    by_state = sorted(one.state for one in found)
    assert by_state == ["ambiguous", "queued", "queued", "sent"]
    assert len(await desk.claim("me")) == 2, "and can be taken again by the same process"


@pytest.mark.parametrize("copying", [False, True])
async def test_a_mistake_in_one_lane_leaves_no_other_running(
    desk: Desk, db: Database, copying: bool
) -> None:
    """It is raised once the others have ended: nobody goes on sending behind the caller's back."""
    other = service_of(name="other-out", connection="other", sent_copy="append")
    await db.write(lambda tx: services.add(tx, other))
    ended = asyncio.Event()

    async def opening(name: str) -> Broken:
        if name == "acme":
            raise LookupError("a mistake of ours")
        await asyncio.sleep(0.2)
        ended.set()
        raise WireError("Nobody listens there.", code="connect_refused", temporary=True)

    @contextlib.asynccontextmanager
    async def sent(name: str) -> AsyncIterator[Callable[[str, bytes], Awaitable[None]]]:
        await opening(name)
        yield lambda message_id, content: asyncio.sleep(0)

    sending = Dispatcher(
        db, owner="me", open_transport=opening, open_sent=sent, copies=lambda tx, service: True
    )
    for one in (desk.service, other):
        item = await db.write(lambda tx: outbox.add(tx, one, parcel(), actor="test"))  # noqa: B023
        if copying:
            await db.write(
                lambda tx: tx.execute(
                    "INSERT INTO sent_copies (id, service, state, said, attempts, created_at, due_at, "
                    "epoch) VALUES (:id, :service, 'waiting', '', 0, 0, 0, 0)",
                    id=item,  # noqa: B023
                    service=one.name,  # noqa: B023
                )
            )
    with pytest.raises(LookupError):
        await (sending.copy() if copying else sending.drain())
    assert ended.is_set()
    table = "sent_copies" if copying else "outbox"
    owned = f"SELECT count(*) FROM {table} WHERE owner IS NOT NULL AND service = 'other-out'"
    assert db.read_now(lambda tx: tx.value(owned)) == 0


async def test_a_room_that_fails_while_doubts_are_looked_at_is_an_error_not_an_end(
    desk: Desk, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beside it is sent all the same, and the error is in the result."""
    item = await desk.add("a@x.example")
    [one] = await desk.claim()
    await desk.submitting(one)
    lost = WireError("The connection was lost.", code="connection_lost", temporary=True)
    assert await desk.settle(one, Outcome(one.id, "ambiguous", [], lost)) == "ambiguous"
    await db.write(
        lambda tx: tx.execute(
            "UPDATE outbox SET finished_at = NULL, due_at = 0 WHERE id = :id", id=item
        )
    )
    full = RoomError("The disk that holds the room is full.", code="room_full", temporary=True)

    async def failing(*given: Any, **named: Any) -> int:
        raise full

    monkeypatch.setattr("postroom.services.dispatcher.resolve", failing)
    later = await desk.add("a@x.example")
    server = Lines(db, 9)
    done = await Dispatcher(db, owner="me", open_transport=server.connect).drain()
    assert (done.sent, done.error) == (1, full)
    assert (await desk.show(later)).state == "sent"


async def test_a_cancelled_drain_ends_between_two_messages(desk: Desk, db: Database) -> None:
    """What is on the wire is finished and settled, the rest is queued as if never touched."""
    items = [await desk.add("a@x.example") for _ in range(20)]
    transport = Endless()
    draining = asyncio.create_task(dispatcher(db, transport).drain())
    while len(transport.begun) < 3:
        await asyncio.sleep(0.005)
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert transport.begun == transport.ended
    found = [await desk.show(item) for item in items]
    sent = [one.id for one in found if one.state == "sent"]
    assert sorted(sent) == sorted(transport.ended)
    assert {(one.state, one.attempts) for one in found} == {("sent", 1), ("queued", 0)}
    assert len(await desk.claim("me")) == 20 - len(sent)


class Lines:
    """A server that takes so many connections at a time, and what was seen of it."""

    def __init__(self, db: Database, room: int) -> None:
        self.db = db
        self.room = room
        self.open = 0
        self.most_open = 0
        self.refused = 0
        self.taken: list[str] = []
        self.most_in_doubt = 0

    async def connect(self, name: str) -> Line:
        if self.open >= self.room:
            self.refused += 1
            raise WireError("Too many connections.", code="deferred", temporary=True)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        return Line(self)

    def look(self) -> None:
        """How many would be in doubt if this process were killed now."""
        count = "SELECT count(*) FROM outbox WHERE state = 'submitting'"
        self.most_in_doubt = max(self.most_in_doubt, self.db.read_now(lambda tx: tx.value(count)))


class Line(Broken):
    """One of these connections."""

    def __init__(self, server: Lines) -> None:
        self.server = server

    async def submit(self, submissions: Sequence[Submission]) -> AsyncIterator[Outcome]:
        for each in submissions:
            assert each.before_data is not None
            await each.before_data()
            await asyncio.sleep(0.001)
            self.server.taken.append(each.id)
            self.server.look()
            yield Outcome(each.id, "answered", [Recipient("a@x.example", reply(250))])

    async def close(self) -> None:
        self.server.open -= 1


async def _backlog(desk: Desk, db: Database, rows: int, room: int) -> tuple[Lines, list[str]]:
    desk.service = desk.service.model_copy(update={"queue_size": rows})
    items = await asyncio.gather(*(desk.add("a@x.example") for _ in range(rows)))
    server = Lines(db, room)
    done = await Dispatcher(db, owner="me", open_transport=server.connect).drain()
    assert done.sent == rows
    assert sorted(server.taken) == sorted(items)
    return server, items


async def test_a_backlog_goes_over_two_connections_and_each_message_once(
    desk: Desk, db: Database
) -> None:
    server, _ = await _backlog(desk, db, 450, 9)
    assert server.most_open == 2
    assert server.open == 0
    assert server.most_in_doubt <= 28, "as many as one connection may leave in doubt"


async def test_a_few_messages_go_over_one_connection(desk: Desk, db: Database) -> None:
    server, _ = await _backlog(desk, db, 150, 9)
    assert server.most_open == 1


async def test_a_server_with_room_for_one_connection_is_left_with_one(
    desk: Desk, db: Database
) -> None:
    """What the second would have sent counts no attempt and is sent by the first."""
    server, items = await _backlog(desk, db, 450, 1)
    assert (server.most_open, server.refused) == (1, 1)
    assert {(await desk.show(item)).attempts for item in items} == {1}


class Opened(Broken):
    """A transport that knows whether it was abandoned."""

    abandoned = False

    def abandon(self) -> None:
        self.abandoned = True


@pytest.mark.parametrize("turns", range(6))
async def test_what_is_opened_at_the_instant_of_a_cancellation_is_abandoned(
    db: Database, turns: int
) -> None:
    """Whenever it comes: a connection is used, never made, or ended."""
    gate, made = asyncio.Event(), list[Opened]()

    async def open_transport(name: str) -> Opened:
        await gate.wait()
        made.append(Opened())
        return made[0]

    sending = Dispatcher(db, owner="me", open_transport=open_transport)
    line = asyncio.create_task(sending._line("acme"))
    await asyncio.sleep(0.01)
    gate.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    line.cancel()
    await asyncio.wait([line])
    await asyncio.sleep(0.01)
    assert not made or not line.cancelled() or made[0].abandoned


async def test_a_mistake_that_nobody_awaits_is_logged(
    desk: Desk, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The drain was cancelled; what broke meanwhile is not lost with it."""
    begun = asyncio.Event()

    class Breaks(Broken):
        async def submit(self, submissions: Sequence[Submission]) -> AsyncIterator[Outcome]:
            begun.set()
            await asyncio.sleep(0.05)
            raise LookupError("a mistake of ours")
            yield

    await desk.add("a@x.example")
    draining = asyncio.create_task(dispatcher(db, Breaks()).drain())
    await begun.wait()
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    [record] = [one for one in caplog.records if one.exc_info]
    assert "a mistake of ours" in str(record.exc_info)


@pytest.mark.parametrize("refused", [False, True])
async def test_what_waits_for_a_connection_keeps_the_others_free(
    desk: Desk, db: Database, refused: bool
) -> None:
    """One message waits for a turn at the server; another worker may take the rest meanwhile.  All
    hear of it when there is no connection, and all go over it when there is."""
    items = [await desk.add("a@x.example") for _ in range(20)]
    gate, server = asyncio.Event(), Lines(db, 0 if refused else 1)

    async def open_transport(name: str) -> Line:
        await gate.wait()
        return await server.connect(name)

    draining = asyncio.create_task(
        Dispatcher(db, owner="me", open_transport=open_transport).drain()
    )
    mine = "SELECT count(*) FROM outbox WHERE owner = 'me'"
    async with asyncio.timeout(20):
        while db.read_now(lambda tx: tx.value(mine)) == 0:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert db.read_now(lambda tx: tx.value(mine)) == 1
    gate.set()
    done = await draining
    assert (done.sent, done.deferred) == ((0, 20) if refused else (20, 0))
    assert server.taken == ([] if refused else items), "in their order"
    found = [await desk.show(item) for item in items]
    assert {(one.state, one.attempts) for one in found} == {("deferred" if refused else "sent", 1)}
