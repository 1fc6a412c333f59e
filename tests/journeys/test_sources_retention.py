"""Retention: a message is remembered while it is on the server and 400 days after, no longer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from postroom.app import Room
from postroom.worker import Worker
from tests.ground import Ground
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter, soon

DAY = 86400.0


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    return Incoming(room, ground, user, tmp_path / "orders")


async def days_pass(box: Incoming, days: float) -> None:
    """As if everything in the ledger had happened so many days earlier."""
    shift = {"by": days * DAY}
    await box.room.desk.db.write(
        lambda tx: (
            tx.execute("UPDATE ledger SET gone_at = gone_at - :by", **shift),
            tx.execute("UPDATE cursors SET swept_at = swept_at - :by", **shift),
        )
    )


def take_away(box: Incoming, subject: str) -> None:
    """Somebody else deletes a message from the folder."""
    for part in ("new", "cur"):
        for file in (box.user.maildir / part).iterdir():
            if f"Subject: {subject}\r\n".encode() in file.read_bytes():
                file.unlink()


async def test_what_is_on_the_server_is_never_forgotten(box: Incoming) -> None:
    """However old it is: else it would be collected again one day."""
    box.fill(letter("one"))
    await box.source()
    await box.run()
    await days_pass(box, 1000)
    await box.run()
    assert await box.room.collecting.forget() == 0
    assert box.counts() == {"done": 1}


async def test_what_others_take_away_is_forgotten_400_days_later(
    room: Room, ground: Ground, tmp_path: Path
) -> None:
    """Without QRESYNC the daily look notices it; only then its 400 days begin."""
    user = ground.user()
    await connect(room, ground, user, port=str(ground.dovecot.bare.imaps))
    box = Incoming(room, ground, user, tmp_path / "orders")
    box.fill(letter("stays"), letter("goes"))
    await box.source()
    await box.run()
    take_away(box, "goes")
    await box.run()
    await days_pass(box, 401)
    assert await box.room.collecting.forget() == 0, "nobody has noticed yet"
    await box.run()
    await days_pass(box, 399)
    assert await box.room.collecting.forget() == 0
    await days_pass(box, 2)
    assert await box.room.collecting.forget() == 1
    [left] = await box.room.ledger.list("orders-in")
    assert left.subject == "stays"
    assert (await box.run()).delivered == 0


async def gone(box: Incoming) -> list[str]:
    """The subjects of what is known to have left the folder."""
    rows = await box.room.desk.db.read(
        lambda tx: tx.all("SELECT subject FROM ledger WHERE gone_at IS NOT NULL ORDER BY subject")
    )
    return [row["subject"] for row in rows]


async def test_what_others_take_away_is_told_by_the_next_pass(box: Incoming) -> None:
    """QRESYNC (RFC 7162): the folder tells what has gone when it is opened, without a listing."""
    box.fill(letter("stays"), letter("goes"), letter("held"))
    await box.source(ignore={"subject": {"deny": ["nothing"]}})
    await box.run()
    take_away(box, "goes")
    assert await gone(box) == []
    await box.run()
    assert await gone(box) == ["goes"]
    await days_pass(box, 401)
    assert await box.room.collecting.forget() == 1
    assert (await box.run()).delivered == 0


@pytest.mark.parametrize("cursor", ["2/999999", "2"], ids=["it fell", "there was none"])
async def test_a_server_that_lost_count_is_asked_at_once(box: Incoming, cursor: str) -> None:
    """F12: HIGHESTMODSEQ reset, or a room that never kept one: what went meanwhile is noticed."""
    box.fill(letter("stays"), letter("goes"))
    await box.source()
    await box.run()
    take_away(box, "goes")
    await box.room.desk.db.write(
        lambda tx: tx.execute("UPDATE cursors SET cursor = :cursor", cursor=cursor)
    )
    await box.run()
    assert await gone(box) == ["goes"]
    take_away(box, "stays")
    await box.run()
    assert await gone(box) == ["goes", "stays"], "from then on it tells"


async def test_many_that_vanish_at_once_are_told_too(box: Incoming) -> None:
    """More than are looked up one by one: what is known is gone through instead."""
    box.fill(*(letter(f"goes-{number}") for number in range(700)), letter("stays"))
    await box.source()
    await box.run()
    for part in ("new", "cur"):
        for file in (box.user.maildir / part).iterdir():
            if b"Subject: goes" in file.read_bytes():
                file.unlink()
    await box.run()
    told = await gone(box)
    assert len(told) == 700
    assert "stays" not in told


async def test_moved_away_and_back_between_two_passes_it_is_known_again(box: Incoming) -> None:
    """It has another uid by then; that the old one vanished tells that it is no new message."""
    box.fill(letter("one"))
    await box.source()
    await box.run()
    async with box.store() as store:
        folder = await store.open("INBOX", read_only=False)
        there = await store.move([f"{folder.uidvalidity}-1"], "Archive")
        await store.open("Archive", read_only=False)
        await store.move(list(there.values()), "INBOX")
    assert (await box.run()).delivered == 0
    assert box.counts() == {"done": 1, "held": 1}
    assert await gone(box) == ["one"]


async def test_what_the_source_moved_is_forgotten_by_the_worker(box: Incoming) -> None:
    """Moved by ourselves, it is known to be gone at once; the worker sweeps as it tidies up."""
    box.fill(letter("one"))
    await box.source(folders={"done": "Done"})
    await box.run()
    await days_pass(box, 401)
    worker = asyncio.create_task(Worker(box.room).run())
    try:
        await soon(lambda: box.counts() == {}, seconds=5.0)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    assert box.there("Done") == ["one"]


async def test_pop3_notices_at_each_listing(box: Incoming) -> None:
    """What is listed no longer is gone; what is there again is not."""
    incoming = {"protocol": "pop3", "port": str(box.ground.dovecot.pop3s)}
    await box.room.connections.set("acme", {"incoming": incoming}, rebind=True)
    box.fill(letter("stays"), letter("goes"))
    await box.source()
    await box.run()
    take_away(box, "goes")
    await box.run()
    await days_pass(box, 401)
    assert await box.room.collecting.forget() == 1
    assert (await box.run()).delivered == 0


async def test_a_folder_numbered_anew(box: Incoming) -> None:
    """The old numbers are nobody's: they are forgotten in time, and nothing comes twice."""
    box.fill(letter("one"))
    await box.source(ignore={"subject": {"deny": ["spam"]}})
    await box.run()
    box.renumber()
    assert (await box.run()).delivered == 0
    await days_pass(box, 2)
    await box.run()
    await days_pass(box, 401)
    assert await box.room.collecting.forget() == 1
    assert box.counts() == {"done": 1}
    assert (await box.run()).delivered == 0
