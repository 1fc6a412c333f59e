"""The outbox: one durable row a message; full queues, repeated requests, operators, the end of rows."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from postroom.db import Database, Seat, Tx, open_database
from postroom.errors import NotThere, PostroomError, Refused
from postroom.services import contents, finding, retention
from postroom.services import service as services
from postroom.services.finding import Wanted
from tests.unit.services.desk import Desk, parcel, service_of

DAY = 86400.0


async def test_a_full_queue_refuses_the_next_message(desk: Desk) -> None:
    """One more than ``queue_size`` fails at once and clearly; a finished one makes room."""
    desk.service = service_of(queue_size=2)
    await desk.add()
    held = await desk.add()
    await desk.shift(held, "held")
    with pytest.raises(Refused, match="is full") as full:
        await desk.add()
    assert (full.value.code, full.value.temporary) == ("queue_full", True)
    await desk.shift(held, "cancelled")
    await desk.add()


async def test_ids_sort_as_they_were_made_and_count_nothing(
    desk: Desk, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a millisecond too, so that no list turns two messages round; and T48: two ids of one's own
    do not tell how many others stored a message between them."""
    monkeypatch.setattr("postroom.services.outbox.timestamp", lambda: desk.clock)
    stored = [await desk.add() for _ in range(20)]
    page = await db.read(lambda tx: finding.find(tx))
    assert [each.id for each in page.items] == stored[::-1]
    desk.clock += 1
    assert (await desk.add())[11:14] == stored[0][11:14] != stored[1][11:14]


async def test_a_queue_is_as_full_as_others_made_it(desk: Desk, db: Database) -> None:
    """What another process stored since, and what an operator tries again, counts as well; what is
    refused or sent does not."""
    desk.service = service_of(queue_size=4)
    first = await desk.add()
    other = open_database(db.path)
    theirs = Desk(other)
    theirs.service = desk.service
    await theirs.add()
    await desk.add()
    await theirs.add()
    for full in (desk, theirs, desk):
        with pytest.raises(Refused, match="is full"):
            await full.add()
    await other.close()
    [one] = await desk.claim(limit=1)
    assert one.id == first
    assert await desk.settle(one, desk.answered(one, a=550)) == "failed"
    await desk.add()
    with pytest.raises(Refused, match="is full"):
        await desk.add()


async def test_what_is_tried_again_is_in_the_queue_again(desk: Desk, db: Database) -> None:
    """Also one that had failed when the queue was counted last."""
    desk.service = service_of(queue_size=3)
    first = await desk.add()
    [one] = await desk.claim()
    assert await desk.settle(one, desk.answered(one, a=550)) == "failed"
    other = open_database(db.path)
    await other.write(lambda tx: tx.execute("INSERT INTO limits VALUES ('x', 1, 0)"))
    await other.close()
    await desk.add()
    await desk.shift(first, "queued")
    await desk.add()
    with pytest.raises(Refused, match="is full"):
        await desk.add()


async def test_a_repeated_request_is_one_message(desk: Desk) -> None:
    """The same key and content: the stored item comes back, even when the queue is full (F11)."""
    desk.service = service_of(queue_size=1)
    first = await desk.add(key="order-1")
    assert await desk.add(key="order-1") == first
    assert len(desk.db.read_now(lambda tx: finding.find(tx).items)) == 1


async def test_fifty_requests_at_once_are_one_message(desk: Desk) -> None:
    """Parallel sends with one key store one message (F11)."""
    ids = await asyncio.gather(*(desk.add(key="order-1") for _ in range(50)))
    assert len(set(ids)) == 1


async def test_a_key_used_for_other_content_is_a_conflict(desk: Desk) -> None:
    """The same key, other content: refused, naming the item that has it (F11)."""
    first = await desk.add(key="order-1", content=b"one")
    with pytest.raises(Refused) as conflict:
        await desk.add(key="order-1", content=b"two")
    assert conflict.value.code == "idempotency_conflict"
    assert conflict.value.facts["item"] == first
    assert await desk.add(key="order-2", content=b"two") != first


async def test_keys_are_of_one_service(desk: Desk) -> None:
    """Two services may use the same key for different messages."""
    first = await desk.add(key="order-1")
    desk.service = service_of(name="other-out")
    assert await desk.add(key="order-1") != first


async def finish(desk: Desk, item: str, code: int = 250) -> None:
    [one] = await desk.claim()
    assert one.id == item
    await desk.settle(one, desk.answered(one, a=code))


