"""Whose turn it is: the order of a pass, the stable time, and polls that make no progress."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from postroom.app import Room
from postroom.clock import monotonic, timestamp
from postroom.connections.turns import OPENING, SPARE, patiently
from postroom.errors import InvalidValue, WireError
from postroom.sources import store
from tests.ground import Ground
from tests.ground.faults import Rule, Stall, Throttle
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter, soon


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    return Incoming(room, ground, user, tmp_path / "orders")


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("server", "banana"),
        ("oldest", "cherry"),
        ("newest", "Apple"),
        ("subject", "Apple"),
        ("-subject", "cherry"),
    ],
)
async def test_the_order_of_a_pass(box: Incoming, order: str, first: str) -> None:
    """With a throttle the first message is the one that the order says."""
    box.fill(letter("banana"), letter("cherry"), letter("Apple"))
    for subject, hour in (("cherry", 1), ("banana", 2), ("Apple", 3)):
        box.received(subject, 1_767_225_600.0 + 3600 * hour)
    await box.source(order=order, throttle={"max": 1, "per": "hour"})
    assert (await box.run()).delivered == 1
    assert box.subjects() == [first]


async def test_an_order_by_date_over_pop3(box: Incoming) -> None:
    """POP3 does not say when a message arrived; its Date field does."""
    incoming = {"protocol": "pop3", "port": str(box.ground.dovecot.pop3s)}
    await box.room.connections.set("acme", {"incoming": incoming}, rebind=True)
    for subject, day in (("middle", 2), ("newest", 3), ("oldest", 1)):
        box.fill(f"Date: 0{day} Jan 2026 12:00:00 +0000\r\n".encode() + letter(subject))
    await box.source(order="newest", throttle={"max": 1, "per": "hour"})
    assert (await box.run()).delivered == 1
    (file,) = box.sink.rglob("*.eml")
    assert b"Subject: newest" in file.read_bytes()


async def test_a_message_is_left_alone_for_the_stable_time(box: Incoming) -> None:
    """It is read when it has been there so long; without new mail having to come."""
    box.fill(letter("one"))
    await box.source(stable_time="2s")
    begun = monotonic()
    tally = await box.run()
    assert (tally.delivered, tally.later) == (0, 1)
    assert box.counts() == {"pending": 1}
    async with box.watching():
        await soon(lambda: box.counts() == {"done": 1}, seconds=5.0)
    assert monotonic() - begun > 1.9
    assert box.subjects() == ["one"]


async def test_what_is_taken_away_in_the_stable_time_is_not_collected(box: Incoming) -> None:
    """Somebody moved it elsewhere meanwhile: it is gone, and nothing is written."""
    box.fill(letter("spam"))
    await box.source(stable_time="1s")
    await box.run()
    for file in (box.user.maildir / "new").iterdir():
        file.unlink()
    await asyncio.sleep(1.1)
    await box.run()
    assert box.counts() == {"vanished": 1}
    assert box.files() == []


async def through(proxy: FaultProxy, box: Incoming) -> None:
    side = {"port": str(proxy.port), "security": "none", "trust": ""}
    await box.room.connections.set("acme", {"incoming": side}, rebind=True)


async def test_a_poll_without_progress_counts_as_failed(box: Incoming) -> None:
    """The server is silent in the middle of a message: the poll ends in time, and the next is well."""
    box.fill(letter("one", size=50_000))
    rule = Rule("to_client", Stall(), after=20_000, connection=1)
    async with FaultProxy(box.ground.dovecot.imap, rules=[rule]) as proxy:
        await through(proxy, box)
        await box.source(polling_timeout="1s")
        begun = monotonic()
        with pytest.raises(WireError, match="no progress for 1s") as stopped:
            await box.run()
        assert stopped.value.temporary
        assert stopped.value.code == "timed_out"
        assert 0.9 < monotonic() - begun < 5
        assert box.state() == "backing off"
        assert box.counts() == {}  # it comes with its listing: what did not arrive is not recorded
        await box.room.sources.set("orders-in", {"polling_timeout": "20s"})
        assert (await box.run()).delivered == 1


async def test_a_poll_that_waits_for_its_turn_at_the_server_is_not_cut(box: Incoming) -> None:
    """Others are opening connections to the same server, for longer than the time-out."""
    box.fill(letter("one"))
    await box.source(polling_timeout="3s")
    door = (await box.room.desk.opener.prepare("acme", "incoming")).door
    async with contextlib.AsyncExitStack() as others:
        for _ in range(OPENING - SPARE):
            await others.enter_async_context(door.in_line(patiently))
        running = asyncio.create_task(box.run())
        await asyncio.sleep(4.0)
        assert not running.done()
        assert box.subjects() == []
    assert (await running).delivered == 1


async def test_a_slow_poll_that_makes_progress_is_not_cut(box: Incoming) -> None:
    """One large message takes twice as long as the time-out, and arrives."""
    box.fill(letter("large", size=1_500_000))
    rule = Rule("to_client", Throttle(250_000), after=b"FETCH")
    async with FaultProxy(box.ground.dovecot.imap, rules=[rule]) as proxy:
        await through(proxy, box)
        await box.source(polling_timeout="3s")
        begun = monotonic()
        assert (await box.run()).delivered == 1
        assert monotonic() - begun > 4


async def test_a_time_out_of_nothing_is_refused(box: Incoming) -> None:
    """Such a source would never collect."""
    with pytest.raises(InvalidValue, match="polling_timeout"):
        await box.source(polling_timeout="0s")


@pytest.mark.parametrize("asked", [False, True])
async def test_a_source_that_is_due_much_later_is_not_held(box: Incoming, asked: bool) -> None:
    """A worker gives it back after a pass, so that others have a turn; who asked for it meanwhile is
    not forgotten."""
    await box.source(schedule={"every": "1h"})
    room = box.room
    waking: list[asyncio.Task[object]] = []

    def progress(tally: object) -> None:
        if asked:
            wake = room.desk.write(lambda tx: store.wake(tx, "orders-in"))
            waking.append(asyncio.ensure_future(wake))

    [claim] = await room.collecting.take((), 1)
    await (await room.collecting.watcher(claim, progress)).watch(linger=False)
    await asyncio.gather(*waking)
    row = box.row()
    assert (row["owner"], row["successes"], row["state"]) == (None, 1, "idle")
    assert (row["due_at"] < timestamp()) == asked
    assert len(await room.collecting.take((), 1)) == asked
