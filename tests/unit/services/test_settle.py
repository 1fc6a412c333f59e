"""What an attempt makes of a row: pure decisions, waits, and the statements that store them."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.db import Database
from postroom.errors import Refused, WireError
from postroom.protocols.base import Outcome, Recipient
from postroom.services import outbox, settle
from postroom.services.service import Retry
from postroom.services.settle import backoff, decide
from tests.unit.services.desk import Desk, reply, service_of

LOST = WireError("The connection was lost.", code="connection_lost", temporary=True)
WAITING = {"a@x": 0, "b@x": 1, "c@x": 2}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        # every recipient has its own reply
        (
            Outcome(
                "i",
                "answered",
                [
                    Recipient("a@x", reply(250)),
                    Recipient("b@x", reply(450)),
                    Recipient("c@x", reply(550)),
                ],
            ),
            {0: ("sent", 250), 1: ("deferred", 450), 2: ("failed", 550)},
        ),
        # a recipient that was not asked for stays as it was
        (Outcome("i", "answered", [Recipient("b@x", reply(250))]), {1: ("sent", 250)}),
        (Outcome("i", "answered", [Recipient("stranger@x", reply(250))]), {}),
        # nothing went out: all wait
        (
            Outcome("i", "untouched", [], LOST),
            {0: ("deferred", 0), 1: ("deferred", 0), 2: ("deferred", 0)},
        ),
        # the answer never came: in doubt, but for those that RCPT had refused (RFC 1047)
        (
            Outcome(
                "i", "ambiguous", [Recipient("a@x", reply(550)), Recipient("b@x", reply(450))], LOST
            ),
            {0: ("failed", 550), 1: ("deferred", 450), 2: ("ambiguous", 0)},
        ),
    ],
)
def test_what_becomes_of_each_recipient(
    outcome: Outcome, expected: dict[int, tuple[str, int]]
) -> None:
    """2yz sent, 4yz again later, 5yz never; without an answer in doubt (F9, F10)."""
    found = decide(outcome, WAITING)
    assert {position: (one.state, one.code) for position, one in found.items()} == expected


def test_a_lost_connection_is_said_of_every_recipient() -> None:
    """The reason stands in the row, as a sentence."""
    found = decide(Outcome("i", "untouched", [], LOST), WAITING)
    assert {one.reply for one in found.values()} == {"The connection was lost."}


@pytest.mark.parametrize(
    ("attempts", "least", "most"),
    [
        (1, 54, 60),
        (2, 108, 120),
        (3, 216, 240),
        (7, 3240, 3600),
        (100, 3240, 3600),
        (10**6, 3240, 3600),
    ],
)
def test_waits_grow_and_are_spread(attempts: int, least: float, most: float) -> None:
    """From ``min`` doubling to ``max``, less a tenth at random, however often it was tried."""
    waits = {backoff(Retry(), attempts) for _ in range(50)}
    assert all(least <= wait <= most for wait in waits)
    assert len(waits) > 1, "rows deferred by one outage do not come back in one second"


# ------------------------------------------------------------------ rows


async def test_a_row_goes_through_its_states(desk: Desk, db: Database) -> None:
    """queued, claimed, submitting, sent: and the attempt is written down."""
    item = await desk.add("a@x.example")
    [one] = await desk.claim()
    assert (await desk.show(item)).state == "claimed"
    await desk.submitting(one)
    assert (await desk.show(item)).state == "submitting"
    assert await desk.settle(one, desk.answered(one, a=250)) == "sent"
    found = await desk.show(item)
    assert (found.state, found.reason, found.attempts, found.finished) == ("sent", "", 1, True)
    [attempt] = await db.read(lambda tx: outbox.attempts(tx, item))
    assert (attempt["attempt"], attempt["outcome"], attempt["said"]) == (1, "sent", "said 250")
    assert await desk.claim(later=10**6) == [], "a finished row is never taken again"


@pytest.mark.parametrize("state", ["queued", "deferred", "held", "sent", "failed", "cancelled"])
async def test_what_a_dispatcher_takes(desk: Desk, db: Database, state: str) -> None:
    """What waits is taken; what is held or finished never is."""
    await desk.add()
    await db.write(lambda tx: tx.execute("UPDATE outbox SET state = :s", s=state))
    assert len(await desk.claim()) == (state in ("queued", "deferred"))


async def test_only_those_that_wait_are_tried_again(desk: Desk, db: Database) -> None:
    """After a partial success the next attempt is for the deferred recipient alone (F9)."""
    item = await desk.add("a@x.example", "b@x.example", "c@x.example")
    [one] = await desk.claim()
    assert await desk.settle(one, desk.answered(one, a=250, b=450, c=550)) == "deferred"
    assert await desk.states(item) == ["sent", "deferred", "failed"]
    assert await desk.claim(later=30) == [], "not before its due time"
    [again] = await desk.claim(later=62)
    to = await db.read(lambda tx: settle.recipients_of(tx, [again.id])[again.id])
    assert list(to.waiting) == ["b@x.example"]
    assert await desk.settle(again, desk.answered(again, b=250), later=62) == "failed"
    assert await desk.states(item) == ["sent", "sent", "failed"]
    assert (await desk.show(item)).attempts == 2


async def test_after_the_retry_time_it_is_given_up(desk: Desk) -> None:
    """Still deferred when ``retry.for`` is over: failed, with the last thing that was said."""
    item = await desk.add("a@x.example")
    later = 5 * 86400.0 + 1
    [one] = await desk.claim(later=later)
    assert await desk.settle(one, desk.answered(one, a=450), later=later) == "failed"
    found = await desk.show(item)
    assert "Given up" in found.reason
    assert "said 450" in found.reason
    assert found.recipients[0].state == "failed"


async def test_a_dead_sender_leaves_no_message_sent_twice(desk: Desk) -> None:
    """Taken over while ``submitting``: ambiguous, said aloud, and never sent by itself (F8)."""
    item = await desk.add("a@x.example")
    await desk.sit("other")
    [one] = await desk.claim("other")
    await desk.submitting(one, "other")
    assert await desk.claim() == [], "its owner lives"
    await desk.die("other")
    assert await desk.take() == ([], 1), "in doubt: counted, not to be sent"
    found = await desk.show(item)
    assert (found.state, found.recipients[0].state) == ("ambiguous", "ambiguous")
    assert "ended before" in found.reason
    assert await desk.claim(later=10**6) == []


async def test_a_dead_sender_that_had_sent_nothing_is_taken_over(desk: Desk) -> None:
    """Claimed and not yet submitting: nothing is on the wire, so another one sends it."""
    item = await desk.add("a@x.example")
    await desk.sit("other")
    [theirs] = await desk.claim("other")
    await desk.die("other")
    [mine] = await desk.claim()
    assert mine.id == item
    assert mine.epoch > theirs.epoch


async def test_a_zombie_cannot_settle_or_submit(desk: Desk) -> None:
    """A sender that was taken for dead and comes back changes nothing (F16)."""
    item = await desk.add("a@x.example")
    await desk.sit("zombie")
    [old] = await desk.claim("zombie")
    await desk.die("zombie")
    [new] = await desk.claim()
    await desk.sit("zombie")
    with pytest.raises(Refused) as lost:
        await desk.submitting(old, "zombie")
    assert lost.value.code == "claim_lost"
    with pytest.raises(Refused):
        await desk.settle(old, desk.answered(old, a=550), owner="zombie")
    assert await desk.settle(new, desk.answered(new, a=250)) == "sent"
    assert (await desk.show(item)).state == "sent"


async def put_back(desk: Desk, one: Any, **more: Any) -> None:
    def body(tx: Any) -> None:
        settle.put_back(
            tx, one, owner="me", due_at=desk.clock + 50, now=more.pop("now", desk.clock), **more
        )

    await desk.db.write(body)


async def test_throttled_rows_go_back_untouched(desk: Desk) -> None:
    """A row that the throttle holds back has not been tried: no attempt, no blame."""
    item = await desk.add("a@x.example")
    [one] = await desk.claim()
    await put_back(desk, one)
    found = await desk.show(item)
    assert (found.state, found.attempts, found.reason) == ("queued", 0, "")
    assert await desk.claim(later=49) == []
    assert len(await desk.claim(later=51)) == 1


async def test_an_unreachable_server_defers_with_the_reason(desk: Desk) -> None:
    """No connection: deferred, the sentence in the row; after the retry time, failed."""
    item = await desk.add("a@x.example")
    [one] = await desk.claim()
    await put_back(desk, one, said="Nobody listens there.", service=service_of())
    found = await desk.show(item)
    assert (found.state, found.attempts, found.reason) == ("deferred", 1, "Nobody listens there.")
    [one] = await desk.claim(later=60)
    late = desk.clock + 6 * 86400
    await put_back(desk, one, said="Nobody listens there.", service=service_of(), now=late)
    assert (await desk.show(item)).state == "failed"
