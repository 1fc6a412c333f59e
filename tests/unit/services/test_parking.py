"""A refused sign-in: asked once in a quarter of an hour, whatever waits and whatever comes meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from postroom.clock import timestamp
from postroom.db import Database
from postroom.errors import PostroomError, SignInError, WireError
from postroom.services.copies import make_copies
from postroom.services.dispatcher import Dispatcher
from postroom.services.held import hurry
from tests.unit.services.desk import Desk
from tests.unit.services.test_dispatcher import Line, Lines

REFUSED = SignInError("The server refused the password.")
BUSY = SignInError("Too many sign-ins.", temporary=True)
DOWN = WireError("Nobody listens there.", code="connect_refused", temporary=True)


class Server:
    """Counts who knocks; lets in while ``error`` is None."""

    def __init__(self, db: Database, error: PostroomError | None = REFUSED) -> None:
        self.error = error
        self.knocks = 0
        self.copied: list[str] = []
        self._lines = Lines(db, 9)

    async def connect(self, name: str) -> Line:
        self.knocks += 1
        if self.error is not None:
            raise self.error
        return await self._lines.connect(name)

    @contextlib.asynccontextmanager
    async def sent(self, name: str) -> AsyncIterator[Callable[[str, bytes], Awaitable[None]]]:
        self.knocks += 1
        if self.error is not None:
            raise self.error

        async def put(message_id: str, content: bytes) -> None:
            self.copied.append(message_id)

        yield put


def waits(db: Database, table: str) -> list[float]:
    """In how many seconds each row is due."""
    rows = db.read_now(lambda tx: tx.all(f"SELECT due_at FROM {table} ORDER BY due_at"))
    return [row["due_at"] - timestamp() for row in rows]


async def test_many_messages_are_refused_by_one_sign_in(desk: Desk, db: Database) -> None:
    """Every try counts towards a lock of the account: those that nobody has claimed wait too."""
    for _ in range(250):
        await desk.add()
    server = Server(db)
    sending = Dispatcher(db, owner="me", open_transport=server.connect)
    for _ in range(10):
        await sending.drain()
    assert server.knocks == 1
    assert min(waits(db, "outbox")) > 800


async def test_what_is_stored_meanwhile_waits_as_well(desk: Desk, db: Database) -> None:
    """Whichever process sends it; it says why, and counts no attempt.  An edit lets all go."""
    first = await desk.add()
    server = Server(db)
    await Dispatcher(db, owner="me", open_transport=server.connect).drain()
    later = await desk.add()
    done = await Dispatcher(db, owner="me", open_transport=server.connect).drain()
    assert server.knocks == 1
    assert isinstance(done.error, SignInError)
    found = await desk.show(later)
    assert (found.state, found.attempts) == ("queued", 0)
    assert "refused a moment ago" in found.reason
    assert found.due_at - timestamp() > 800
    server.error = None
    assert await db.write(lambda tx: hurry(tx, "Orders-Out")) == 2
    done = await Dispatcher(db, owner="me", open_transport=server.connect).drain()
    assert (done.sent, done.error) == (2, None)
    assert [(await desk.show(one)).state for one in (first, later)] == ["sent", "sent"]


@pytest.mark.parametrize("error", [BUSY, DOWN], ids=["busy", "down"])
async def test_what_may_pass_by_itself_parks_nothing(
    desk: Desk, db: Database, error: PostroomError
) -> None:
    await desk.add()
    server = Server(db, error)
    sending = Dispatcher(db, owner="me", open_transport=server.connect)
    await sending.drain()
    server.error = None
    later = await desk.add()
    await sending.drain()
    assert server.knocks == 2
    assert (await desk.show(later)).state == "sent"


async def copies_of(desk: Desk, db: Database, count: int) -> None:
    """So many copies that wait to be made."""
    for _ in range(count):
        item = await desk.add()
        await db.write(
            lambda tx: tx.execute(
                "INSERT INTO sent_copies (id, service, state, said, attempts, created_at, due_at, "
                "epoch) VALUES (:id, 'orders-out', 'waiting', '', 0, :now, :now, 0)",
                id=item,  # noqa: B023
                now=timestamp(),
            )
        )


@pytest.mark.parametrize(("error", "wait"), [(REFUSED, 800.0), (DOWN, -60.0)], ids=["no", "down"])
async def test_many_copies_knock_once(
    desk: Desk, db: Database, error: PostroomError, wait: float
) -> None:
    """One call opens the Sent folder once; after a refused sign-in nothing is asked for a while."""
    desk.service = desk.service.model_copy(update={"sent_copy": "append"})
    await copies_of(desk, db, 70)
    server = Server(db, error)

    async def copy() -> PostroomError | None:
        return await make_copies(
            db, "acme", {"orders-out": desk.service},
            owner="me", item="", open_sent=server.sent,
        )  # fmt: skip

    assert await copy() is error
    assert server.knocks == 1
    assert min(waits(db, "sent_copies")) > wait
    if error is DOWN:
        return
    await copies_of(desk, db, 1)
    assert await copy() is None
    assert server.knocks == 1
    server.error = None
    await db.write(lambda tx: hurry(tx, "orders-out"))
    assert await copy() is None
    assert len(server.copied) == 71
