"""Several workers on one room, with real servers: the work is shared, the dead and the frozen are
replaced, and who comes back from the dead changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.clock import timestamp
from postroom.db.claims import LEASE_SECONDS
from postroom.services.outbox import Item
from tests.faults import claiming, points
from tests.faults.children import until_frozen, until_said
from tests.faults.dose import dose, minutes
from tests.faults.sharing import Shop, shop
from tests.faults.stage import Stage
from tests.journeys.incoming import soon
from tests.journeys.outgoing import Outgoing, message_ids

pytestmark = pytest.mark.timeout(minutes(5, 15, 60))

NOT_DONE = "SELECT count(*) AS n FROM ledger WHERE state <> 'done'"
LOST = "Another worker has taken this work over."
SLOW_MACHINE = 30.0
"""Seconds on top of what is promised: these tests show who does it, not how fast the machine is."""


async def test_three_workers_share_the_work_and_a_killed_one_is_replaced_at_once(
    stage: Stage,
) -> None:
    """F16: each of three has some of the sources; after kill -9 of one the others have them all,
    long before its lease is over; every message is collected once."""
    async with shop(stage, 12) as room:
        with room.worker() as one, room.worker() as two, room.worker() as three:
            workers = {one.pid, two.pid, three.pid}
            await soon(lambda: workers <= room.seated(), seconds=SLOW_MACHINE)
            room.due()
            await room.all_owned(one, two, three)
            assert set(room.owners()) == workers, "somebody has nothing to do"
            await soon(lambda: room.collected() == room.everywhere("first"), seconds=SLOW_MACHINE)
            one.kill()
            beats = {row["pid"]: row["heartbeat_at"] for row in room.rows("SELECT * FROM workers")}
            await room.all_owned(two, three)
            assert timestamp() < beats[one.pid] + LEASE_SECONDS, "it was the lease, not the lock"
            room.deliver("second")
            both = room.everywhere("first", "second")
            await soon(lambda: room.collected() == both, seconds=SLOW_MACHINE)
            await soon(lambda: room.rows(NOT_DONE)[0]["n"] == 0, seconds=SLOW_MACHINE)


async def test_a_frozen_worker_is_replaced_and_changes_nothing_when_it_comes_back(
    stage: Stage,
) -> None:
    """F16: frozen with messages that it has handed to the sink and not yet written down; another
    worker does all of it within the lease; the frozen one's settle is refused by the epoch."""
    spot = "postroom.sources.handing:Hands._take after"
    async with shop(stage, 4) as room:
        with room.worker(spot=spot, stop=True) as zombie:
            await soon(lambda: zombie.pid in room.seated(), seconds=SLOW_MACHINE)
            room.due()
            await until_frozen(zombie)
            with room.worker() as heir:
                await soon(lambda: heir.pid in room.seated(), seconds=SLOW_MACHINE)
                assert zombie.pid in room.owners(), "it had nothing to lose"
                await room.all_owned(heir, seconds=LEASE_SECONDS + 3 + SLOW_MACHINE)
                first = room.everywhere("first")
                await soon(lambda: room.collected() == first, seconds=SLOW_MACHINE)
                await soon(lambda: room.rows(NOT_DONE)[0]["n"] == 0, seconds=SLOW_MACHINE)
                await soon(lambda: room.states() == {"listening"}, seconds=SLOW_MACHINE)
                kept = _written(room)
                zombie.thaw()
                await until_said(zombie, LOST)
                assert _written(room) == kept
                room.deliver("second")
                both = room.everywhere("first", "second")
                await soon(lambda: room.collected() == both, seconds=SLOW_MACHINE)
                await room.all_owned(heir)


def _written(room: Shop) -> list[dict[str, Any]]:
    """What is known of the messages and of the sources that a zombie could write over."""
    ledger = room.rows("SELECT * FROM ledger ORDER BY id")
    sources = room.rows("SELECT id, store, mailbox, successes, failures, owner, epoch FROM sources")
    return [dict(row) for row in (*ledger, *sources)]


async def test_a_frozen_dispatcher_sends_nothing_that_another_has_sent(stage: Stage) -> None:
    """F16: frozen with a message that it has claimed and not begun; another worker sends it; when
    the frozen one goes on its mark is refused, and the message is sent once."""
    spot = "postroom.services.submitting:Line.submit before"
    async with shop(stage, 1) as room:
        post = Outgoing(room.room, room.ground, room.user, room.ground.user())
        await post.service()
        with room.worker(spot=spot, stop=True) as zombie:
            item = await post.store()
            await until_frozen(zombie)
            assert (await post.show(item)).state == "claimed"
            with room.worker() as heir:
                await soon(lambda: heir.pid in room.seated(), seconds=SLOW_MACHINE)
                wait = LEASE_SECONDS + 3 + SLOW_MACHINE
                await soon(lambda: post.states() == {"sent": 1}, seconds=wait)
                before = _sent(await post.show(item))
                heir.stop()
            zombie.thaw()
            later = await post.store(subject="Later")  # it goes on, and is as good as new
            await soon(lambda: post.states() == {"sent": 2}, seconds=SLOW_MACHINE)
            assert _sent(await post.show(item)) == before
        await soon(lambda: len(message_ids(post.other)) == 2, seconds=SLOW_MACHINE)
        found = {(await post.show(one)).message_id for one in (item, later)}
        assert set(message_ids(post.other)) == found


def _sent(item: Item) -> tuple[Any, ...]:
    """What is known of how it was sent (the copy in the Sent folder is made a little later)."""
    return item.state, item.attempts, item.reason, item.recipients


@pytest.mark.parametrize("run", range(dose(1, 3, 3)))
@pytest.mark.parametrize(("name", "spot"), points.CLAIMING.items())
async def test_killed_at_a_named_point_of_a_claim(
    stage: Stage, name: str, spot: str, run: int
) -> None:
    """F2: every row is settled exactly once, whoever does it."""
    assert await claiming.killed_at(stage, spot) == []
