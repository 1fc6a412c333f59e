"""How long the outbox keeps what is finished: content and keys 7 days, rows 90; a worker sees to it."""

from __future__ import annotations

import pytest

from postroom.app import Room
from postroom.errors import NotThere
from postroom.services import retention
from postroom.settings import Settings
from tests.child import Child
from tests.ground import Ground
from tests.journeys.conftest import connect
from tests.journeys.incoming import soon
from tests.journeys.outgoing import NAME, Outgoing

DAY = 86400.0


@pytest.fixture
async def post(room: Room, ground: Ground) -> Outgoing:
    user = ground.user()
    await connect(room, ground, user)
    return Outgoing(room, ground, user, ground.user())


async def finished(post: Outgoing, days: float, key: str) -> str:
    """A message that was sent, with a key, so many days ago."""
    item = await post.room.email.store(NAME, post.draft(subject=key), idempotency_key=key)
    assert (await post.drain()).sent == 1
    await post.room.email.copy()
    await post.room.desk.db.write(
        lambda tx: tx.execute(
            "UPDATE outbox SET finished_at = finished_at - :age WHERE id = :id",
            age=days * DAY,
            id=item,
        )
    )
    return item


async def content(post: Outgoing, item: str) -> bytes:
    try:
        return await post.room.outbox.content(item)
    except NotThere:
        return b""


async def test_it_goes_on_until_nothing_is_over_its_time(
    post: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In small steps, and all of it in one hour."""
    monkeypatch.setattr(retention, "PURGE_ROWS", 1)
    await post.service()
    items = [await finished(post, 90.1, f"{number}") for number in range(3)]
    await post.room.email.purge()
    for item in items:
        with pytest.raises(NotThere):
            await post.show(item)


async def test_a_worker_removes_what_is_over_its_time(post: Outgoing, settings: Settings) -> None:
    """Nobody asks: content and key go after a week, the row with all its parts after three months."""
    await post.service()
    new, week, quarter = [await finished(post, days, f"{days}") for days in (6.9, 7.1, 90.1)]
    waiting = await post.store()
    await post.room.outbox.hold(waiting)
    arguments = ("--room", str(settings.room), "--kek", str(settings.kek), "worker")

    def rows() -> int:
        return int(post.room.desk.db.read_now(lambda tx: tx.value("SELECT count(*) FROM outbox")))

    with Child("-m", "postroom", *arguments):
        await soon(lambda: rows() == 3, seconds=10.0)
    with pytest.raises(NotThere):
        await post.show(quarter)
    assert await content(post, week) == b""
    assert (await post.show(week)).state == "sent"
    assert await content(post, new) != b""
    assert await content(post, waiting) != b"", "what waits is kept, however old"
    again = post.draft(subject="other")
    assert await post.room.email.store(NAME, again, idempotency_key="7.1") != week
    same = post.draft(subject="6.9")
    assert await post.room.email.store(NAME, same, idempotency_key="6.9") == new