async def test_content_goes_after_a_week_and_the_row_after_three_months(
    desk: Desk, db: Database
) -> None:
    """What is finished is kept for so long; what waits is kept for ever; a key is free again (F11)."""
    done = await desk.add("a@x.example", key="order-1")
    await finish(desk, done)
    waiting = await desk.add("a@x.example")

    async def purge(days: float) -> None:
        await db.write(lambda tx: retention.purge(tx, now=desk.clock + days * DAY))

    def content(item: str) -> bytes | None:
        return db.read_now(lambda tx: contents.content_of(tx, item))

    await purge(6.9)
    assert content(done) == b"x\r\n"
    assert await desk.add("a@x.example", key="order-1") == done
    await purge(7.1)
    assert content(done) is None
    assert (await desk.show(done)).recipients[0].state == "sent"
    again = await desk.add("a@x.example", key="order-1", content=b"another")
    assert again != done, "the key is forgotten with the content"
    await purge(90.1)
    with pytest.raises(NotThere):
        await desk.show(done)
    await purge(4000)
    assert content(waiting) == b"x\r\n"
    assert (await desk.show(waiting)).state == "queued"


async def test_what_is_over_its_time_goes_some_at_a_time(
    desk: Desk, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a long pause there is much: nobody who stores a message meanwhile waits for all of it."""
    monkeypatch.setattr(retention, "PURGE_ROWS", 2)
    for number in range(5):
        await finish(desk, await desk.add("a@x.example", key=f"order-{number}"))

    def left() -> tuple[int, int, int]:
        def count(tx: Tx) -> tuple[int, int, int]:
            return (
                tx.value("SELECT count(*) FROM outbox"),
                tx.value("SELECT count(*) FROM outbox_content"),
                tx.value("SELECT count(idempotency_key) FROM outbox"),
            )

        return db.read_now(count)

    for age, expected in (
        (8, [(2, (5, 3, 3)), (2, (5, 1, 1)), (1, (5, 0, 0)), (0, (5, 0, 0))]),
        (91, [(2, (3, 0, 0)), (2, (1, 0, 0)), (1, (0, 0, 0)), (0, (0, 0, 0))]),
    ):
        for step in expected:
            gone = await db.write(functools.partial(retention.purge, now=desk.clock + age * DAY))
            assert (gone, left()) == step


async def test_items_are_found_by_service_and_state_newest_first(desk: Desk, db: Database) -> None:
    """What an operator asks for."""
    first = await desk.add()
    await asyncio.sleep(0.002)  # ids begin with the millisecond
    second = await desk.add()
    await asyncio.sleep(0.002)
    third = await desk.add()
    await desk.shift(second, "held")

    def ids(limit: int = 50, **wanted: Any) -> list[str]:
        found = db.read_now(lambda tx: finding.find(tx, Wanted(**wanted), limit=limit))
        return [one.id for one in found.items]

    assert ids() == [third, second, first]
    assert ids(states=["held"]) == [second]
    assert ids(states=["queued", "sent"]) == [third, first]
    assert ids(service="nobody") == []
    assert ids(limit=2) == [third, second]
    assert [first, second, third] == sorted([first, second, third]), "ids sort as they were made"


async def test_an_item_is_shown_by_the_beginning_of_its_id(desk: Desk) -> None:
    """As much of the id as makes it the only one; else it says what is wrong."""
    first = await desk.add()
    assert (await desk.show(first[:18])).id == first
    second = await desk.add()
    assert first[:6] == second[:6]
    with pytest.raises(NotThere, match="Several"):
        await desk.show(first[:6])
    with pytest.raises(NotThere, match="no outbox item 'zzz'"):
        await desk.show("zzz")
    with pytest.raises(NotThere):
        await desk.show("")
    with pytest.raises(NotThere):
        await desk.show("%")


@pytest.mark.parametrize(("code", "after"), [(450, "deferred"), (550, "failed"), (250, "sent")])
async def test_what_an_operator_may_do_after_an_attempt(desk: Desk, code: int, after: str) -> None:
    """Deferred and failed messages can be tried again; a sent one never."""
    item = await desk.add("a@x.example")
    await finish(desk, item, code)
    assert (await desk.show(item)).state == after
    if after == "sent":
        with pytest.raises(Refused, match="it is sent"):
            await desk.shift(item, "queued")
        return
    shown = await desk.shift(item, "queued")
    assert (shown.state, shown.recipients[0].state) == ("queued", "queued")
    assert len(await desk.claim()) == 1, "at once, not at its old due time"


async def test_retrying_leaves_out_who_has_got_it(desk: Desk) -> None:
    """An operator's retry is for those that were not accepted (F9)."""
    item = await desk.add("a@x.example", "b@x.example")
    [one] = await desk.claim()
    await desk.settle(one, desk.answered(one, a=250, b=550))
    await desk.shift(item, "queued")
    assert await desk.states(item) == ["sent", "queued"]


async def test_giving_up_counts_anew_after_a_retry(desk: Desk) -> None:
    """A message an operator tries again has its whole retry time before it."""
    item = await desk.add("a@x.example")
    late = 6 * DAY
    [one] = await desk.claim(later=late)
    assert await desk.settle(one, desk.answered(one, a=450), later=late) == "failed"
    await desk.shift(item, "queued")
    [one] = await desk.claim()
    assert await desk.settle(one, desk.answered(one, a=450)) == "deferred"


async def test_a_message_in_the_hands_of_a_worker_is_left_alone(desk: Desk, db: Database) -> None:
    """Neither held nor cancelled while somebody sends it: it would be sent all the same."""
    item = await desk.add()
    async with Seat(db) as seat:
        await desk.claim(seat.owner)
        await refused_while_busy(desk, item)
        assert await desk.held_waiting() == []


async def refused_while_busy(desk: Desk, item: str) -> None:
    for state in ("held", "cancelled", "queued"):
        with pytest.raises(Refused, match="worker has it"):
            await desk.shift(item, state)


async def test_what_a_dead_worker_had_claimed_is_free(desk: Desk, db: Database) -> None:
    """Held or cancelled at once, one by one or all; the dead one, should it only have been frozen,
    sends none of them."""
    items = [await desk.add() for _ in range(3)]
    async with Seat(db) as seat:
        claims = await desk.claim(seat.owner)
        file = db.path.parent / "seats" / f"{seat.owner}.lock"
        file.rename(file.with_suffix(".gone"))
        assert (await desk.shift(items[0], "cancelled")).finished
        assert (await desk.shift(items[1], "held")).state == "held"
        await db.write(lambda tx: services.hold(tx, "orders-out", held=True))
        assert sorted(await desk.held_waiting()) == sorted(items[1:])
        for one in claims:
            with pytest.raises(Refused, match="taken this work over"):
                await desk.submitting(one, seat.owner)
        file.with_suffix(".gone").rename(file)
    assert await desk.claim(later=10**6) == []


async def test_held_messages_wait_until_released(desk: Desk) -> None:
    """Hold, release, cancel: and a cancelled one stays so."""
    item = await desk.add()
    assert (await desk.shift(item, "held")).reason == "said so"
    assert await desk.claim(later=10**6) == []
    await desk.shift(item, "queued")
    assert len(await desk.claim(later=10)) == 1
    other = await desk.add()
    cancelled = await desk.shift(other, "cancelled")
    assert [one.state for one in cancelled.recipients] == ["cancelled"]
    with pytest.raises(Refused, match="it is cancelled"):
        await desk.shift(other, "queued")


async def test_cancelling_leaves_what_the_server_has_said(desk: Desk) -> None:
    """Who has it has it, and who was refused stays refused; only the rest is taken out."""
    item = await desk.add("a@x.example", "b@x.example", "c@x.example")
    [one] = await desk.claim()
    assert await desk.settle(one, desk.answered(one, a=250, b=550, c=450)) == "deferred"
    cancelled = await desk.shift(item, "cancelled")
    assert cancelled.state == "cancelled"
    assert [each.state for each in cancelled.recipients] == ["sent", "failed", "cancelled"]


async def test_a_message_without_content_cannot_be_sent_again(desk: Desk, db: Database) -> None:
    """After a week only the row is left, and the refusal says so."""
    item = await desk.add("a@x.example")
    await finish(desk, item, 550)
    await db.write(lambda tx: retention.purge(tx, now=desk.clock + 8 * DAY))
    with pytest.raises(Refused, match="has been removed"):
        await desk.shift(item, "queued")


async def test_stored_bytes_are_read_when_they_are_asked_for(desk: Desk, db: Database) -> None:
    """The exact bytes, as often as wanted; a hundred large messages need not fit into memory."""
    item = await desk.add(content=b"exact\x00bytes\r\n")
    content = contents.StoredContent(db, item, 14)
    assert content.bytes() == content.open().read() == b"exact\x00bytes\r\n"
    content.discard()
    assert content.bytes()


async def test_names_are_unique_without_regard_to_case(db: Database, desk: Desk) -> None:
    """Another service of the same name is refused; a wrong name brings the nearest one."""
    with pytest.raises(Refused, match="already"):
        await db.write(lambda tx: services.add(tx, service_of(name="Orders-Out")))
    with pytest.raises(NotThere, match="orders-out"):
        await db.read(lambda tx: services.get(tx, "order-out"))


@pytest.mark.parametrize(
    "fields",
    [
        {"throttle": {"max": 0, "per": "minute"}},
        {"throttle": {"max": -1, "per": "minute"}},
        {"queue_size": 0},
        {"queue_size": -1},
        {"retry": {"min": "0s"}},
        {"on_ambiguous": "guess"},
    ],
)
def test_a_definition_that_cannot_work_is_refused(fields: dict[str, object]) -> None:
    """What would never send, or never stop, is refused when it is saved."""
    with pytest.raises(PostroomError):
        service_of(**fields)


async def test_what_people_see_of_an_item(desk: Desk) -> None:
    """The fields of DESIGN 4.8, each recipient with its state and reply."""
    item = await desk.add("a@x.example")
    shown = (await desk.show(item)).as_json()
    assert {"id", "service", "state", "message_id", "attempts", "recipients"} <= shown.keys()
    assert shown["recipients"] == [
        {"address": "a@x.example", "state": "queued", "code": 0, "enhanced": "", "reply": ""}
    ]
    assert shown["next_attempt_at"].endswith("Z")
    assert parcel().sender == shown["from"]
